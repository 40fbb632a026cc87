"""The calls in a text.

    calls_in('[{"name": "set_timer", "arguments": {"minutes": 5}}]').calls      -> one call
    calls_in('[]').calls                                                        -> no call, said so
    calls_in('I cannot do that.').problem                                       -> "no JSON"

Read are lists of calls, single calls, several one after the other, and OpenAI's nesting with arguments as JSON text. A text with a
part that cannot be read has no calls at all: nobody would run half of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lathe.records import Json
from lathe.tasks._json import reading

NOT_A_CALL = "not a call"


@dataclass(frozen=True)
class Call:
    """A function's name and its arguments."""

    name: str
    arguments: dict[str, Json]


@dataclass(frozen=True)
class Calls:
    """What was found, in order, or the problem that kept it from being found."""

    calls: tuple[Call, ...] = ()
    problem: str = ""


def calls_in(text: str) -> Calls:
    """All calls of a text. Never raises."""
    values, problem = reading.read_all(text)
    if problem:
        return Calls(problem=problem)
    calls = [call_of(one) for value in values for one in (value if isinstance(value, list) else [value])]
    if None in calls:
        return Calls(problem=NOT_A_CALL)
    return Calls(tuple(call for call in calls if call is not None))


def call_of(value: Json) -> Call | None:
    """A call, or None where the value is none."""
    inner = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(inner, dict):
        return None
    name, arguments = inner.get("name"), inner.get("arguments")
    if isinstance(arguments, str):
        arguments = _read(arguments or "{}")
    return Call(name, arguments) if isinstance(name, str) and name and isinstance(arguments, dict) else None


def called(text: str) -> Iterator[Call]:
    """The calls among what a text holds, whatever else it says: for answers that a person wrote, prose beside calls."""
    values, problem = reading.read_all(text)
    for value in values if not problem else []:
        for one in value if isinstance(value, list) else [value]:
            call = call_of(one)
            if call is not None:
                yield call


def _read(text: str) -> Json:
    try:
        return reading.read_exactly(text)
    except ValueError:
        return None
