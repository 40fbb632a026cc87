"""A client's request as one that a model can answer, with the very prompt of the measurement.

A single user turn is a text of the run's task: it goes into the task's prompt, with a schema where the task has schemas (the one
that the request brings or names, else that of the most similar training row). Whatever has several turns, or says
`"lathe": {"prompt": "as_given"}`, is rendered as it stands. Where a `response_format` asks for JSON, a model of the native runtime
is held to it while it writes.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from lathe.conformity.narrowed import keywords_in, reduced, without
from lathe.contracts import HoldsToForm, JsonForm, Request, Service
from lathe.errors import InputError
from lathe.records import Example, Json, Message
from lathe.serve.promise import Kind, Promise, checked_schema
from lathe.serve.refusal import Refusal
from lathe.serve.settings import Limits
from lathe.serve.wire import ChatRequest, CompletionRequest, NamedSchema
from lathe.text import render

if TYPE_CHECKING:
    from lathe.questions import Questions

Prompt = Literal["task", "as_given"]
LATER = ("pattern", "patternProperties", "multipleOf")
"""Keywords of a client's schema that only the finished answer is held against: following several can take a grammar for ever."""


@dataclass(frozen=True)
class Question:
    """request: for the runtime. example: the same as an item of the task. prompt: how it was made. schema: name of the one that it
    was made with. promise: what the finished answer is held against."""

    request: Request
    example: Example
    prompt: Prompt
    schema: str | None
    promise: Promise


def chat(questions: Questions, asked: ChatRequest, limits: Limits, service: Service) -> Question:
    """service: of the model that is asked. Raises Refusal 400 where it cannot be asked."""
    messages = tuple(turn.message() for turn in asked.messages)
    wanted = asked.response_format.json_schema if asked.response_format else None
    kind = asked.response_format.type if asked.response_format else "text"
    single = len(messages) == 1 and messages[0].role == "user"
    prompt: Prompt = asked.lathe.prompt if asked.lathe else "task" if single else "as_given"
    if prompt == "task" and not single:
        raise Refusal(400, "the task's prompt takes one user turn; leave lathe.prompt out for others", param="messages")
    schemas = _schemas(questions, wanted, limits)
    try:
        example = _in_task(questions, messages[0].content, wanted, schemas) if prompt == "task" else _as_given(messages)
        ids = render.prompt_ids(questions.tokenizer, example.messages)
    except InputError as error:
        raise Refusal(400, error.message, param="messages") from error
    shown = example.meta.get("schema") if schemas else None
    schema = schemas.get(wanted.name if wanted else shown or "")
    form, left_out = _form(kind, schema, bool(wanted and wanted.json_schema), service)
    promise = Promise(kind, bool(wanted and wanted.strict), schema, form is not None, left_out)
    request = _request(example.messages, ids, asked.limit, questions.max_new_tokens, limits)
    return Question(replace(request, form=form), example, prompt, shown, promise)


def completion(questions: Questions, asked: CompletionRequest, limits: Limits) -> Question:
    """A text continued as it stands. Raises Refusal 400 where it is too long."""
    tok = questions.tokenizer
    try:
        asked.prompt.encode()
    except UnicodeEncodeError:
        raise Refusal(400, "the prompt holds half of a character", param="prompt") from None
    bos = [tok.bos_id] if tok.adds_bos and tok.bos_id is not None else []
    ids = [*bos, *tok.backend.encode(asked.prompt, add_special_tokens=False).ids]
    request = _request((), ids, asked.max_tokens, questions.max_new_tokens, limits)
    return Question(request, _as_given(()), "as_given", None, Promise())


def _schemas(questions: Questions, wanted: NamedSchema | None, limits: Limits) -> dict[str, Json]:
    """The JSON Schemas of the run, and over them the one that the request brings; a set of labels is none."""
    own = questions.setup.schemas if questions.task.answers == "json" else {}
    if wanted is None:
        return own
    if wanted.json_schema is None:
        if wanted.name in own:
            return own
        known = ", ".join(sorted(own)) or "none"
        raise Refusal(
            400,
            f"this run has no schema of that name, and none came with the request; it has {known}",
            param="response_format.json_schema.name",
        )
    if len(json.dumps(wanted.json_schema)) > limits.schema_bytes:
        raise Refusal(
            400, f"a schema may have {limits.schema_bytes:,} bytes", param="response_format.json_schema.schema"
        )
    return {**own, wanted.name: checked_schema(wanted.json_schema)}


def _form(kind: Kind, schema: Json, clients: bool, service: Service) -> tuple[JsonForm | None, tuple[str, ...]]:
    """What the answer is held to while it is written, and the keywords of the schema that it is not held to; None = nothing.

    clients: whether the schema came with the request. Raises Refusal 400 where no answer can be held to it.
    """
    if kind == "text" or not isinstance(service, HoldsToForm):
        return None, ()
    if kind == "json_object":
        return JsonForm({"type": "object"}), ()
    later = tuple(key for key in keywords_in(schema) if key in LATER) if clients else ()
    found = reduced(without(schema, later), lambda some: not service.problem_with(JsonForm(some)))
    if found is None:
        raise Refusal(
            400,
            f"no answer can be held to the schema: {service.problem_with(JsonForm(schema))}",
            param="response_format.json_schema",
        )
    return JsonForm(found[0]), (*later, *found[1])


def _in_task(questions: Questions, text: str, wanted: NamedSchema | None, schemas: dict[str, Json]) -> Example:
    """A text as an item of the task. A schema that comes with a request is shown to the model where it learned to read schemas."""
    setup = questions.setup
    if setup.schemas and questions.task.answers == "json" and wanted is not None:
        setup = setup.model_copy(update={"schemas": schemas})
        return questions.task.question(text, setup, wanted.name)
    return questions.task.question(text, setup, questions.schema_of(text))


def _as_given(messages: tuple[Message, ...]) -> Example:
    """Turns that are no item of the task."""
    return Example(id="", input=messages[-1].content if messages else "", messages=messages, completion="")


def _request(messages: Sequence[Message], ids: Sequence[int], asked: int | None, usual: int, limits: Limits) -> Request:
    """Raises Refusal 400 where prompt, or limit, or both are beyond what is held."""
    if asked is not None and asked > limits.tokens:
        raise Refusal(400, f"max_tokens may be {limits.tokens:,} at most", param="max_tokens")
    room = limits.tokens - len(ids)
    if room < 1:
        raise Refusal(
            400,
            f"the prompt has {len(ids):,} tokens; with its answer it may have {limits.tokens:,}",
            param="messages",
            code="context_length_exceeded",
        )
    return Request(secrets.token_hex(12), messages, ids, min(asked or usual, room))
