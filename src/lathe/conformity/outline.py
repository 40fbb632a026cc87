"""What a JSON Schema tells of its answers before they are written: all but the values, as json.dumps writes it.

    outline({"properties": {"cake": {"type": "string"}, "price": {"type": "number"}}})  ->  ('{"cake": "', '", "price": ', '}')

A value stands between each two of the texts. Alternatives stand there one behind the other, and a list has two items, so that what
stands between two is told as well: it is made to guess from, and is no answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

from lathe.conformity.once import once_per_schema
from lathe.conformity.references import resolve
from lathe.records import Json

VALUE = None
"""Stands for a value that the schema does not tell."""
STRING = ('"', VALUE, '"')
DEEPEST, MOST_PARTS = 12, 2000
"""Levels that are followed, and parts that are told: references can multiply without end."""


@once_per_schema
def outline(schema: Json) -> tuple[str, ...]:
    """The texts before, between and behind the values; two empty ones where the schema tells nothing."""
    texts = [""]
    for part in islice(_parts(schema, schema, DEEPEST, again=True), MOST_PARTS):
        if part is None:
            texts.append("")
        else:
            texts[-1] += part
    return tuple(texts)


def _parts(schema: Json, document: Json, depth: int, *, again: bool) -> Iterator[str | None]:
    """Texts and values of a part of the document. depth: levels that are still followed. again: whether a list has a second item,
    whose own lists have one."""
    if not isinstance(schema, dict) or not depth:
        yield VALUE
        return
    options = [one for key in ("anyOf", "oneOf", "allOf") if isinstance(schema.get(key), list) for one in schema[key]]
    if isinstance(reference := schema.get("$ref"), str):
        yield from _parts(resolve(document, reference), document, depth - 1, again=again)
    elif "const" in schema:
        yield json.dumps(schema["const"], ensure_ascii=False)
    elif isinstance(values := schema.get("enum"), list):
        yield from STRING if all(isinstance(value, str) for value in values) else (VALUE,)
    elif isinstance(properties := schema.get("properties"), dict) and properties:
        for place, (key, value) in enumerate(properties.items()):
            yield ("{", ", ")[place > 0] + json.dumps(key, ensure_ascii=False) + ": "
            yield from _parts(value, document, depth - 1, again=again)
        yield "}"
    elif isinstance(items := schema.get("items"), dict):
        yield "["
        yield from _parts(items, document, depth - 1, again=again)
        if again:
            yield ", "
            yield from _parts(items, document, depth - 1, again=False)
        yield "]"
    elif said := [one for one in options if not (isinstance(one, dict) and _types(one) == ["null"])]:
        for place, option in enumerate(said):
            yield from (", ",)[: place > 0]
            yield from _parts(option, document, depth - 1, again=again)
    else:
        yield from STRING if "string" in _types(schema) else (VALUE,)


def _types(schema: dict[str, Json]) -> list[Json]:
    """The types that a value may have."""
    named = schema.get("type", [])
    return named if isinstance(named, list) else [named]
