"""What `lathe check FILE` says about files of rows, before there is a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lathe.records.base import Record
from lathe.records.data import DataFinding, Suspect

FormatName = Literal[
    "prompt-completion",
    "messages",
    "openai",
    "sharegpt",
    "alpaca",
    "question-answer",
    "bfcl",
    "interaction",
    "text-label",
    "text",
]
AnswerKind = Literal["label", "json", "text"]
"""label: one of a few; json: a JSON object or list; text: anything else that is written."""


class BaselineScore(Record):
    """How far a rule without a model gets, on rows that it was not made from."""

    name: str
    definition: str = Field(description="the rule in one sentence")
    exact: float = Field(description="share of rows whose whole answer is right")
    fields: float | None = Field(None, description="mean F1 over the leaves of JSON answers; None for other answers")
    n: int = Field(description="rows answered")


class Learnability(Record):
    """The scores that a tuned model has to beat."""

    kind: AnswerKind
    rows: int = Field(description="rows measured on")
    sampled_from: int = Field(description="rows that there were")
    folds: int
    answers: int = Field(description="distinct answers among the rows")
    baselines: tuple[BaselineScore, ...]

    def best(self) -> BaselineScore | None:
        """The rule to beat: the most right answers, then the most right fields."""
        return max(self.baselines, key=lambda score: (score.exact, score.fields or 0.0), default=None)


class Lengths(Record):
    """Tokens of the rows, by one tokenizer and its template."""

    tokenizer: str = Field(description="name of the folder; the bundled lathe:nano where none was given")
    rows: int = Field(description="rows counted")
    longest: int
    median: int
    p99: int
    tokens: int = Field(description="tokens of all counted rows")
    supervised: int = Field(description="tokens of answers and their end tokens: those that carry loss")
    longer_than: dict[str, int] = Field(
        default_factory=dict, description="rows longer than the lengths at which common trainers cut: 512, 1024, 2048"
    )


class MaskedToken(Record):
    """One token of a row, for a coloured view."""

    text: str
    supervised: bool
    special: bool = False


class MaskedRow(Record):
    """A row as the model would be trained on it."""

    place: str
    tokens: tuple[MaskedToken, ...]


class CheckedFile(Record):
    """One file that was read."""

    name: str
    side: Literal["train", "validation", "test"] | None = Field(
        None, description="what the file's name says; None = a set that is not split"
    )
    format: FormatName | None = Field(None, description="layout of the rows, detected or mapped; None = no rows")
    said: str = Field("", description="the layout and its columns, for a person")
    mapping: dict[str, str] = Field(default_factory=dict, description="part of a row -> the column it was read from")
    read: int = Field(0, description="rows in the file")
    rejected: int = Field(0, description="rows that could not be read or are of another layout")
    left_out: int = Field(0, description="rows left out by a condition, such as a failed interaction")
    rows: int = Field(0, description="rows that were checked")


class CheckReport(Record):
    """What is wrong with a set of files, gravest first."""

    schema_version: Literal[1] = 1
    headline: str = Field(description="one line that a person can retell")
    files: tuple[CheckedFile, ...]
    findings: tuple[DataFinding, ...] = ()
    kind: AnswerKind | None = None
    lengths: Lengths | None = None
    learnability: Learnability | None = None
    suspects: tuple[Suspect, ...] = ()
    shown: tuple[MaskedRow, ...] = Field((), description="rows token by token, as many as were asked for")
    notes: tuple[str, ...] = Field((), description="what was assumed or sampled")
    seconds: float = 0.0

    def blocks(self) -> bool:
        """Whether something was found that must be mended before training."""
        return any(finding.level == "error" for finding in self.findings)
