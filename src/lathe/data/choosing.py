"""The task that rows are for, told by the kind of their answers and by trying it on the first of them.

choose(rows, layout)   ->  Chosen("intent", {"input": "text", "target": "category"}, "the answers are labels: 7 in 100 rows", ())
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from lathe import plugins
from lathe.data.baselines.learnability import kind_of
from lathe.data.baselines.rules import text_of
from lathe.data.conversations.conversation import structured
from lathe.data.conversations.formats import Layout, texts_alone
from lathe.data.conversations.readers import convert
from lathe.data.files.placed import Placed
from lathe.data.findings.commands import Signs, signs_of_commands
from lathe.data.preparing.origin_rows import SYSTEM, placed
from lathe.errors import DataError, TaskMismatch
from lathe.records import Json, Row, TaskSetup, label_text
from lathe.records.check import AnswerKind

ASKED = ("prompt", "question", "text", "input", "instruction")
"""Parts of a layout that a task can read as its input, best first."""
ANSWERED = ("completion", "output", "answer", "label")
PROSE = "chat"
"""Takes any text for an answer, finished or not: logs hold answers that are cut, and `lathe check` names those."""
COMMANDS = "bash"
SUITED: Mapping[AnswerKind, Sequence[str]] = {
    "json": ("function_calling", "graph_extraction", "json_extraction"),
    "label": ("intent",),
    "text": ("graph_extraction", COMMANDS, PROSE),
}
"""Tasks by the kind of their answers; where several read the rows, the first is meant."""
ENOUGH = 0.95
"""Share of the first rows that a task must read."""
OF_A_PROMPT = {
    "system", "system_prompt", "instruction", "instructions", "input", "inputs", "prompt", "question", "query", "context",
    "contexts", "passage", "paragraph", "document", "article", "background", "history",
}  # fmt: skip
"""Usual names of columns that are a part of what is asked."""


@dataclass(frozen=True)
class Chosen:
    """The task of rows and how it reads them. fields: the columns of its words; empty where they, or the layout, are known by name.

    why: what of the answers tells the task. left_out: columns that look like a part of the prompt and are not trained with.
    """

    task: str
    fields: Mapping[str, str]
    why: str
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Tried:
    """How a task did on the rows. share: of those that it reads; fault: why it does not read the first of the others."""

    share: float
    fault: str


def choose(rows: Sequence[Row], layout: Layout, further: Sequence[Row] = (), *, more: bool = False) -> Chosen:
    """The task that suits the answers and reads the rows. Raises DataError where there is none.

    further: more rows of the file, by which many labels are told from written text: 150 of them look like it in 200 rows. more:
    whether the file has still others, so that labels may be missing here.
    """
    fields = columns_of(rows, layout)
    read = rows if fields else conversations(rows, layout)
    answers = [valued(row.get(fields.get("target", "target"))) for row in read]
    also = further if fields else conversations(further, layout)
    all_answers = [*answers, *(valued(row.get(fields.get("target", "target"))) for row in also)]
    kind, signs = kind_of(all_answers), signs_of_commands([answer for answer in answers if isinstance(answer, str)])
    told = {name: tried(name, read, fields) for name in suited(kind, signs)}
    task = next((name for name, one in told.items() if one.share >= ENOUGH), None)
    if task is None:
        raise unread(rows, layout, told)
    if task == PROSE and one_instruction(rows, layout):
        fields = {}  # no words of this task say what to do, so the instruction that all rows share must
    own = {field: column for field, column in fields.items() if field != column}
    return Chosen(task, own, why(task, kind, all_answers, signs, more), left_out(rows, layout, fields))


# ------------------------------------------------------------------------------------------ columns


def columns_of(rows: Sequence[Row], layout: Layout) -> dict[str, str]:
    """The columns of a text and its answer; none where rows are conversations, or where the layout puts a prompt together from
    several columns, which a mapping of one would lose."""
    parts = {part: column for part, column in layout.columns.items() if part != "tools" and filled(rows, column)}
    if one_instruction(rows, layout):
        del parts["instruction"]
    asked = [parts[part] for part in ASKED if part in parts]
    answered = [parts[part] for part in ANSWERED if part in parts]
    if layout.name == "text-label" and any(label_text(row.get(layout.columns["label"])) is None for row in rows):
        return {}  # only the layout says that a value is no label; a task that takes any answer would learn it
    texts = bool(asked) and not any(isinstance(row.get(asked[0]), list) for row in rows)
    # A task reads rows with columns of its own names as they are, and their layout is not asked.
    alone = len(parts) == 2 or any({"input", "target"} <= row.keys() for row in rows)
    return {"input": asked[0], "target": answered[0]} if texts and answered and alone else {}


def filled(rows: Sequence[Row], column: str) -> bool:
    """Whether a row says something in that column."""
    return any(row.get(column) not in (None, "", [], {}) for row in rows)


def one_instruction(rows: Sequence[Row], layout: Layout) -> bool:
    """Whether all rows have an input under the same instruction, which a task with a prompt of its own need not repeat."""
    if layout.name != "alpaca" or not all(row.get(layout.columns.get("input", "")) for row in rows):
        return False
    return len({text_of(row.get(layout.columns["instruction"])) for row in rows}) == 1


def left_out(rows: Sequence[Row], layout: Layout, fields: Mapping[str, str]) -> tuple[str, ...]:
    """The columns that look like a part of the prompt and that nothing reads. fields: the mapping; empty = the layout is read."""
    used = {*fields.values(), SYSTEM} if fields else set(layout.columns.values())
    if not fields and layout.name == "prompt-completion" and not asked_about(rows, layout):
        used -= {layout.columns.get("input", "")}
    columns = dict.fromkeys(column for row in rows for column in row if column.lower() in OF_A_PROMPT)
    return tuple(column for column in columns if column not in used and filled(rows, column))


def asked_about(rows: Sequence[Row], layout: Layout) -> bool:
    """Whether the column `input` beside prompts only repeats a part of them, as in the files of a run."""
    said = ((row.get(layout.columns["prompt"]), row.get(layout.columns.get("input", ""))) for row in rows)
    return all(part in prompt for prompt, part in said if isinstance(prompt, str) and isinstance(part, str))


def conversations(rows: Sequence[Row], layout: Layout) -> list[Row]:
    """Rows of a conversation layout as a run reads them; those that hold none are left out."""
    found = []
    for row in rows:
        with suppress(DataError):
            item = placed("", 0, convert(row, layout))
            found += [item.row] if isinstance(item, Placed) else []
    return found


# ------------------------------------------------------------------------------------------ tasks


def valued(answer: Json) -> Json:
    """An answer as the value that its text may be."""
    value = structured(answer) if isinstance(answer, str) else answer
    return answer if value is None else value


def suited(kind: AnswerKind, signs: Signs) -> list[str]:
    """Tasks whose answers are of that kind, the more demanding first, and those of which nothing is known here."""
    known = {name for names in SUITED.values() for name in names}
    fitting = [name for name in SUITED[kind] if name != COMMANDS or signs.enough()]
    return [*fitting, *(name for name in plugins.names("tasks") if name not in known)]


def why(task: str, kind: AnswerKind, answers: Sequence[Json], signs: Signs, more: bool) -> str:
    """What of the answers tells the task."""
    if kind == "label":
        looked_at = f"{'the first ' if more else ''}{len(answers):,} rows"
        return f"the answers are labels, {len(set(map(text_of, answers)))} different in {looked_at}"
    if kind == "json":
        return "the answers are JSON that it reads"
    if task == COMMANDS:
        return f"{signs.begun:.0%} of the answers begin as shell commands do, {signs.marked:.0%} have options, pipes or paths"
    return "the answers are written text" if task == PROSE else "the answers are text of a form that it reads"


def tried(name: str, rows: Sequence[Row], fields: Mapping[str, str]) -> Tried:
    """How a task does; that of another package may fail in any way on rows that are not its own, and is not meant then."""
    try:
        return read_by(name, rows, fields)
    except Exception as error:
        broken = plugins.broken(error)
        if broken is None:
            raise
        return Tried(0.0, broken.message)


def read_by(name: str, rows: Sequence[Row], fields: Mapping[str, str]) -> Tried:
    """Rows that a task reads with that mapping of columns, and whose own answer is right by all of its measures."""
    task, setup = plugins.load("tasks", name), TaskSetup(fields=dict(fields))
    judged = [one.name for one in task.metrics if one.kind == "proportion" and one.compatible_with is None]
    measures = [] if name == PROSE else judged
    read, fault = 0, ""
    for row in rows:
        try:
            example = task.example(row, setup)
        except TaskMismatch as mismatch:
            fault = fault or mismatch.message
            continue
        values = task.score(example, example.completion, setup).values
        read += all(values.get(measure) in (None, 1.0) for measure in measures)
    return Tried(read / max(1, len(rows)), fault)


def unread(rows: Sequence[Row], layout: Layout, told: Mapping[str, Tried]) -> DataError:
    """That no task reads the rows, with the first reason of each; of texts alone, that they have no answers."""
    if layout.name == "text" and not layout.markup:
        columns = layout.unread(rows)
        others = (
            f"there is no column of answers by a known name, but {', '.join(columns)}" if columns else "without answers"
        )
        hint = texts_alone(layout, columns) if columns else "Give each row an answer, in a column `target` say."
        return DataError(f"no task reads texts alone ({layout.said()}): {others}", hint=hint)
    shares = "; ".join(
        f"{name} reads {100 * one.share:.0f} %{f' ({one.fault})' if one.fault else ''}" for name, one in told.items()
    )
    try:
        convert(rows[0], layout)
        first = ""
    except DataError as fault:
        first = f"The first row: {fault.message}. "
    return DataError(
        f"no task reads enough of the rows (layout {layout.said()}): {shares}",
        hint=f"{first}Mend the rows, or take them out; a recipe of your own may name the task and, as data.fields, its columns.",
    )
