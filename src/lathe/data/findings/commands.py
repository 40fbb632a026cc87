"""Answers that are shell commands and dangerous ones: what a model learns to write, someone will run.

dangerous("rm -rf / --no-preserve-root")      ->  "level 4: deletes the root of the file system ..."
dangerous("Delete the folder, then restart.") ->  ""      not a command
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec

LONGEST = 600
"""Characters: a longer answer is no single command."""
DANGEROUS = 3
FENCE = re.compile(r"^\s*```(?:\w*sh|shell|console)?[ \t]*\n(.*?)\n?```\s*$", re.DOTALL)


@cache
def _can_judge() -> bool:
    """Whether the packages that read commands are installed; without them nothing is said."""
    return find_spec("tree_sitter") is not None and find_spec("tree_sitter_bash") is not None


def dangerous(answer: str) -> str:
    """Why an answer is a dangerous shell command; empty where it is none, or no command."""
    if len(answer) > LONGEST or not _can_judge():
        return ""
    from lathe.shell.calls import is_program
    from lathe.shell.judge import judge

    fenced = FENCE.match(answer)
    command = (fenced.group(1) if fenced else answer).strip()
    first = command.split(maxsplit=1)[0] if command else ""
    if not is_program(first):
        return ""
    risk = judge(command)
    return f"level {risk.level}: {risk.why}" if risk.level in (DANGEROUS, DANGEROUS + 1) else ""
