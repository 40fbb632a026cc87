"""Rows that a bigger model writes: what a recipe says of it, what is expected to be spent, what was asked and what came of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from lathe.records.base import Interval, Json, Record, StageRecord, Written
from lathe.records.data import DataFinding
from lathe.records.paid import Prices

TEACHER = "teacher"
"""What `data.source` and `data.train` say for the rows of the recipe's teacher."""
Count = Annotated[int, Field(ge=1)]


class TeacherSpec(Written):
    """A model behind an OpenAI-compatible endpoint that answers texts, or invents rows. Its key is read from OPENAI_API_KEY."""

    endpoint: str = Field(description="address up to where /chat/completions begins: http://localhost:8000/v1")
    model: str = Field(description="the model's name there")
    inputs: str | None = Field(
        None,
        description="texts that it answers: a .txt file with one a line, or a file of rows without answers; None = it invents rows",
    )
    instructions: str | None = Field(
        None, description="what it is told in words: how to answer, or what the rows are about that it invents"
    )
    seeds: str | None = Field(
        None,
        description="file of right rows of your own: some are shown in each request, and all of them are training rows themselves",
    )
    rows: Count | None = Field(None, description="rows wanted, after all checks; None = one for each text of `inputs`")
    rows_per_request: Annotated[int, Field(ge=1, le=50)] = Field(
        5, description="rows that are invented at a time; no effect with `inputs`"
    )
    max_new_tokens: Count = Field(2048, description="longest answer to one request, in tokens")
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] | None = Field(
        None, description="None = 0 for answers, 1 for invented rows"
    )
    price_per_million: Prices | None = Field(
        None, description="prices of a million tokens; None = no cost is counted, as for a model of your own"
    )
    max_cost: Annotated[float, Field(gt=0.0)] | None = Field(
        None,
        description="most that the rows may cost, in the currency of the prices, all calls of the command together; a request that "
        "could exceed it is not sent",
    )
    answers: str | None = Field(
        None,
        description="file that keeps every answer, so that several runs pay for it once; None = data/answers.jsonl of the run",
    )

    @model_validator(mode="after")
    def _says_what_is_wanted(self) -> TeacherSpec:
        if self.inputs is None and (self.rows is None or not (self.instructions or "").strip()):
            raise ValueError("expected `inputs` (texts to answer), or `instructions` and `rows` (rows to invent)")
        if self.max_cost is not None and self.price_per_million is None:
            raise ValueError("`max_cost` needs `price_per_million`, by which cost is counted")
        return self

    @property
    def invents(self) -> bool:
        """Whether it makes up the texts too."""
        return self.inputs is None

    @property
    def heat(self) -> float:
        """The temperature that it is asked at."""
        if self.temperature is not None:
            return self.temperature
        return 1.0 if self.invents else 0.0


class TaughtRow(Record):
    """Where a row comes from; stands in the row as `teacher`."""

    model: str
    host: str
    request: str = Field(description="hash of the request, by which the answer is found")
    time: str


class RefusedRow(Record):
    """A row, or a whole answer, that did not pass a check."""

    request: str
    reason: str = Field(description="kind of the fault, by which rows are counted")
    detail: str = Field("", description="the fault itself; secrets are redacted")
    row: Json = Field(None, description="what was refused; None where it holds a secret")


class TeachForecast(Record):
    """What asking will take, before anything is sent."""

    model: str
    host: str
    invents: bool
    rows: int = Field(description="rows wanted")
    requests: int = Field(description="requests still to be sent, where no row is refused")
    kept: int = Field(description="answers that are there from before")
    prompt_tokens: Interval = Field(description="tokens that the requests hold, by their length")
    new_tokens: Interval = Field(description="tokens that the answers will hold; high = every one as long as it may be")
    cost: Interval | None = Field(description="of the requests still to be sent; None = no prices are known")
    spent: float | None = Field(description="of the answers that are there; None = no prices are known")
    max_cost: float | None = None
    findings: tuple[DataFinding, ...] = ()

    def affordable(self) -> bool:
        """Whether the least that it can cost is within `max_cost`."""
        if self.max_cost is None or self.cost is None:
            return True
        return (self.spent or 0.0) + self.cost.low <= self.max_cost


class TeachRecord(StageRecord):
    """What the teacher was asked, what it cost, and what became of its rows."""

    model: str
    host: str
    invents: bool
    rows: int = Field(description="rows that passed all checks")
    wanted: int
    sha256: str = Field(description="hash of data/taught.jsonl")
    refused: dict[str, int] = Field(default_factory=dict, description="rows and answers that did not pass, by reason")
    requests: int = Field(description="answers behind the rows")
    sent: int = Field(description="of these, the ones that this call of the command asked for; the others were kept")
    prompt_tokens: int
    new_tokens: int
    counted: bool = Field(description="whether the endpoint counted all tokens; else some are estimated by length")
    cost: float | None = Field(description="of all answers behind the rows; None = no prices are known")
    first: str = Field(description="when the first answer came, UTC")
    last: str
    findings: tuple[DataFinding, ...] = ()
