"""Finding the JSON in an answer.

    read('Here it is: {"a": 1} Anything else?', "object").value   -> {"a": 1}
    read('{"a": {"b": 1}, "c": ', "object").problem               -> "cut off"     not the inner object

    read('{"a": oops, "b": {"c": 1}}', "object").problem          -> "broken JSON"    nor one that stands whole behind the fault

Reading starts at each `{` or `[` from the left. A bracket that nothing of JSON follows is one of prose, which hides no answer: the
next reading starts behind it. Else the value is broken, and nothing in it counts: the next one starts where its brackets close.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Literal, NoReturn

from lathe.records import Json
from lathe.tasks._json.values import kind, too_deep

PROBLEMS = ("no JSON", "cut off", "duplicate key", "broken JSON")
"""Why an answer holds no JSON value that can be used."""

Container = Literal["object", "array"]


@dataclass(frozen=True)
class Reading:
    """What was found: a value, or the problem (one of PROBLEMS) that kept one from being found."""

    value: Json = None
    problem: str = ""


class _Unacceptable(Exception):
    """Python would read it, but it is no JSON that means one thing."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def _no_constant(_: str) -> NoReturn:
    raise _Unacceptable("broken JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Unacceptable("broken JSON")
    return number


def _whole(digits: str) -> int:
    # Python refuses to read integers of more than 4,300 digits with a ValueError that json does not word as its own.
    if len(digits) > 4000:
        raise _Unacceptable("broken JSON")
    return int(digits)


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _Unacceptable("duplicate key")
    return members


_DECODER = json.JSONDecoder(
    parse_constant=_no_constant, parse_float=_finite, parse_int=_whole, object_pairs_hook=_unique
)
_OF_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)
_OPENING = re.compile(r"[{\[]")


def read(text: str, wanted: Container) -> Reading:
    """The first object (or array, as `wanted`) in a text; where there is none, the first value of the other of the two.

    Text before and after is allowed, code fences too. NaN, infinity, numbers that overflow, repeated keys and more than
    64 levels of nesting are refused. Never raises.
    """
    other: Json = None
    problem = "no JSON"
    position = 0
    while opening := _OPENING.search(text, position):
        try:
            value, position = _DECODER.raw_decode(text, opening.start())
        except json.JSONDecodeError as error:
            problem = "broken JSON"
            if error.msg.startswith("Unterminated string") or error.pos >= len(text.rstrip()):
                problem = "cut off"
                break
            of_prose = not text[opening.end() : error.pos].strip()
            position = max(error.pos, opening.end()) if of_prose else _closed(text, opening.start())
        except _Unacceptable as error:
            problem = error.problem
            break
        except RecursionError:
            problem = "broken JSON"
            break
        else:
            if too_deep(value):
                problem = "broken JSON"
            elif kind(value) == wanted:
                return Reading(value)
            elif other is None:
                other = value
    return Reading(other) if other is not None else Reading(problem=problem)


def _closed(text: str, start: int) -> int:
    """The place behind the bracket that closes the one at `start`; the end of the text where none does."""
    depth = 0
    for found in _OF_BRACKETS.finditer(text, start):
        depth += (found[0] in "{[") - (found[0] in "}]")
        if depth == 0:
            return found.end()
    return len(text)


def read_all(text: str) -> tuple[list[Json], str]:
    """Every object and array of a text, in order, under the same strictness; and one of PROBLEMS, empty where all was read.

    Text between them is allowed. Reading ends at the first that is broken: what follows is a part of it. Never raises.
    """
    found: list[Json] = []
    position = 0
    while opening := _OPENING.search(text, position):
        try:
            value, position = _DECODER.raw_decode(text, opening.start())
        except json.JSONDecodeError as error:
            ended = error.msg.startswith("Unterminated string") or error.pos >= len(text.rstrip())
            return found, "cut off" if ended else "broken JSON"
        except _Unacceptable as error:
            return found, error.problem
        except RecursionError:
            return found, "broken JSON"
        if too_deep(value):
            return found, "broken JSON"
        found.append(value)
    return found, "" if found else "no JSON"


def read_exactly(text: str) -> Json:
    """A text that is JSON and nothing else, under the same strictness. Raises ValueError with what is wrong."""
    try:
        value = _DECODER.decode(text)
    except _Unacceptable as error:
        raise ValueError(error.problem) from error
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if too_deep(value):
        raise ValueError("nested too deep")
    return value
