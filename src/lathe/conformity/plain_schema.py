"""A quick yes for values that plainly fit a plain JSON Schema; everything else is left to the `jsonschema` package.

    fits = plainly_fits({"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}})
    fits({"id": "A-17"})    ->  True
    fits({"id": 17})        ->  False      not plainly: the full check says why
    surely_valid({"type": "string", "maxLength": 9})    ->  True

Plain are the keywords that nearly all schemas of answers are made of, in the meaning that all drafts share. A schema with any other
keyword gives a function that never says yes. About ten times as fast as the full check.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from lathe.conformity.patterns import matches
from lathe.records import Json

Fits = Callable[[Json], bool]
Maker = Callable[[dict[str, Json]], Fits]
IGNORED = {"$schema", "$id", "$comment", "title", "description", "default", "examples", "format"}
"""Keywords that assert nothing; `format` is not asserted, which is the standard's default."""
TYPES: Mapping[str, Fits] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


class _NotPlain(Exception):
    pass


def plainly_fits(schema: Json) -> Fits:
    """Whether a value plainly fits, as a function; its yes is certain, its no means: not told here."""
    try:
        return _all(_tests(schema))
    except (_NotPlain, RecursionError):
        return lambda value: False


def _tests(schema: Json) -> list[Fits]:
    if not isinstance(schema, dict) or not schema.keys() <= {*IGNORED, *KEYWORDS}:
        raise _NotPlain
    makers = dict.fromkeys(make for keyword, make in KEYWORDS.items() if keyword in schema)
    return [make(schema) for make in makers]


def _all(tests: list[Fits]) -> Fits:
    if not tests:
        return lambda value: True
    first, rest = tests[0], tests[1:]
    if not rest:
        return first
    others = _all(rest)
    return lambda value: first(value) and others(value)


def _type(schema: dict[str, Json]) -> Fits:
    named = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not named or not all(isinstance(name, str) and name in TYPES for name in named):
        raise _NotPlain
    if len(named) == 1:
        return TYPES[named[0]]
    tests = [TYPES[name] for name in named]
    return lambda value: any(test(value) for test in tests)


def _enum(schema: dict[str, Json]) -> Fits:
    """Only texts: which numbers and truth values are equal is a matter of its own."""
    texts = {one for one in _list(schema["enum"]) if isinstance(one, str)}
    return lambda value: isinstance(value, str) and value in texts


def _required(schema: dict[str, Json]) -> Fits:
    keys = _list(schema["required"])
    if not all(isinstance(key, str) for key in keys):
        raise _NotPlain
    wanted = frozenset(keys)
    return lambda value: not isinstance(value, dict) or wanted <= value.keys()


def _properties(schema: dict[str, Json]) -> Fits:
    """`properties` with `additionalProperties`."""
    named = schema.get("properties", {})
    if not isinstance(named, dict):
        raise _NotPlain
    parts = {key: _all(_tests(part)) for key, part in named.items()}
    others = schema.get("additionalProperties", True)
    other: Fits = (lambda value: bool(others)) if isinstance(others, bool) else _all(_tests(others))

    def fits(value: Json) -> bool:
        if isinstance(value, dict):
            for key, part in value.items():  # a loop: this is asked of every object of every row
                if not parts.get(key, other)(part):
                    return False
        return True

    return fits


def _items(schema: dict[str, Json]) -> Fits:
    inner = _all(_tests(schema["items"]))
    return lambda value: not isinstance(value, list) or all(map(inner, value))


def _range(least: str, most: str, measure: Callable[[Json], float | None]) -> Maker:
    """Makes the test of a pair of bounds. measure: what is held against them; None = they say nothing about that value."""

    def make(schema: dict[str, Json]) -> Fits:
        low, high = schema.get(least, -math.inf), schema.get(most, math.inf)
        if not all(map(TYPES["number"], (low, high))):
            raise _NotPlain

        def fits(value: Json) -> bool:
            measured = measure(value)
            return measured is None or low <= measured <= high

        return fits

    return make


def _pattern(schema: dict[str, Json]) -> Fits:
    pattern = schema["pattern"]
    if not isinstance(pattern, str):
        raise _NotPlain
    return lambda value: not isinstance(value, str) or matches(pattern, value)


def _list(value: Json) -> list[Any]:
    if not isinstance(value, list):
        raise _NotPlain
    return value


_VALUE = _range("minimum", "maximum", lambda value: value if TYPES["number"](value) else None)
_ITEMS = _range("minItems", "maxItems", lambda value: len(value) if isinstance(value, list) else None)
_LENGTH = _range("minLength", "maxLength", lambda value: len(value) if isinstance(value, str) else None)
KEYWORDS: Mapping[str, Maker] = {
    "type": _type, "enum": _enum, "required": _required, "properties": _properties, "additionalProperties": _properties,
    "items": _items, "pattern": _pattern, "minimum": _VALUE, "maximum": _VALUE, "minItems": _ITEMS, "maxItems": _ITEMS,
    "minLength": _LENGTH, "maxLength": _LENGTH,
}  # fmt: skip


# ------------------------------------------------------------------------------------------ valid schemas


def surely_valid(schema: Json) -> bool:
    """Whether a schema is made of plain keywords alone, each with a value that the standard's own schema of schemas takes.

    Its yes is certain, its no means: not told here.
    """
    try:
        return _valid(schema)
    except RecursionError:
        return False


def _valid(schema: Json) -> bool:
    return isinstance(schema, dict) and all(
        keyword in VALID and VALID[keyword](value) for keyword, value in schema.items()
    )


def _valid_properties(value: Json) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) and _valid(part) for key, part in value.items())


def _valid_type(value: Json) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and _distinct_texts(names) and TYPES.keys() >= set(names)


def _valid_pattern(value: Json) -> bool:
    try:
        return isinstance(value, str) and re.compile(value) is not None
    except (re.error, OverflowError):
        return False


def _distinct_texts(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value) and len(set(value)) == len(value)


def _count(value: Json) -> bool:
    return TYPES["integer"](value) and value >= 0


def _finite(value: Json) -> bool:
    return TYPES["number"](value) and math.isfinite(value)


VALID: Mapping[str, Fits] = {
    "$schema": lambda value: value == "https://json-schema.org/draft/2020-12/schema",
    **dict.fromkeys(("$comment", "title", "description", "format"), TYPES["string"]),
    "type": _valid_type, "enum": lambda value: bool(value) and _distinct_texts(value), "required": _distinct_texts,
    "properties": _valid_properties, "additionalProperties": lambda value: isinstance(value, bool) or _valid(value),
    "items": _valid, "pattern": _valid_pattern, "minimum": _finite, "maximum": _finite,
    **dict.fromkeys(("minItems", "maxItems", "minLength", "maxLength"), _count),
}  # fmt: skip
"""Which values of a keyword are surely valid, in draft 2020-12."""
