"""What a schema says of a place in a value beyond JSON Schema's own words.

    {"type": "number", "x-tolerance": 0.01}      12.5 and 12.505 are the same
    {"type": "string", "x-tolerance": 0}         "2026-11-20" and "2026-11-20T00:00Z" are the same: dates and times, in seconds
    {"type": "array", "x-unordered": true}       items meet those that they match best, wherever these stand

A schema that says neither tolerates nothing. `$ref` to its own `$defs`, `properties`, `items` and `anyOf` are followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from lathe.conformity.once import once_per_schema
from lathe.records import Json

TOLERANCE = "x-tolerance"
UNORDERED = "x-unordered"
OF_FIXED_FORM = ("enum", "const", "format")
"""Keywords of texts that are not free."""


class Place:
    """A place in a value, known by all parts of the schema that speak of it."""

    def __init__(self, root: Json, schemas: Iterable[Json]) -> None:
        seen: set[int] = set()
        self._root = root
        self._known = [one for schema in schemas for one in _meant(root, schema, seen)]
        self._members: dict[str, Place] = {}

    def member(self, key: str) -> Place:
        """The place of an object's member."""
        if key not in self._members:
            found = [part[key] for part in self._said("properties") if isinstance(part, dict) and key in part]
            if not found:
                return NOWHERE
            self._members[key] = Place(self._root, found)
        return self._members[key]

    @cached_property
    def items(self) -> Place:
        """The place of a list's items, the same for all."""
        return Place(self._root, found) if (found := self._said("items")) else NOWHERE

    @cached_property
    def tolerance(self) -> float | None:
        """How far numbers, or dates and times in seconds, may be apart; None = not at all."""
        return max((one for one in self._said(TOLERANCE) if is_number(one)), default=None)

    @cached_property
    def unordered(self) -> bool:
        """Whether the items of a list may stand anywhere in it."""
        return any(one is True for one in self._said(UNORDERED))

    @cached_property
    def fixed(self) -> bool:
        """Whether texts are one of some, or of a format."""
        return any(self._said(keyword) for keyword in OF_FIXED_FORM)

    def _said(self, keyword: str) -> list[Json]:
        return [one[keyword] for one in self._known if keyword in one]


NOWHERE = Place(None, ())
"""A place of which nothing is said."""


@once_per_schema
def top(schema: Json) -> Place:
    """The place of a whole value. schema: None = there is none."""
    return NOWHERE if schema is None else Place(schema, [schema])


def tolerates(schema: Json) -> bool:
    """Whether a schema tolerates anything anywhere."""
    if isinstance(schema, dict):
        return TOLERANCE in schema or UNORDERED in schema or any(tolerates(part) for part in schema.values())
    return isinstance(schema, list) and any(tolerates(part) for part in schema)


def is_number(value: Json) -> bool:
    """Whether a value is a number of JSON, which a boolean is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _meant(root: Json, schema: Json, seen: set[int]) -> Iterator[dict[str, Json]]:
    """A schema and those that stand for it: what it refers to, and its alternatives; each of them once."""
    if not isinstance(schema, dict) or id(schema) in seen:
        return
    seen.add(id(schema))
    yield schema
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    definitions = root.get("$defs") if isinstance(root, dict) else None
    if isinstance(definitions, dict) and name in definitions:
        yield from _meant(root, definitions[name], seen)
    for part in schema.get("anyOf") or ():
        yield from _meant(root, part, seen)
