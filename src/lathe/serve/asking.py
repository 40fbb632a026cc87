"""A client's request as one that a model can answer, with the very prompt of the measurement.

A single user turn is a text of the run's task: it goes into the task's prompt, with a schema where the task has schemas (the one
that the request brings or names, else that of the most similar training row). In a run whose rows bring functions so do requests,
as `tools`, and all turns go into the task's prompt. Whatever else has several turns, or says `"lathe": {"prompt": "as_given"}`, is
rendered as it stands. Where a `response_format` asks for JSON, a model of the native runtime is held to it while it writes.
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
from lathe.serve.calling import Offer, matched, offered
from lathe.serve.promise import Kind, Promise, checked_schema
from lathe.serve.refusal import Refusal
from lathe.serve.settings import Limits
from lathe.serve.wire import ChatRequest, CompletionRequest, NamedSchema
from lathe.text import render

if TYPE_CHECKING:
    from lathe.ask import Questions

Prompt = Literal["task", "system_and_task", "as_given"]
LATER = ("pattern", "patternProperties", "multipleOf")
"""Keywords of a client's schema that only the finished answer is held against: following several can take a grammar for ever."""


@dataclass(frozen=True)
class Question:
    """request: for the runtime. example: the same as an item of the task. prompt: how it was made. schema: name of the one that it
    was made with. promise: what the finished answer is held against. offer: the functions that may be called."""

    request: Request
    example: Example
    prompt: Prompt
    schema: str | None
    promise: Promise
    offer: Offer | None = None


def chat(questions: Questions, asked: ChatRequest, limits: Limits, service: Service) -> Question:
    """service: of the model that is asked. Raises Refusal 400 where it cannot be asked."""
    if asked.tools is not None:
        return _with_tools(questions, asked, limits, service)
    if any(turn.tool_calls for turn in asked.messages):
        raise Refusal(400, "tool_calls stand there only beside tools", param="messages")
    messages = tuple(turn.message() for turn in asked.messages)
    wanted = asked.response_format.json_schema if asked.response_format else None
    kind = asked.response_format.type if asked.response_format else "text"
    single = len(messages) == 1 and messages[0].role == "user"
    prompt: Prompt = asked.lathe.prompt if asked.lathe else "task" if single else "as_given"
    if prompt == "task" and not single:
        raise Refusal(400, "the task's prompt takes one user turn; leave lathe.prompt out for others", param="messages")
    if prompt == "task" and questions.task.takes_tools:
        raise Refusal(400, "the answers of this run are calls of functions; send those as tools", param="tools")
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
    likely = None if schema is None else JsonForm(schema)
    return Question(replace(request, form=form, likely=likely), example, prompt, shown, promise)


def _with_tools(questions: Questions, asked: ChatRequest, limits: Limits, service: Service) -> Question:
    """As `chat`, where functions may be called. System turns stand before the task's prompt, as in rows that have them."""
    task = questions.task
    if not task.takes_tools:
        name = questions.locked.recipe.task
        raise Refusal(
            400, f"this run answers without tools: the prompt of its task, {name}, has no place for them", "tools"
        )
    if asked.lathe is not None and asked.lathe.prompt == "as_given":
        raise Refusal(400, "tools stand in the task's prompt only; leave lathe.prompt out", param="lathe.prompt")
    if asked.response_format is not None and asked.response_format.type != "text":
        raise Refusal(400, "an answer is a list of calls or another form, not both", param="response_format")
    offer = offered(asked, limits)
    matched(asked.messages)
    system = [turn for turn in asked.messages if turn.message().role == "system"]
    turns = [turn for turn in asked.messages if turn not in system]
    if not turns or turns[-1].role == "assistant":
        raise Refusal(400, "the last turn is the user's, or a tool's result", param="messages")
    try:
        example = task.question(turns[-1].text, questions.setup, None, offer.fields(turns))
        if system:
            told = Message(role="system", content="\n\n".join(turn.text for turn in system))
            example = example.model_copy(update={"messages": (told, *example.messages)})
        ids = render.prompt_ids(questions.tokenizer, example.messages)
    except InputError as error:
        raise Refusal(400, error.message, param="messages") from error
    calls = offer.schema()
    form, left_out = _form("json_schema", calls, True, service) if offer.held else (None, ())
    request = _request(example.messages, ids, asked.limit, questions.max_new_tokens, limits)
    return Question(
        replace(request, form=form, likely=JsonForm(calls)),
        example,
        "system_and_task" if system else "task",
        None,
        Promise("json_schema", offer.held, None, form is not None, left_out),
        offer,
    )


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
    return {**own, wanted.name: checked_schema(wanted.json_schema, "response_format.json_schema.schema")}


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
