"""What a row becomes by itself, whatever rows stand beside it.

    Understanding(Terms("json_extraction", setup, {})).lot(rows).rows
    ->  [Understood(line=b'{"id": ...}', text=0x3f..., ...), RejectedRow(reason="... expects the field ..."), ...]

A row is understood by the task, written as the example that it is, and reduced to the numbers by which rows are compared. That is
most of what preparing costs, 60 to 100 microseconds a row, so that processes share it where rows are many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from lathe import invariants, plugins
from lathe.contracts import Task
from lathe.data.duplicates.shingles import Hashes, shingles
from lathe.data.files.placed import Placed
from lathe.data.preparing.split import hash64, normalised
from lathe.errors import TaskMismatch
from lathe.records import Example, Message, RejectedRow, Row, TaskSetup, canonical
from lathe.storage import line_of
from lathe.workers import Workers

AT_ONCE = 256
"""Rows of a lot."""
FEW = 4
"""Lots that are understood here before processes are worth their start."""
Mark = TypeVar("Mark")


@dataclass(frozen=True)
class Terms:
    """What a row is understood by. rules: invariants as a recipe declares them, by schema."""

    task: str
    setup: TaskSetup
    rules: Mapping[str, Sequence[str]]


class Understood(NamedTuple):
    """A row as an example.

    line: the example as JSON. text, prompt, target: hashes of its input, of all that is asked, both normalised, and of what the
    right answer says. slices: values of the task's slice keys. breach: the invariants that the answer breaks, empty where it keeps
    all.
    """

    line: bytes
    id: str
    text: int
    prompt: int
    target: int
    slices: tuple[str | None, ...]
    breach: str


class Lot(NamedTuple):
    """Rows in their order, those that do not fit the task as rejected; and the shingles of the others' normalised inputs, one after
    the other, with how many each has."""

    rows: list[Understood | RejectedRow]
    shingles: Hashes
    sizes: NDArray[np.int64]


class Understanding:
    """What understands rows."""

    def __init__(self, terms: Terms) -> None:
        """Raises InputError for an invariant that cannot be read, and as `plugins.load`."""
        self.task: Task = plugins.load("tasks", terms.task)
        self._setup = terms.setup
        self._rules = invariants.parse_all(terms.rules)

    def lot(self, rows: Sequence[Placed]) -> Lot:
        """Raises BrokenPlugin where the task makes something else than an example of a row."""
        texts: list[str] = []
        found = [self._understood(row, texts) for row in rows]
        return Lot(found, *shingles(texts))

    def reads(self, row: Row) -> bool:
        """Whether the task reads a row as it stands."""
        try:
            self.task.example(row, self._setup)
        except TaskMismatch:
            return False
        return True

    def _understood(self, placed: Placed, texts: list[str]) -> Understood | RejectedRow:
        """A row; its normalised input is put behind `texts`."""
        try:
            example = plugins.held(self.task, self.task.example(placed.row, self._setup), Example)
        except TaskMismatch as mismatch:
            return RejectedRow(file=placed.file, line=placed.line, reason=mismatch.message, hint=mismatch.hint)
        if placed.system and all(message.role != "system" for message in example.messages):
            told = Message(role="system", content=placed.system)
            example = example.model_copy(update={"messages": (told, *example.messages)})
        text = normalised(example.input)
        texts.append(text)
        return Understood(
            line_of(example),
            example.id,
            hash64(text),
            hash64(normalised("\n".join(message.content for message in example.messages))),
            hash64(canonical(self.task.meaning(example))),
            tuple(map(example.meta.get, self.task.slices)),
            self._breach(example),
        )

    def _breach(self, example: Example) -> str:
        if not self._rules:
            return ""
        return "; ".join(invariants.broken(self._rules, example.meta.get("schema", ""), example.target))


def understanders(terms: Terms, own: Understanding) -> Workers[Sequence[Placed], Lot, Mark]:
    """Who understands the rows of one preparation. own: what does so here."""
    return Workers(
        "lathe.data.preparing.understander",
        terms,
        own.lot,
        few=FEW,
        name="a process that read rows",
        hint="Its last words are above; without any, it most likely wanted memory.",
    )
