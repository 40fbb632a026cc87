"""Do two commands do the same? Both are run in the same folders; what they print and what they leave behind is compared.

    Equivalence(box, now).of("ls *.txt", "printf '%s\\n' *.txt").value       1.0

A right command that does nothing in any of the folders, or something else each time, shows nothing: then nothing was measured. One
that is too dangerous to run is not run. An answer that is too dangerous is not run either and is not the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lathe.sandbox.box import Box, Done
from lathe.sandbox.trees import contents, trees
from lathe.shell.canonical import canonical
from lathe.shell.judge import is_valid

VERSION = "1"
"""Of the comparison and its folders: results of another one are not kept."""
SEED = 0
"""Of the folders."""

Why = Literal[
    "same",
    "other output",
    "other files",
    "answer not run",
    "answer not valid",
    "gold not run",
    "gold does nothing",
    "gold varies",
]


@dataclass(frozen=True)
class Judged:
    """value: 1 the same, 0 not, None not measured."""

    value: float | None
    why: Why


class Equivalence:
    """Compares commands in a sandbox; what a right command did is kept. now: ages of files count from this moment."""

    def __init__(self, box: Box, now: float) -> None:
        self._box = box
        self._now = now
        self._known: dict[str, list[tuple[bytes, Done]] | Why] = {}

    def of(self, gold: str, answer: str) -> Judged:
        """Whether the answer does what the gold command does. Raises NoSandbox where the sandbox fails on the way."""
        if gold not in self._known:
            self._known[gold] = self._done(gold)
        expected = self._known[gold]
        if isinstance(expected, str):
            return Judged(None, expected)
        if not is_valid(answer):
            return Judged(0.0, "answer not valid")
        if answer == gold or (canonical(answer) is not None and canonical(answer) == canonical(gold)):
            return Judged(1.0, "same")
        for home, right in expected:
            done = self._box.run(answer, home)
            if done is None:
                return Judged(0.0, "answer not run")
            if done.output != right.output:
                return Judged(0.0, "other output")
            if contents(done.home) != contents(right.home):
                return Judged(0.0, "other files")
        return Judged(1.0, "same")

    def _done(self, gold: str) -> list[tuple[bytes, Done]] | Why:
        """What the gold command does, in the folders where it does something; the reason where it shows nothing."""
        found = []
        for home in trees(gold, SEED, self._now):
            done = self._box.run(gold, home)
            if done is None:
                return "gold not run"
            if done.output or contents(done.home) != contents(home):
                found.append((home, done))
        if not found:
            return "gold does nothing"
        home, before = found[0]
        again = self._box.run(gold, home)
        if again is None or again.output != before.output or contents(again.home) != contents(before.home):
            return "gold varies"
        return found
