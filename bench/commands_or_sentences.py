"""How well the task `bash` tells commands from sentences (`command_only`): real ones, and what they are said to do.

python bench/commands_or_sentences.py open.cm open.nl           NL2Bash: one command, or one description, a line
"""

from __future__ import annotations

import sys
from pathlib import Path

from lathe import plugins
from lathe.records import TaskSetup
from lathe.tasks._bash.answers import is_sentence


def main() -> None:
    task, setup = plugins.load("tasks", "bash"), TaskSetup()
    item = task.example({"input": "Do it", "target": "ls"}, setup)
    for path in map(Path, sys.argv[1:]):
        lines = [line.strip() for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        read = [line for line in lines if task.score(item, line, setup).values["bash_valid"]]
        passed = sum(task.score(item, line, setup).values["command_only"] == 1 for line in read)
        told = [line for line in read if is_sentence(line)]
        print(
            f"{path.name}: {len(lines):,} lines, {len(read):,} that bash can read, {passed:,} of them a command and nothing else"
        )
        print("".join(f"    taken for a sentence: {line[:100]}\n" for line in told[:10] if len(told) <= 10), end="")


if __name__ == "__main__":
    main()
