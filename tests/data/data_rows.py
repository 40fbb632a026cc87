"""Rows that are right, and a recipe over given files: what the tests of the data stage share."""

from __future__ import annotations

import json
from typing import Any

from lathe.records import LockedRecipe, Recipe
from lathe.runs import RunFolder

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "number"}},
    "required": ["city", "degrees"],
}
CITIES = ("Oslo", "Lima", "Kyoto", "Accra", "Quito", "Turin", "Perth", "Dakar", "Minsk", "Hanoi")


def good_row(number: int) -> dict[str, Any]:
    """A row of json_extraction; no two have the same text."""
    city, degrees = CITIES[number % len(CITIES)], number / 4
    return {
        "id": f"row-{number}",
        "input": f"Station {number} in {city} says {degrees} degrees.",
        "target": {"city": city, "degrees": degrees},
    }


def good_lines(count: int, first: int = 0) -> list[bytes]:
    return [json.dumps(good_row(number)).encode() for number in range(first, first + count)]


def locked(data: dict[str, Any], schema: dict[str, Any] | None = None) -> LockedRecipe:
    recipe = {"name": "test", "base": "lathe:nano", "task": "json_extraction", "data": data, "schema": schema or {}}
    return LockedRecipe(inputs="locked", recipe=Recipe.model_validate(recipe), base_folder="/nowhere")


def files_of(run: RunFolder) -> list[str]:
    """Everything that stands below a run folder, hidden files too."""
    return sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file())
