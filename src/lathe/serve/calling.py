"""OpenAI's tools, for runs that were measured with functions in their prompt: the tools go there, and calls come back as calls.

    offer = offered(asked, limits)              what may be called, and what more is wanted; Refusal 400
    offer.fields(asked.messages)                what a row of the task has besides its text: tools, messages
    offer.problem([{"name": "set_timer", "arguments": {}}])        ->  "the arguments of set_timer do not fit at ..."

A turn that called is shown as the model writes calls itself, with the tool's result under it, as in the rows of training. Left to
itself (`tool_choice` auto, no strict function) the model is asked as it was measured. What is wanted beyond that is a form: the
model is held to it where its runtime can, and an answer without it is withheld.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lathe.conformity import conforms, first_misfit
from lathe.conformity.calls import of_calls
from lathe.records import Json
from lathe.serve.promise import checked_schema
from lathe.serve.refusal import Refusal
from lathe.serve.settings import Limits
from lathe.serve.wire import ChatRequest, NamedTool, Tool, Turn

NOTHING: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
"""Parameters of a function that names none."""


@dataclass(frozen=True)
class Offer:
    """tools: all that the model is shown. names: of those that may be called. fewest, most: calls of an answer; most None = any.
    held: whether more is wanted than was measured."""

    tools: tuple[Tool, ...]
    names: tuple[str, ...]
    fewest: int
    most: int | None
    held: bool

    def fields(self, turns: Sequence[Turn]) -> dict[str, Json]:
        """What a row has besides its text; a single question is a text and no conversation."""
        tools: Json = [tool.model_dump(exclude_none=True) for tool in self.tools]
        told: Json = [{"role": turn.role, "content": written(turn)} for turn in turns]
        return {"tools": tools, "messages": told} if len(turns) > 1 else {"tools": tools}

    def schema(self) -> dict[str, Json]:
        """JSON Schema of the answers: a list of calls."""
        most = {} if self.most is None else {"maxItems": self.most}
        return {**of_calls(self._may_be_called()), "minItems": self.fewest, **most}

    def problem(self, calls: Sequence[Mapping[str, Any]] | None) -> str:
        """Why an answer's calls are not what was offered; empty where they are. None = no calls can be read in it."""
        if calls is None:
            return "the answer holds no calls that can be read"
        if len(calls) < self.fewest:
            return "the answer calls nothing"
        if self.most is not None and len(calls) > self.most:
            return f"the answer makes {len(calls)} calls, and {self.most} was asked for"
        offered = self._may_be_called()
        for call in calls:
            name, arguments = call["name"], call["arguments"]
            if name not in offered:
                return f"the answer calls {name!r}, which is not among the tools that may be called"
            fits = conforms(offered[name], arguments)
            if fits is None:
                return (
                    f"the parameters of {name} refer to something outside of themselves, or to themselves without end"
                )
            if not fits:
                return f"the arguments of {name} do not fit at {first_misfit(offered[name], arguments)}"
        return ""

    def _may_be_called(self) -> dict[str, Json]:
        """Parameters by name."""
        functions = [tool.function for tool in self.tools if tool.function.name in self.names]
        return {one.name: dict(NOTHING) if one.parameters is None else one.parameters for one in functions}


def offered(asked: ChatRequest, limits: Limits) -> Offer:
    """What a request with tools allows. Raises Refusal 400 where a schema cannot be used, or the choice is none of the tools."""
    tools, choice, alone = asked.tools or (), asked.tool_choice, asked.parallel_tool_calls is False
    if len(json.dumps([tool.model_dump() for tool in tools])) > limits.schema_bytes:
        raise Refusal(400, f"tools may have {limits.schema_bytes:,} bytes", param="tools")
    names = tuple(tool.function.name for tool in tools)
    if len(set(names)) < len(names):
        raise Refusal(400, "two tools have the same name", param="tools")
    for place, tool in enumerate(tools):
        checked_schema(tool.function.parameters or {}, f"tools.{place}.function.parameters")
    if choice == "none":
        raise Refusal(
            400, "the answers of this run are calls, or none; a text cannot be asked for", param="tool_choice"
        )
    if isinstance(choice, NamedTool):
        if choice.function.name not in names:
            raise Refusal(400, "the function that must be called is not among the tools", param="tool_choice")
        return Offer(tools, (choice.function.name,), 1, 1, held=True)
    strict = any(tool.function.strict for tool in tools)
    fewest, most = int(choice == "required"), 1 if alone else None
    return Offer(tools, names, fewest, most, held=strict or alone or fewest > 0)


def written(turn: Turn) -> str:
    """A turn's text; calls as the model writes them itself. Raises Refusal 400 where arguments are no JSON object."""
    if not turn.tool_calls:
        return turn.text
    calls = [{"name": call.function.name, "arguments": _arguments(call.function.arguments)} for call in turn.tool_calls]
    return "\n".join([*([turn.text] if turn.text else []), json.dumps(calls, ensure_ascii=False)])


def _arguments(text: str) -> Json:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refusal(400, "the arguments of a call are a text that holds a JSON object", param="messages")
    return value


def matched(turns: Sequence[Turn]) -> None:
    """Raises Refusal 400 where the result of a tool answers no call of an earlier turn."""
    called: set[str] = set()
    for place, turn in enumerate(turns):
        called |= {call.id for call in turn.tool_calls or ()}
        if turn.role == "tool" and turn.tool_call_id not in called:
            raise Refusal(
                400, "a tool's result names the call that it answers as tool_call_id", param=f"messages.{place}"
            )
