"""From the recipe's rows to three files of examples, with everything that is to be known about them.

Rows stream through once: read, understood by the task, sided by their text, spooled. Then duplicates are judged over all rows,
and the sides are written in the order of the source. Nothing stands under a final name until all rows were good; the manifest is
written last.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lathe.contracts import Progress
from lathe.data.baselines.learnability import most_labels
from lathe.data.baselines.rules import Item
from lathe.data.baselines.suspects import suspect_labels
from lathe.data.duplicates.earlier import EarlierRows
from lathe.data.files.placed import Placed
from lathe.data.findings.tally import Tally, note_suspects
from lathe.data.preparing import source
from lathe.data.preparing.intake import Intake, Items
from lathe.data.preparing.judge import TRAIN, Judged, Places, judge
from lathe.data.preparing.spool import SIDES, Columns, Spool
from lathe.data.preparing.understanding import Lot, Terms, Understanding, understanders
from lathe.data.preparing.variants import Variants
from lathe.errors import DataError
from lathe.records import DataFinding, DataSpec, Example, LockedRecipe, Manifest, SideCount
from lathe.records.data import Suspect
from lathe.records.teacher import TeachRecord
from lathe.runs import RunFolder
from lathe.storage import commit_rows, committed, sync_folder, writing
from lathe.workers import Workers

MOST_VALUES = 1000
"""Values of a slice key that the manifest counts rows of."""
SAMPLE = 4000
"""Rows on which wrong labels are looked for: a few seconds."""


def prepare(run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress) -> Manifest:
    """Writes data/train.jsonl, validation.jsonl, test.jsonl, rejected.jsonl, dropped.jsonl, setup.json and the manifest.

    Raises DataError and TaskMismatch with file and line for rows that cannot be used (above `data.max_rejected`), DataError for a
    set without rows to train on or to test on, InputError for an invariant that cannot be read.
    """
    start = time.monotonic()
    setup = source.setup(locked)
    terms = Terms(locked.recipe.task, setup, locked.recipe.data.invariants)
    own = Understanding(terms)
    folder = run.manifest.parent
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    taught = (run.taught, run.load(run.teacher_record, TeachRecord)) if run.teacher_record.is_file() else None
    variants = Variants(locked.recipe.task, own.task, setup, locked.recipe.data.variants)
    against = [Path(run) for run in locked.recipe.data.against]
    with Spool(folder, own.task.slices) as spool, contextlib.closing(EarlierRows(against)) as earlier:
        workers: Workers[Sequence[Placed], Lot, Items] = understanders(terms, own)
        with workers:
            intake = Intake(spool, own, workers, locked.recipe.data.max_rejected)
            intake.read(locked, progress, taught)
        columns = spool.columns()
        sample = labelled_sample(spool, columns)
        with ThreadPoolExecutor(1) as beside:  # NumPy for the most part, which lets other threads work
            places = Places(columns, intake.sources)
            doubted = beside.submit(suspect_labels, [places[row] for row, _ in sample], [item for _, item in sample])
            judged = judge(columns, intake.sources, earlier)
            refuse_empty(judged, locked, sum(one.left_out for one in intake.sources))
            # The old record must not vouch for files that are half new, should the process be killed from here on.
            with writing(folder):
                run.manifest.unlink(missing_ok=True)
                sync_folder(folder)
            sides = write(run, spool, judged, variants)
            seen_before = tuple(str(json.loads(line)["id"]) for line in spool.lines(judged.seen_before & judged.kept))
            found = doubted.result()
    commit_rows(run.rows("rejected"), intake.rejected)
    commit_rows(run.rows("dropped"), judged.dropped)
    run.commit(run.setup, setup)
    manifest = Manifest(
        inputs=inputs,
        sources=tuple(intake.sources),
        sides=sides,
        rejected=len(intake.rejected),
        dropped_from_train=len(judged.dropped),
        seen_before=seen_before,
        findings=(
            *intake.findings(),
            *(teacher_findings(locked, taught[1]) if taught is not None and locked.recipe.teacher is not None else ()),
            *judged.findings,
            *label_findings(found, len(sample)),
            *unused_findings(locked.recipe.data),
            *([] if (made := variants.finding()) is None else [made]),
        ),
        suspects=found,
        seconds=time.monotonic() - start,
    )
    run.commit(run.manifest, manifest)
    return manifest


def refuse_empty(judged: Judged, locked: LockedRecipe, left_out: int) -> None:
    """Raises DataError where no row is left to train on or to test on. left_out: rows that `data.where` did not mean."""
    data = locked.recipe.data
    file = data.source or data.train
    total = sum(judged.rows.values())
    if not total and left_out and data.where:
        wanted = ", ".join(f"{column}: {value}" for column, value in data.where.items())
        raise DataError(
            f"none of {left_out:,} rows has {wanted}, which data.where asks for",
            file=file,
            hint="Name a column and a value that rows have; truth values are true and false, numbers are as JSON writes them.",
        )
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


def labelled_sample(spool: Spool, columns: Columns) -> list[tuple[int, Item]]:
    """Rows by which labels are judged, with their numbers: those with the smallest hashes, whatever the order in which rows came;
    none where answers are too many to be labels."""
    smallest = np.argsort(columns.inputs, kind="stable")[:SAMPLE]
    if len(set(columns.targets[smallest].tolist())) > most_labels(len(smallest)):
        return []
    chosen = np.zeros(len(columns.inputs), np.bool_)
    chosen[smallest] = True
    examples = map(Example.model_validate_json, spool.lines(chosen))
    return [
        (row, Item(one.input, one.answer)) for row, one in zip(np.flatnonzero(chosen).tolist(), examples, strict=True)
    ]


def label_findings(found: Sequence[Suspect], rows: int) -> list[DataFinding]:
    """What is to be said of them. rows: how many were looked at."""
    tally = Tally()
    note_suspects(tally, found)
    return tally.findings(rows)


def unused_findings(data: DataSpec) -> Iterator[DataFinding]:
    """Keys of a generated corpus that were set for rows which are there."""
    usual = DataSpec.model_fields
    set_ = [f"data.{key}" for key in ("rows", "seed") if getattr(data, key) != usual[key].default]
    if set_ and not (data.source or "").startswith(source.CORPUS_PREFIX):
        yield DataFinding(
            id="no_effect",
            level="warning",
            message=f"{', '.join(set_)}: without effect, for only rows of a generated corpus are made",
            hint="To use the first so many rows of a file, set data.limit.",
        )


def teacher_findings(locked: LockedRecipe, record: TeachRecord) -> tuple[DataFinding, ...]:
    """What a person should know of a teacher's rows."""
    if locked.recipe.data.test is not None:
        return record.findings
    measured = DataFinding(
        id="teacher_test",
        level="warning",
        message=f"the answers of the test rows are those of {record.model}: a score says how like it a model is, not how right",
        hint="Name a file of rows that people answered, with data.train: teacher and data.test: FILE.",
    )
    return (*record.findings, measured)


def write(run: RunFolder, spool: Spool, judged: Judged, variants: Variants) -> dict[str, SideCount]:
    """Copies each kept example from the spool to its side's file, in the order of the source; behind those to train on, their
    variants."""
    counts: dict[str, SideCount] = {}
    columns = spool.columns()
    sides = columns.sides
    for index, side in enumerate(SIDES):
        sha = hashlib.sha256()
        kept = (sides == index) & judged.kept
        made = variants.lines(spool.lines(kept), columns) if index == TRAIN else ()
        with committed(run.rows(side)) as out:
            for line in itertools.chain(spool.lines(kept), made):
                sha.update(line)
                out.write(line)
        num_made = variants.made if index == TRAIN else 0
        slices = {key: dict(each.most_common(MOST_VALUES)) for key, each in spool.slices(kept).items() if each}
        counts[side] = SideCount(
            rows=judged.rows[side] + num_made, made=num_made, sha256=sha.hexdigest(), slices=slices
        )
    assert sum(count.given() for count in counts.values()) == np.count_nonzero(judged.kept)
    return counts
