"""Rows and what became of them."""

from __future__ import annotations

import operator
from typing import Literal

from pydantic import Field

from lathe.records.base import Json, Record, StageRecord

Row = dict[str, Json]
"""One row as a source gives it, before the task has read it."""

Side = Literal["train", "validation", "test"]


class Message(Record):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class Example(Record):
    """One item as the whole chain sees it: what the model reads, what it should write, what a right answer is."""

    id: str = Field(description="stable id of the row: its own `id` field, else the hash of its prompt")
    input: str = Field(description="the document or question itself, without instruction and schema; splits hash this")
    messages: tuple[Message, ...] = Field(description="the prompt as turns; ends with the user's turn")
    completion: str = Field(description="the text that the model should write, without end token")
    target: Json = Field(None, description="the right answer as a value, for the scorer")
    meta: dict[str, str] = Field(default_factory=dict, description="slices: schema, complexity, style ...")
    functions: dict[str, Json] = Field(
        default_factory=dict,
        exclude_if=operator.not_,
        description="functions that the item offers: by name the JSON Schema of the arguments; not written where it offers none",
    )
    made_of: str = Field(
        "",
        exclude_if=operator.not_,
        description="id of the training row that this one is a variant of; not written otherwise",
    )

    @property
    def answer(self) -> Json:
        """The right answer: a value where there is one, else the text."""
        return self.completion if self.target is None else self.target


class TaskSetup(Record):
    """What a task knows besides the row: schemas by name, and whether the model is shown them."""

    schemas: dict[str, Json] = Field(default_factory=dict, description="JSON Schema by the name that rows use")
    schema_in_prompt: bool = Field(True, description="whether the prompt holds the schema")
    schema_key: str = Field("schema_id", description="field of a row that names its schema")
    fields: dict[str, str] = Field(
        default_factory=dict, description="column for each field of the task, where they differ"
    )


class Source(Record):
    """Where rows came from."""

    name: str = Field(description="lathe:NAME, a file or a Hub id, as the recipe says it")
    licence: str | None = Field(None, description="SPDX id or words; None = not stated, which blocks publication")
    citation: str | None = Field(None, description="how to cite it, for the model card; None where nobody said")
    revision: str | None = Field(None, description="generator version or commit")
    sha256: str | None = Field(None, description="content hash of the file; None for a generated corpus")
    num_rows: int = Field(0, description="rows read")
    layout: str | None = Field(
        None, description="how conversations were read, told by their columns; None = the columns are the task's own"
    )
    left_out: int = Field(0, description="rows left out by data.where, or as failed interactions")


class RejectedRow(Record):
    """A row that could not be used, with the place and the reason."""

    file: str
    line: int
    reason: str
    column: int | None = Field(None, description="1-based, in characters; None where it is not known")
    hint: str | None = Field(None, description="what to do")


class DataFinding(Record):
    """Something about the set that a person should know before training."""

    id: str = Field(description="stable name of the check: near_duplicate, answer_cut ...")
    level: Literal["error", "warning", "info"]
    message: str = Field(description="what was found, with its number")
    hint: str | None = Field(None, description="what to do")
    examples: tuple[str, ...] = Field((), description="up to ten places or texts that show it")
    count: int = 0


class Suspect(Record):
    """A row whose label an out-of-fold linear model finds unlikely."""

    place: str = Field(description="file:line")
    text: str = Field(description="the row's input, shortened and with secrets redacted")
    given: str
    likelier: str = Field(description="the label that the model would give")
    margin: float = Field(description="score of the given label minus the best other; the lower, the more suspect")


class SideCount(Record):
    """Rows and tokens of one side of the split."""

    rows: int
    made: int = Field(0, description="those of them that are variants of others (data.variants)")
    sha256: str = Field(description="hash of the side's file: two runs with the same hash measured the same rows")
    slices: dict[str, dict[str, int]] = Field(
        default_factory=dict,
        description="rows without variants by each of the task's slice keys and its most frequent values; empty in older runs",
    )

    def given(self) -> int:
        """Rows without variants, as they came from the sources."""
        return self.rows - self.made


class Manifest(StageRecord):
    """What the data stage made: sides, counts, rejected rows and findings."""

    sources: tuple[Source, ...]
    sides: dict[str, SideCount] = Field(description="train, validation, test")
    rejected: int = Field(0, description="rows that could not be used; listed in data/rejected.jsonl")
    dropped_from_train: int = Field(
        0, description="training rows dropped as duplicates or near-duplicates of other sides"
    )
    seen_before: tuple[str, ...] = Field(
        (),
        description="ids of test rows that an earlier run, which the base grew out of, was trained on; the verdict leaves them out",
    )
    findings: tuple[DataFinding, ...] = ()
    suspects: tuple[Suspect, ...] = Field(
        (), description="of answers that are labels: those that look wrong, the worst first"
    )
