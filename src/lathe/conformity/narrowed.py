"""A JSON Schema made wider where a grammar cannot follow it, and narrower where an answer would never end.

    without({"type": "string", "format": "date"}, {"format"})                    ->  {"type": "string"}
    reduced(schema, accepted)                                                    ->  schema, ("format",)
    bounded({"type": "array", "items": {"type": "string"}}, Bounds.over([["nut", "bolt"]]))
    ->  {"type": "array", "items": {"type": "string", "maxLength": 24}, "maxItems": 6}

Pure: whether a schema is accepted (as a grammar, and with all right answers) is asked of the caller.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lathe.records import Json

NAMED = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
"""Keywords whose value holds schemas by names that are no keywords."""
NO_SCHEMA = {"enum", "const", "default", "examples", "required", "dependentRequired"}
"""Keywords whose value is data, in which a key that reads like a keyword is none."""
MAY_GO = {
    "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "uniqueItems", "minItems", "maxItems", "contains", "minContains", "maxContains", "additionalItems", "unevaluatedItems",
    "minProperties", "maxProperties", "propertyNames", "unevaluatedProperties", "dependentRequired", "dependentSchemas",
    "dependencies", "not", "if", "then", "else", "oneOf",
}  # fmt: skip
"""Keywords that can be left out: without any other one nothing would be known of an answer's shape."""

HEADROOM = 2
"""Rows to come may need more than those that were seen."""
SPARE_CHARACTERS, SPARE_ITEMS, SPARE_DIGITS = 16, 2, 2
SHAPED_CHARACTERS = 64
"""Room for a string with a pattern or a format, which may need more than the strings that were seen."""
MOST_DIGITS, MOST_DECIMALS = 15, 10
"""Of a number that llguidance can bound."""


# ------------------------------------------------------------------------------------------ made wider


def reduced(schema: Json, accepted: Callable[[Json], bool]) -> tuple[Json, tuple[str, ...]] | None:
    """The schema without the fewest keywords that stand in the way, and which those are; None where no leaving out helps.

    A keyword goes wherever it stands. `oneOf` is taken as `anyOf`.
    """
    if accepted(schema):
        return schema, ()
    dropped = [key for key in keywords_in(schema) if key in MAY_GO]
    if not accepted(without(schema, dropped)):
        return None
    for keyword in tuple(dropped):
        fewer = [other for other in dropped if other != keyword]
        if accepted(without(schema, fewer)):
            dropped = fewer
    return without(schema, dropped), tuple(dropped)


def keywords_in(schema: Json) -> list[str]:
    """The keywords that stand anywhere in a schema, each once."""
    found: dict[str, None] = {}

    def look(part: dict[str, Json]) -> dict[str, Json]:
        found.update(dict.fromkeys(part))
        return part

    _rebuilt(schema, look)
    return list(found)


def without(schema: Json, keywords: Collection[str]) -> Json:
    """The schema with these keywords left out everywhere."""

    def change(part: dict[str, Json]) -> dict[str, Json]:
        kept = {key: value for key, value in part.items() if key not in keywords}
        if "oneOf" in part and "oneOf" in keywords and "anyOf" not in part:
            kept["anyOf"] = part["oneOf"]
        return kept

    return _rebuilt(schema, change)


# ------------------------------------------------------------------------------------------ made narrower


