"""From the recipe's rows to three files of examples, with everything that is to be known about them.

Rows stream through once: read, understood by the task, sided by their text, spooled. Then duplicates are judged over all rows,
and the sides are written in the order of the source. Nothing stands under a final name until all rows were good; the manifest is
written last.
"""

from __future__ import annotations

import hashlib
import time

import numpy as np

from lathe import plugins
from lathe.contracts import Progress, Task
from lathe.data import source
from lathe.data.judge import Judged, judge
from lathe.data.read import Placed
from lathe.data.split import normalised
from lathe.data.spool import SIDES, Spool
from lathe.errors import DataError, InputError, TaskMismatch
from lathe.records import LockedRecipe, Manifest, RejectedRow, SideCount, Source, TaskSetup
from lathe.runs import RunFolder, commit_rows, committed, storage, sync_folder

SHOWN_FAULTS = 20
"""Without a tolerance, reading ends at so many unusable rows."""
PROGRESS_EVERY = 500


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
        for left_over in folder.glob(".*.tmp"):  # of a process that was killed; the run's lock keeps others out
            left_over.unlink()
    with Spool(folder) as spool:
        sources, rejected = gather(spool, locked, task, setup, progress)
        judged = judge(spool.columns(), sources, rejected, spool.repeated_ids, spool.num_repeated_ids)
        refuse_empty(judged, locked)
        # The old record must not vouch for files that are half new, should the process be killed from here on.
        run.manifest.unlink(missing_ok=True)
        sync_folder(folder)
        sides = write(run, spool, judged)
    commit_rows(run.rows("rejected"), rejected)
    commit_rows(run.rows("dropped"), judged.dropped)
    run.commit(run.setup, setup)
    manifest = Manifest(
        inputs=inputs,
        sources=tuple(sources),
        sides=sides,
        rejected=len(rejected),
        dropped_from_train=len(judged.dropped),
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
    sources: list[Source] = []
    rejected: list[RejectedRow] = []
    done = limited = 0
    begins_with_mismatch = False
    for number, origin in enumerate(source.origins(locked)):
        begin = done
        left = None if data.limit is None or not origin.limited else data.limit - limited
        for done, item in enumerate(source.rows(origin, data, left), start=begin + 1):
            unusable = take(spool, item, number, origin, task, setup) if isinstance(item, Placed) else item
            if unusable is not None:
                begins_with_mismatch = isinstance(item, Placed) if not rejected else begins_with_mismatch
                rejected.append(unusable)
                if data.max_rejected == 0.0 and len(rejected) >= SHOWN_FAULTS:
                    raise too_many(rejected, mismatch=begins_with_mismatch, cut_short=True)
            if done % PROGRESS_EVERY == 0:
                total = data.rows if origin.path is None else 0
                progress({"stage": "prepare", "done": done, "total": total, "unit": "rows"})
        limited += done - begin if origin.limited else 0
        sources.append(origin.source.model_copy(update={"num_rows": done - begin}))
    if rejected and len(rejected) > data.max_rejected * done:
        raise too_many(rejected, mismatch=begins_with_mismatch, cut_short=False)
    progress({"stage": "prepare", "done": done, "total": done, "unit": "rows"})
    return sources, rejected


def take(
    spool: Spool, placed: Placed, number: int, origin: source.Origin, task: Task, setup: TaskSetup
) -> RejectedRow | None:
    """Spools one row as an example; gives it back as rejected where it does not fit the task."""
    try:
        example = task.example(placed.row, setup)
    except TaskMismatch as mismatch:
        return RejectedRow(file=placed.file, line=placed.line, reason=mismatch.message, hint=mismatch.hint)
    text = normalised(example.input)
    spool.add(example, origin.side_of(text), text, number, placed.line)
    return None


def too_many(rejected: list[RejectedRow], *, mismatch: bool, cut_short: bool) -> InputError:
    """One error for all rows that cannot be used: the first in full, the others by their lines."""
    first, others = rejected[0], rejected[1:]
    message = first.reason
    if others:
        lines = ", ".join(str(row.line) for row in others[:5]) + (" ..." if len(others) > 5 else "")
        count = f"at least {len(others)}" if cut_short else str(len(others))
        rows, noun = ("rows", "lines") if len(others) > 1 else ("row", "line")
        message += f"; {count} more {rows} cannot be used either ({noun} {lines})"
    if mismatch:
        return TaskMismatch(f"{first.file}:{first.line}: {message}", hint=first.hint)
    return DataError(message, file=first.file, line=first.line, column=first.column, hint=first.hint)


def refuse_empty(judged: Judged, locked: LockedRecipe) -> None:
    """Raises DataError where no row is left to train on or to test on."""
    data = locked.recipe.data
    file = data.source or data.train
    total = sum(judged.rows.values())
    if judged.rows["train"] == 0:
        why = (
            f": all {len(judged.dropped)} are duplicates of rows of validation or test"
            if judged.dropped
            else f" ({total} usable rows)"
        )
        raise DataError(
            f"no row is left to train on{why}", file=file, hint="Give more rows, or other files for the sides."
        )
    if judged.rows["test"] == 0:
        hint = "Give more rows, raise data.split.test, or name a data.test file; without test rows there is no verdict."
        raise DataError(f"none of the {total} rows is a test row", file=data.test or file, hint=hint)


def write(run: RunFolder, spool: Spool, judged: Judged) -> dict[str, SideCount]:
    """Copies each kept example from the spool to its side's file, in the order of the source."""
    counts: dict[str, SideCount] = {}
    sides = spool.columns().sides
    for index, side in enumerate(SIDES):
        sha = hashlib.sha256()
        with committed(run.rows(side)) as out:
            for line in spool.lines((sides == index) & judged.kept):
                sha.update(line)
                out.write(line)
        counts[side] = SideCount(rows=judged.rows[side], sha256=sha.hexdigest())
    assert sum(count.rows for count in counts.values()) == np.count_nonzero(judged.kept)
    return counts
