"""Answers that an endpoint is asked for within a budget: what they cost, and how each is kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lathe.records.base import Record, Written
from lathe.records.data import Message
from lathe.records.results import Finish

Price = Annotated[float, Field(ge=0.0)]


class Prices(Written):
    """What an endpoint asks for a million tokens, in whatever currency."""

    input: Price = Field(description="of a million tokens that it reads")
    output: Price = Field(description="of a million tokens that it writes")


class PaidAnswer(Record):
    """One request and what came back, as it is kept. The same request is never sent again."""

    request: str = Field(description="hash of all that was asked: address, model, messages, form, temperature, limit")
    host: str
    model: str
    messages: tuple[Message, ...]
    text: str
    finish: Finish
    prompt_tokens: int = Field(description="as the endpoint counts them; by length where it does not say")
    new_tokens: int
    counted: bool = Field(
        description="whether the endpoint counted; else tokens are estimated by length, on the high side"
    )
    time: str = Field(description="when it came, UTC")
    answered_as: str = Field("", description="the model's name by the endpoint, where it is not the one asked for")
    refusal: str = Field(
        "", description="why the endpoint took no such request; then there is no text, and it is not kept"
    )
