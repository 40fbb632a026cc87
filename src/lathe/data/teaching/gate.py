"""What a row of a teacher must pass to become a training row. Pure; the first check that fails names the reason.

gate = Gate(task, setup, seeds, held_out)
gate.judge({"input": "Clear the disk", "target": "rm -rf /"})      ->  Fault("dangerous command", "level 4: ...")
gate.judge({"input": "List files", "target": "ls"})                ->  Example; the next row with that text is refused
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lathe.contracts import Task
from lathe.data.conversations.conversation import Conversation, Turn
from lathe.data.findings import secrets
from lathe.data.findings.answers import WRITTEN, look
from lathe.data.preparing.split import normalised
from lathe.errors import TaskMismatch
from lathe.records import Example, Row, TaskSetup

SEED, HELD_OUT, EARLIER = (
    "same text as a seed",
    "same text as a row of validation or test",
    "same text as an earlier row",
)
MISFIT = "does not fit the task"
UNRIGHT = "not right by the task's own measures"
SECRET = "holds a secret"
WORDS = {
    "prompt_empty": "no text",
    "answer_empty": "no answer",
    "answer_cut": "cut off",
    "answer_unfinished": "cut off",
    "answer_mock": "stands in for an answer",
    "answer_refusal": "declines to answer",
    "answer_clarifying": "asks back",
    "placeholder": "something is not filled in",
    "command_dangerous": "dangerous command",
    "secret": SECRET,
}
"""Reasons by the finding of the data check behind them. Personal data are left to that check: names are made up here."""


@dataclass(frozen=True)
class Fault:
    """Why a row is refused: the kind, by which rows are counted, and what was found."""

    reason: str
    detail: str = ""


class Gate:
    """Judges rows one after the other, and remembers the texts of those that passed."""

    def __init__(self, task: Task, setup: TaskSetup, seeds: Iterable[str], held_out: Iterable[str]) -> None:
        """seeds, held_out: texts that no row may have."""
        self._task, self._setup = task, setup
        self._known = {normalised(text): SEED for text in seeds} | {normalised(text): HELD_OUT for text in held_out}

    def before(self, text: str) -> Fault | None:
        """Why a text is not even sent; None where it is."""
        if reason := self._known.get(normalised(text)):
            return Fault(reason)
        if kinds := [kind.name for kind in secrets.found_kinds(text) if kind.level == "error"]:
            return Fault(SECRET, ", ".join(kinds))
        return None

    def judge(self, row: Row) -> Example | Fault:
        """The row as an example, or why it is refused."""
        try:
            example = self._task.example(row, self._setup)
        except TaskMismatch as mismatch:
            return Fault(MISFIT, mismatch.message)
        fault = self.before(example.input) or self._written(example) or self._measured(example)
        if fault is None:
            self._known[normalised(example.input)] = EARLIER
        return fault or example

    def _written(self, example: Example) -> Fault | None:
        """What the check of data says of the row by itself; of an answer that is a label, its words say nothing."""
        turns = (Turn("user", example.input), Turn("assistant", example.completion))
        for name, detail in look(Conversation(turns, target=example.target), example.input, ()):
            if name in WORDS and not (self._task.answers == "label" and name in WRITTEN):
                return Fault(WORDS[name], detail)
        return None

    def _measured(self, example: Example) -> Fault | None:
        """A right answer is right by each measure that is yes or no; another project's measures, flaws included, say nothing."""
        values = self._task.score(example, example.completion, self._setup).values
        yes_or_no = [one.name for one in self._task.metrics if one.kind == "proportion" and one.compatible_with is None]
        missed = [name for name in yes_or_no if values.get(name) not in (None, 1.0)]
        return Fault(UNRIGHT, ", ".join(missed)) if missed else None
