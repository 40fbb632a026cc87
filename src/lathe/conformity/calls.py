"""The JSON Schema of a list of calls, from the schemas of the functions' arguments.

of_calls({"stop": {"type": "object", "properties": {}}})
->  a list of objects {"name": "stop", "arguments": {}}
"""

from __future__ import annotations

from collections.abc import Mapping

from lathe.conformity.narrowed import moved
from lathe.records import Json


def of_calls(functions: Mapping[str, Json]) -> dict[str, Json]:
    """Calls of these functions, any number and order, none among them. functions: by name the schema of the arguments."""
    calls: list[Json] = [
        {
            "type": "object",
            "properties": {
                "name": {"const": name},
                "arguments": moved(arguments, f"/items/anyOf/{place}/properties/arguments"),
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for place, (name, arguments) in enumerate(functions.items())
    ]
    return {"type": "array", "items": {"anyOf": calls}} if calls else {"type": "array", "maxItems": 0}
