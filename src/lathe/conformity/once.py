"""What follows from a JSON Schema alone is worked out once for each schema, not once for each of a million rows.

    @once_per_schema
    def shape(schema): ...

A schema is known again by being the same object: nobody changes one after it was read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

from lathe.records import Json

Result = TypeVar("Result")
SCHEMAS = 256
"""Schemas kept at a time."""


class _Same:
    """An object as a key that equals itself alone. It keeps the object, so that no other can take its place in memory."""

    __slots__ = ("value",)

    def __init__(self, value: Json) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value


def once_per_schema(function: Callable[[Json], Result]) -> Callable[[Json], Result]:
    """The same function, which keeps what it gave back for the last schemas; what raises is tried again."""
    known = lru_cache(maxsize=SCHEMAS)(lambda key: function(key.value))
    return wraps(function)(lambda schema: known(_Same(schema)))
