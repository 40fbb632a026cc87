"""What follows from a JSON Schema alone is worked out once for each schema, not once for each of a million rows.

    @once_per_schema
    def shape(schema): ...

A schema is known again by being the same object: nobody changes one after it was read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from lathe.records import Json

Result = TypeVar("Result")
SCHEMAS = 256
"""Schemas kept at a time, each a few kilobytes."""


def once_per_schema(function: Callable[[Json], Result]) -> Callable[[Json], Result]:
    """The same function, which keeps what it gave back for SCHEMAS schemas; what raises is tried again."""
    # It keeps the schema too, so that no other can take its place in memory.
    known: dict[int, tuple[Json, Result]] = {}

    @wraps(function)
    def kept(schema: Json) -> Result:
        found = known.get(id(schema))
        if found is None:
            if len(known) >= SCHEMAS:
                known.clear()
            found = known[id(schema)] = schema, function(schema)
        return found[1]

    return kept
