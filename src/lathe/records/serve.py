"""What a server notes of each request: never a word of what was asked or answered."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lathe.records.base import Record
from lathe.records.results import Finish


class ServedRequest(Record):
    """One line of a run's requests.jsonl."""

    time: str = Field(description="UTC, ISO 8601, when the request's head was read")
    route: str = Field(description="the path where it is one of the server's own, else `other`")
    status: int = Field(description="HTTP status; 499 = the client went away before the answer")
    seconds: float = Field(description="until the last byte was handed over")
    model: str | None = Field(None, description="tuned or base; None where it did not come so far")
    stream: bool = False
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    first_seconds: float | None = Field(
        None, description="until the first piece of text, where the answer was streamed"
    )
    finish: Finish | Literal["content_filter", "tool_calls"] | None = None
    risk: int | str | None = Field(
        None, description="level of a shell command, as `lathe risk` has it; None for other tasks"
    )
    kept: bool | None = Field(
        None, description="whether the answer has the form that was asked for; None where none was"
    )