@dataclass(frozen=True)
class Bounds:
    """What a value may have at most, where its schema does not say. digits and decimals: before and after the point of a number;
    None = no bound, as where a right answer is written 1e-05."""

    characters: int
    items: int
    digits: int | None
    decimals: int | None

    @classmethod
    def over(cls, values: Iterable[Json]) -> Bounds:
        """Twice as much as the most that these values have, and a little."""
        characters = items = digits = decimals = 0
        for value in (leaf for whole in values for leaf in _all_values(whole)):
            if isinstance(value, str):
                characters = max(characters, len(value))
            elif isinstance(value, list):
                items = max(items, len(value))
            elif isinstance(value, int | float) and not isinstance(value, bool):
                written = re.fullmatch(r"-?(\d+)(?:\.(\d+))?", json.dumps(value))
                before, after = (len(written[1]), len(written[2] or "")) if written else (MOST_DIGITS + 1, 0)
                digits, decimals = max(digits, before), max(decimals, after)
        countable = digits <= MOST_DIGITS and decimals <= MOST_DECIMALS
        return cls(
            characters=_more(characters, SPARE_CHARACTERS),
            items=_more(items, SPARE_ITEMS),
            digits=min(_more(digits, SPARE_DIGITS), MOST_DIGITS) if countable else None,
            decimals=min(_more(decimals, SPARE_DIGITS), MOST_DECIMALS) if countable else None,
        )


def bounded(schema: Json, bounds: Bounds) -> Json:
    """The schema with an upper bound on each string, number and list that has none; what a schema says itself stands."""

    def change(part: dict[str, Json]) -> dict[str, Json]:
        if "enum" in part or "const" in part:
            return part
        named = part.get("type")
        types = named if isinstance(named, list) else [named]
        added: dict[str, Json] = {}
        if "string" in types:
            shortest = SHAPED_CHARACTERS if {"pattern", "format"} & part.keys() else _number(part, "minLength")
            added["maxLength"] = max(bounds.characters, shortest)
        if "array" in types:
            added["maxItems"] = max(bounds.items, _number(part, "minItems"))
        if {"integer", "number"} & set(types) and bounds.digits is not None:
            largest = 10.0**bounds.digits if "number" in types else 10**bounds.digits
            lower = {"minimum": -largest} if "exclusiveMinimum" not in part else {}
            upper = {"maximum": largest} if "exclusiveMaximum" not in part else {}
            added |= {**lower, **upper}
            if "number" in types:
                added["multipleOf"] = float(f"1e-{bounds.decimals}")
        return {**added, **part}

    return _rebuilt(schema, change)


def closed(schema: Json) -> Json:
    """The schema with no other keys in an object than those that it names, where it does not say."""

    def change(part: dict[str, Json]) -> dict[str, Json]:
        return {"additionalProperties": False, **part} if "properties" in part else part

    return _rebuilt(schema, change)


def moved(schema: Json, pointer: str) -> Json:
    """A whole schema as a part of another one, at a JSON pointer there: what refers to its own parts still finds them."""

    def change(part: dict[str, Json]) -> dict[str, Json]:
        target = part.get("$ref")
        if isinstance(target, str) and (target == "#" or target.startswith("#/")):
            return {**part, "$ref": f"#{pointer}{target[1:]}"}
        return part

    whole = _rebuilt(schema, change)
    return (
        {key: part for key, part in whole.items() if key not in ("$schema", "$id")}
        if isinstance(whole, dict)
        else whole
    )


# ------------------------------------------------------------------------------------------ walks


def _rebuilt(schema: Json, change: Callable[[dict[str, Json]], dict[str, Json]]) -> Json:
    """The schema with every part of it changed, the innermost first."""
    if isinstance(schema, list):
        return [_rebuilt(part, change) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts: dict[str, Json] = {}
    for key, value in schema.items():
        if key in NAMED and isinstance(value, dict):
            parts[key] = {name: _rebuilt(part, change) for name, part in value.items()}
        else:
            parts[key] = value if key in NO_SCHEMA else _rebuilt(value, change)
    return change(parts)


def _all_values(value: Json) -> Iterator[Any]:
    """A value and all values in it; keys of objects are none."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, dict | list):
            waiting.extend(part.values() if isinstance(part, dict) else part)


def _more(longest: int, spare: int) -> int:
    return HEADROOM * longest + spare


def _number(part: dict[str, Json], key: str) -> int:
    value = part.get(key)
    return value if isinstance(value, int) else 0
