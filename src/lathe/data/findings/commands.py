"""Answers that are shell commands and dangerous ones: what a model learns to write, someone will run.

dangerous("rm -rf / --no-preserve-root")      ->  "level 4: deletes the root of the file system ..."
dangerous("Delete the folder, then restart.") ->  ""      not a command
signs_of_commands(["ls -l", "Paris"])         ->  Signs(begun=0.5, marked=0.5)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

LONGEST = 600
"""Characters: a longer answer is no single command."""
DANGEROUS = 3
FENCE = re.compile(r"^\s*```(?:\w*sh|shell|console)?[ \t]*\n(.*?)\n?```\s*$", re.DOTALL)
MOST_BEGIN, SOME_MARKED = 0.7, 0.2
"""Of the commands of NL2Bash 0.99 begin and 0.95 are marked as such, of the generated ones all; of prose nearly none."""
BEGINNING = re.compile(r"[A-Za-z_]\w*\+?=|(?:\.{0,2}|~)/\w|(?:for|while|until|if|case)\s")
"""How a command begins that no program's name begins: an assignment, a path, a statement."""
MARK = re.compile(r"(?:^|\s)-{1,2}[A-Za-z0-9]|[|<>$`;&*]|(?:^|[\s=])(?:\.{0,2}|~)/|\w/\w|\w\.\w")
"""What commands have and sentences mostly have not: options, pipes, redirections, expansions, patterns, paths, names of files."""


@dataclass(frozen=True)
class Signs:
    """How far answers look like shell commands. begun: share that begins as commands do; marked: share that has options, pipes or
    paths besides."""

    begun: float
    marked: float

    def enough(self) -> bool:
        """Whether most are commands. That bash could read them says little: it takes nearly any word for a program."""
        return self.begun >= MOST_BEGIN and self.marked >= SOME_MARKED


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


def signs_of_commands(answers: Sequence[str]) -> Signs:
    """How far answers look like shell commands; not at all where the packages that read commands are not installed."""
    if not answers or not _can_judge():
        return Signs(0.0, 0.0)
    import lathe.shell.judge  # noqa: F401 - fills the tables of programs
    from lathe.shell.calls import is_program

    texts = [answer.strip() for answer in answers]
    begun = [text for text in texts if BEGINNING.match(text) or is_program(text.split(maxsplit=1)[0] if text else "")]
    return Signs(len(begun) / len(texts), sum(MARK.search(text) is not None for text in begun) / len(texts))
