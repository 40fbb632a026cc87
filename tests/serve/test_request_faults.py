# ruff: noqa: E501 - requests stand beside what is said of them
"""What is wrong with a request is said by its key, truly, and in words that need no knowledge of what reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from web_client import Server

from lathe.serve import wire
from lathe.serve.refusal import Refusal

TURN = {"role": "user", "content": "x"}
FUNCTION = {"type": "function", "function": {"name": "order"}}
PICTURE = {"role": "user", "content": [{"type": "image_url"}]}

FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a turn without a text": ({"messages": [{"role": "user"}]}, "messages.0", "a turn without tool_calls has a text as its content"),
    "no turns": ({"messages": []}, "messages", "expected 1 or more of them"),
    "too many turns": ({"messages": [TURN] * 300}, "messages", "expected 256 of them at most"),
    "a text for turns": ({"messages": "x"}, "messages", "got a text, expected a list"),
    "a number for a text": ({"messages": [{**TURN, "content": 5}]}, "messages.0.content", "got a number, expected a text or a list"),
    "a reason of a user": ({"messages": [{**TURN, "refusal": "no"}]}, "messages.0", "only an assistant's turn has a refusal"),
    "a tool without its function": ({"tools": [{"type": "function"}]}, "tools.0.function", "is missing"),
    "a choice that is none": (
        {"tools": [FUNCTION], "tool_choice": "bogus"}, "tool_choice", "expected 'none', 'auto' or 'required' or an object",
    ),
    "a choice without its function": (
        {"tools": [FUNCTION], "tool_choice": {"type": "function"}}, "tool_choice.function", "is missing",
    ),
    "a choice without tools": ({"tool_choice": "required"}, "tool_choice", "stands there only beside tools"),
    "a temperature as a text": ({"temperature": "0"}, "temperature", "got a text, expected a number"),
    "a temperature": ({"temperature": 0.5}, "temperature", "only 0 is taken, for answers are greedy here"),
    "two answers": ({"n": 2}, "n", "only 1 is taken, for answers are greedy here: others would be the same"),
    "an empty stop": ({"stop": ""}, "stop", "up to 4 texts that are not empty are taken"),
    "a number among the stops": ({"stop": ["a", 5]}, "stop.1", "got a number, expected a text"),
    "an unknown key": ({"logit_bias": {}}, "logit_bias", "is not taken here"),
    "true as a number": ({"max_tokens": True}, "max_tokens", "got true, expected a whole number"),
    "a form of no kind": ({"response_format": {"type": "json_schema"}}, "response_format", "json_schema stands there exactly where type is json_schema"),
}  # fmt: skip


def refusal(body: bytes) -> Refusal:
    with pytest.raises(Refusal) as found:
        wire.read(wire.ChatRequest, body)
    return found.value


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_said_once_and_at_its_key(case: str) -> None:
    change, key, words = FAULTS[case]
    found = refusal(json.dumps({"model": "m", "messages": [TURN], **change}).encode())
    assert (found.param, found.message) == (key, f"the request cannot be used: {key}: {words}")


def test_faults_beyond_the_third_are_counted() -> None:
    found = refusal(json.dumps({"messages": [PICTURE], "n": 2}).encode())
    assert found.message == (
        "the request cannot be used: model: is missing; n: only 1 is taken, for answers are greedy here: others would be the same; "
        "messages.0.content.0.type: expected 'text'; and 1 more"
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "the body: cannot be read as JSON"),
        (b"[]", "the body: got a list, expected an object"),
        (b'{"model": "m", "n": ' + b"9" * 5000 + b"}", "the body: cannot be read as JSON: number out of range"),
        (b'{"model": "m", "top_p": NaN}', "top_p: expected a number"),
    ],
)
def test_a_body_of_another_kind_is_refused_in_words_too(body: bytes, words: str) -> None:
    assert words in refusal(body).message


def test_every_kind_of_fault_that_a_request_can_have_has_words() -> None:
    """No sentence of the library that reads requests reaches a client."""
    values: list[Any] = [None, True, -1, 0.5, 10**6, "", "x" * 1000, [], ["x"], [{}], {}, {"type": "function"}]
    keys = [*wire.ChatRequest.model_fields, *wire.CompletionRequest.model_fields]
    turns = [{**TURN, key: value} for key in wire.Turn.model_fields for value in values]
    bodies = [{"model": "m", "messages": [TURN], key: value} for key in keys for value in values]
    said = [
        answer.message
        for kind in (wire.ChatRequest, wire.CompletionRequest)
        for body in [*bodies, *({"model": "m", "messages": [turn]} for turn in turns)]
        if (answer := answered(kind, body)) is not None
    ]
    assert len(said) > len(keys)
    assert [one for one in said if "should" in one] == []


def answered(kind: type[wire.Asked], body: dict[str, Any]) -> Refusal | None:
    try:
        wire.read(kind, json.dumps(body).encode())
    except Refusal as found:
        return found
    return None


def test_an_address_with_a_stroke_too_many_is_refused_and_told_what_there_is(objects: Server) -> None:
    answer = objects.ask("GET", "/v1/models/")
    assert answer.status == 404
    assert "there is /, /page.css, /page.js, /v1/chat/completions, /v1/completions, /v1/models" in answer.why
