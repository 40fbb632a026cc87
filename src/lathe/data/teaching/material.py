"""What a teacher is asked with, read from the files that the recipe names: texts, seeds, and the rows that are only measured on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from lathe import plugins
from lathe.contracts import Task
from lathe.data.files.placed import Placed
from lathe.data.files.read import read_lines
from lathe.data.preparing import source
from lathe.data.preparing.origin_rows import OriginRows, read
from lathe.data.preparing.split import normalised
from lathe.data.teaching.asks import RightRow, Wish
from lathe.data.teaching.gate import Gate
from lathe.data.teaching.lesson import Lesson
from lathe.data.teaching.row_form import column
from lathe.errors import DataError, TaskMismatch
from lathe.files import row_files
from lathe.records import LockedRecipe, RejectedRow, Row, TaskSetup
from lathe.records.teacher import TeacherSpec


def wish_and_lesson(locked: LockedRecipe, spec: TeacherSpec) -> tuple[Wish, Lesson]:
    """Everything that is asked with. Raises DataError for files that cannot be read, and for a seed that is measured on."""
    task, setup = plugins.load("tasks", locked.recipe.task), source.setup(locked)
    seeds = [_right(item, task, setup) for item in _items(locked, task, setup, source.seed_origins(locked))]
    held_out = []
    for item in _items(locked, task, setup, source.held_out(locked)):
        with suppress(DataError):  # what cannot be used is named when rows are prepared
            held_out.append(_right(item, task, setup)[1].input)
    _refuse_measured(spec, [example.input for _, example in seeds], held_out)
    wish = Wish(
        task=task,
        setup=setup,
        instructions=spec.instructions or "",
        seeds=seeds,
        form=None if seeds or setup.schemas or not task.worked else _form(task, setup),
        max_new_tokens=spec.max_new_tokens,
        temperature=spec.heat,
    )
    given = list(_given(spec, setup)) if spec.inputs is not None else []
    return wish, Lesson(spec, wish, Gate(task, setup, [seed.input for _, seed in seeds], held_out), given)


def _items(
    locked: LockedRecipe, task: Task, setup: TaskSetup, origins: Sequence[source.Origin]
) -> Iterator[Placed | RejectedRow]:
    """The rows of some files, as a run reads them."""

    def reads(row: Row) -> bool:
        try:
            task.example(row, setup)
        except TaskMismatch:
            return False
        return True

    for origin in origins:
        yield from OriginRows(origin, locked.recipe.data, None, reads)


def _right(item: Placed | RejectedRow, task: Task, setup: TaskSetup) -> RightRow:
    """A row as the task reads it. Raises DataError with its place where it cannot be used."""
    placed = _readable(item)
    try:
        return placed.row, task.example(placed.row, setup)
    except TaskMismatch as mismatch:
        raise DataError(mismatch.message, file=placed.file, line=placed.line, hint=mismatch.hint) from mismatch


def _readable(item: Placed | RejectedRow) -> Placed:
    if isinstance(item, Placed):
        return item
    raise DataError(item.reason, file=item.file, line=item.line, column=item.column, hint=item.hint)


def _form(task: Task, setup: TaskSetup) -> RightRow:
    """The task's first worked example, in the columns of the recipe."""
    row = {column(setup, field): value for field, value in task.worked[0].row.items()}
    return row, task.example(row, setup)


def _refuse_measured(spec: TeacherSpec, seeds: Sequence[str], held_out: Sequence[str]) -> None:
    measured = {normalised(text) for text in held_out}
    both = [number for number, text in enumerate(seeds, start=1) if normalised(text) in measured]
    if both:
        rows = ", ".join(map(str, both[:5])) + (" ..." if len(both) > 5 else "")
        raise DataError(
            f"{len(both)} seeds are rows of validation or test as well (row {rows}): the teacher would be shown what is measured",
            file=spec.seeds,
            hint="Take them out of the seeds.",
        )


def _given(spec: TeacherSpec, setup: TaskSetup) -> Iterator[Row]:
    """The rows whose texts are to be answered; lines of a .txt file that say something."""
    for path in row_files(Path(spec.inputs or "")):
        if path.suffix == ".txt":
            yield from ({column(setup, "input"): text} for text in _lines(path))
        else:
            yield from (_readable(item).row for item in read(path))


def _lines(path: Path) -> Iterator[str]:
    with open(path, "rb") as file:
        for number, line in read_lines(file, file, str(path), False):
            try:
                text = line.decode().strip()
            except UnicodeDecodeError as error:
                raise DataError("no UTF-8", file=str(path), line=number, hint="Save the file as UTF-8.") from error
            if text:
                yield text
