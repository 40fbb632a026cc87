"""Further training rows that the task makes of those that are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lathe.contracts import Task
from lathe.data.preparing.judge import TRAIN
from lathe.data.preparing.split import hash64, normalised
from lathe.data.preparing.spool import Columns
from lathe.errors import InputError
from lathe.records import DataFinding, Example, TaskSetup
from lathe.storage import line_of


@dataclass
class Variants:
    """`count` rows of each training row; what became of them is known afterwards. Raises InputError for a task that makes none."""

    name: str
    """the task's name"""
    task: Task
    setup: TaskSetup
    count: int
    rows: int = 0
    """training rows that variants were made of"""
    made: int = 0
    repeats: int = 0
    """variants that are their row as it is"""

    def __post_init__(self) -> None:
        if self.count and self.task.variants((), self.count, self.setup) is None:
            raise InputError(
                f"the task {self.name!r} makes no variants of its rows, got data.variants: {self.count}",
                hint="Take data.variants out, and raise train.epochs instead.",
            )

    def lines(self, rows: Iterable[bytes], columns: Columns) -> Iterator[bytes]:
        """The variants of training rows as JSON lines, as the rows are, without those that read like a row of another side."""
        if not self.count:
            return
        examples = [Example.model_validate_json(line) for line in rows]
        self.rows = len(examples)
        inputs = {example.id: example.input for example in examples}
        held_out = set(columns.inputs[columns.sides != TRAIN].tolist())
        for example in self.task.variants(examples, self.count, self.setup) or ():
            if hash64(normalised(example.input)) not in held_out:
                self.made += 1
                self.repeats += example.input == inputs[example.made_of]
                yield line_of(example)

    def finding(self) -> DataFinding | None:
        """What is to be said of them."""
        if not self.made:
            return None
        repeats = f"; {self.repeats:,} of them are equal to their row" if self.repeats else ""
        return DataFinding(
            id="variants",
            level="warning" if self.repeats > self.made / 2 else "info",
            message=f"{self.made:,} rows to train on were made of {self.rows:,} by exchanging values{repeats}",
            hint="They need not keep data.invariants. Rules, worked examples and forms are made of the rows that were given.",
            count=self.made,
        )
