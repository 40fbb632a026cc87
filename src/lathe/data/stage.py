"""From the recipe's rows to three files of examples, with everything that is to be known about them.

Rows stream through once: read, understood by the task, sided by their text, written to a spool that has no name on disk. What is
kept in memory is a few numbers a row. Then duplicates are judged over all rows, and the sides are written in the order of the
source. Nothing stands under a final name until all rows were good; the manifest is written last.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, get_args

import numpy as np

from lathe import plugins
from lathe.contracts import Progress, Task
from lathe.data import source
from lathe.data.judge import Judged, judge
from lathe.data.near import Sets, shingles
from lathe.data.read import Placed
from lathe.data.split import normalised, side_of
from lathe.errors import DataError, TaskMismatch
from lathe.records import (
    Example,
    LockedRecipe,
    Manifest,
    RejectedRow,
    Side,
    SideCount,
    Source,
    TaskSetup,
)
from lathe.runs import RunFolder, commit_rows, committed, storage

SIDES: tuple[Side, ...] = get_args(Side)
SHOWN_FAULTS = 20
PROGRESS_EVERY = 500


@dataclass
class Spool:
    """What was kept of every example while the rows streamed through. Row i of each column is example i."""

    file: IO[bytes]
    """examples as JSON lines, in the order of the source"""
    lengths: array[int] = field(default_factory=lambda: array("q"))
    sides: array[int] = field(default_factory=lambda: array("b"))
    inputs: list[bytes] = field(default_factory=list)
    """first 8 bytes of the hash of each normalised input"""
    targets: list[bytes] = field(default_factory=list)
    """first 8 bytes of the hash of each completion"""
    places: list[tuple[int, int]] = field(default_factory=list)
    """(number of the source, line)"""
    shingles: list[np.ndarray] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    repeated_ids: list[str] = field(default_factory=list)

    def add(self, example: Example, side: Side, text: str, place: tuple[int, int]) -> None:
        """Takes one example."""
        identity = self.unique(example.id)
        if identity != example.id:
            example = example.model_copy(update={"id": identity})
        line = example.model_dump_json().encode() + b"\n"
        self.file.write(line)
        self.lengths.append(len(line))
        self.sides.append(SIDES.index(side))
        self.inputs.append(hashlib.sha256(text.encode()).digest()[:8])
        self.targets.append(hashlib.sha256(example.completion.encode()).digest()[:8])
        self.places.append(place)
        self.shingles.append(shingles(text))

    def unique(self, identity: str) -> str:
        """The id itself, or with a number behind it where an earlier row has the same."""
        if identity in self.ids:
            self.repeated_ids.append(identity)
            number = 2
            while f"{identity}~{number}" in self.ids:
                number += 1
            identity = f"{identity}~{number}"
        self.ids.add(identity)
        return identity

    def sets(self) -> Sets:
        """The shingles of all examples as one flat array."""
        starts = np.zeros(len(self.shingles) + 1, np.int64)
        np.cumsum([len(one) for one in self.shingles], out=starts[1:])
        return Sets(np.concatenate(self.shingles), starts)


def prepare(run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress) -> Manifest:
    """Writes data/train.jsonl, validation.jsonl, test.jsonl, rejected.jsonl, dropped.jsonl, setup.json and the manifest.

    Raises DataError and TaskMismatch with file and line for rows that cannot be used (above `data.max_rejected`), DataError for a
    set without rows to train on or to test on.
    """
    start = time.monotonic()
    task, setup = plugins.load("tasks", locked.recipe.task), source.setup(locked)
    folder = run.manifest.parent
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by the block below
    with file:
        spool = Spool(file)
        sources, rejected = gather(spool, locked, task, setup, progress)
        judged = judge(
            np.frombuffer(spool.sides, np.int8), spool.inputs, spool.targets, spool.sets(),
            [f"{sources[origin].name}:{line}" for origin, line in spool.places], spool.repeated_ids, rejected, sources,
        )  # fmt: skip
        refuse_empty(judged, locked)
        sides = write(run, spool, judged)
    commit_rows(run.rows("rejected"), rejected)
    commit_rows(run.rows("dropped"), judged.dropped_rows)
    run.commit(run.setup, setup)
    manifest = Manifest(
        inputs=inputs,
        sources=tuple(sources),
        sides=sides,
        rejected=len(rejected),
        dropped_from_train=len(judged.dropped_rows),
        findings=judged.findings,
        seconds=time.monotonic() - start,
    )
    run.commit(run.manifest, manifest)
    return manifest


def gather(
    spool: Spool, locked: LockedRecipe, task: Task, setup: TaskSetup, progress: Progress
) -> tuple[list[Source], list[RejectedRow]]:
    """Reads all rows into the spool. Returns the sources with their counts, and the rows that could not be used."""
    data = locked.recipe.data
    validation, test = source.shares(data)
    sources: list[Source] = []
    rejected: list[RejectedRow] = []
    first_mismatch = None
    done = 0
    for number, origin in enumerate(source.origins(locked)):
        total = data.rows if origin.path is None else 0
        count = 0
        for item in source.rows(origin, data):
            count += 1
            done += 1
            if isinstance(item, Placed):
                try:
                    example = task.example(item.row, setup)
                except TaskMismatch as mismatch:
                    first_mismatch = first_mismatch or mismatch
                    item = RejectedRow(file=item.file, line=item.line, reason=mismatch.message, hint=mismatch.hint)
            if isinstance(item, RejectedRow):
                rejected.append(item)
                if data.max_rejected == 0.0 and len(rejected) >= SHOWN_FAULTS:
                    raise too_many(rejected, first_mismatch, None)
                continue
            text = normalised(example.input)
            spool.add(example, origin.side or side_of(text, validation, test), text, (number, item.line))
            if done % PROGRESS_EVERY == 0:
                progress({"stage": "data", "done": done, "total": total, "unit": "rows"})
        sources.append(origin.source.model_copy(update={"num_rows": count}))
    if rejected and len(rejected) > data.max_rejected * done:
        raise too_many(rejected, first_mismatch, done)
    progress({"stage": "data", "done": done, "total": done, "unit": "rows"})
    return sources, rejected


def too_many(rejected: list[RejectedRow], mismatch: TaskMismatch | None, total: int | None) -> Exception:
    """One error for all rows that cannot be used: the first in full, the others by line. total: None = reading was cut short."""
    first, others = rejected[0], rejected[1:]
    message = first.reason
    if others:
        lines = ", ".join(str(row.line) for row in others[:5]) + (" ..." if len(others) > 5 else "")
        count = f"at least {len(others)}" if total is None else str(len(others))
        message += f"; {count} more rows cannot be used either (line{'s' if len(others) > 1 else ''} {lines})"
    if mismatch is not None and first.reason == mismatch.message:
        return TaskMismatch(f"{first.file}:{first.line}: {message}", hint=first.hint)
    return DataError(message, file=first.file, line=first.line, column=first.column, hint=first.hint)


def refuse_empty(judged: Judged, locked: LockedRecipe) -> None:
    """Raises DataError where no row is left to train on or to test on."""
    data = locked.recipe.data
    file = data.source or data.train
    if judged.rows["train"] == 0:
        dropped = len(judged.dropped_rows)
        why = f": all {dropped} training rows are duplicates of rows of validation or test" if dropped else ""
        raise DataError(
            f"no row is left to train on{why}", file=file, hint="Give more rows, or other files for the sides."
        )
    if judged.rows["test"] == 0:
        total = sum(judged.rows.values())
        hint = "Give more rows, raise data.split.test, or name a data.test file; without test rows there is no verdict."
        raise DataError(f"none of the {total} rows is a test row", file=data.test or file, hint=hint)


def write(run: RunFolder, spool: Spool, judged: Judged) -> dict[str, SideCount]:
    """Copies each kept example from the spool to its side's file, in the order of the source."""
    counts: dict[str, SideCount] = {}
    for index, side in enumerate(SIDES):
        sha = hashlib.sha256()
        with committed(run.rows(side)) as out:
            for line in lines_of(spool, index, judged.dropped):
                sha.update(line)
                out.write(line)
        counts[side] = SideCount(rows=judged.rows[side], sha256=sha.hexdigest())
    return counts


def lines_of(spool: Spool, side: int, dropped: set[int]) -> Iterator[bytes]:
    """The spooled lines of one side, without the dropped rows."""
    spool.file.seek(0)
    for row, length in enumerate(spool.lengths):
        line = spool.file.read(length)
        if spool.sides[row] == side and row not in dropped:
            yield line
