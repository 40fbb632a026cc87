"""The task that rows are for, told by the kind of their answers and by trying it on the first of them.

choose(rows, layout)   ->  ("intent", {"input": "text", "target": "category"})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from lathe import plugins
from lathe.data.baselines.learnability import kind_of
from lathe.data.conversations.conversation import structured
from lathe.data.conversations.formats import Layout
from lathe.data.conversations.readers import convert
from lathe.data.files.placed import Placed
from lathe.data.preparing.origin_rows import placed
from lathe.errors import DataError, TaskMismatch
from lathe.records import Json, Row, TaskSetup
from lathe.records.check import AnswerKind

ASKED = ("prompt", "question", "text", "input", "instruction")
"""Parts of a layout that a task can read as its input, best first."""
ANSWERED = ("completion", "output", "answer", "label")
PROSE = "chat"
"""Takes any text for an answer, finished or not: logs hold answers that are cut, and `lathe check` names those."""
SUITED: Mapping[AnswerKind, Sequence[str]] = {
    "json": ("function_calling", "graph_extraction", "json_extraction"),
    "label": ("intent",),
    "text": ("graph_extraction", "bash", PROSE),
}
"""Tasks by the kind of their answers; where several read the rows, the first is meant."""
ENOUGH = 0.95
"""Share of the first rows that a task must read."""


def choose(rows: Sequence[Row], layout: Layout) -> tuple[str, dict[str, str]]:
    """The task that suits the answers and reads the rows, and the columns of its fields. Raises DataError where there is none."""
    fields = columns_of(rows, layout)
    if not fields:
        rows = conversations(rows, layout)
    kind = kind_of([valued(row.get(fields.get("target", "target"))) for row in rows])
    told = {name: readable(name, rows, fields) for name in suited(kind)}
    best = next((name for name, share in told.items() if share >= ENOUGH), None)
    if best is None:
        shares = ", ".join(f"{name} reads {100 * share:.0f} %" for name, share in told.items())
        columns = ", ".join(f"{field}: {column}" for field, column in fields.items())
        hint = f"A task's own words for a row: lathe run with `data: {{fields: {{{columns}}}}}`." if fields else None
        raise DataError(f"no task reads enough of the rows (layout {layout.said()}): {shares}", hint=hint)
    return best, {field: column for field, column in fields.items() if field != column}


def columns_of(rows: Sequence[Row], layout: Layout) -> dict[str, str]:
    """The columns of a text and its answer; none where rows are conversations."""
    asked = [layout.columns[part] for part in ASKED if part in layout.columns]
    # In Alpaca's layout the instruction says what to do and the input what to do it with.
    if (
        layout.name == "alpaca"
        and "input" in layout.columns
        and sum(bool(row.get(layout.columns["input"])) for row in rows) * 2 < len(rows)
    ):
        asked.remove(layout.columns["input"])
    answered = [layout.columns[part] for part in ANSWERED if part in layout.columns]
    texts = bool(asked) and not any(isinstance(row.get(asked[0]), list) for row in rows)
    return {"input": asked[0], "target": answered[0]} if texts and answered else {}


def conversations(rows: Sequence[Row], layout: Layout) -> list[Row]:
    """Rows of a conversation layout as a run reads them; those that hold none are left out."""
    found = []
    for row in rows:
        with suppress(DataError):
            item = placed("", 0, convert(row, layout))
            found += [item.row] if isinstance(item, Placed) else []
    return found


def valued(answer: Json) -> Json:
    """An answer as the value that its text may be."""
    value = structured(answer) if isinstance(answer, str) else answer
    return answer if value is None else value


def suited(kind: AnswerKind) -> list[str]:
    """Tasks whose answers are of that kind, the more demanding first, and those of which nothing is known here."""
    known = {name for names in SUITED.values() for name in names}
    return [*SUITED[kind], *(name for name in plugins.names("tasks") if name not in known)]


def readable(name: str, rows: Sequence[Row], fields: Mapping[str, str]) -> float:
    """Share of the rows that a task reads with that mapping of columns, and whose own answer is right by all of its measures."""
    task, setup = plugins.load("tasks", name), TaskSetup(fields=dict(fields))
    judged = [one.name for one in task.metrics if one.kind == "proportion" and one.compatible_with is None]
    measures = [] if name == PROSE else judged
    read = 0
    for row in rows:
        with suppress(TaskMismatch):
            example = task.example(row, setup)
            values = task.score(example, example.completion, setup).values
            read += all(values.get(name) in (None, 1.0) for name in measures)
    return read / max(1, len(rows))
