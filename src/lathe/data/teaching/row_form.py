"""The JSON Schema of an invented row, from the task's schemas and from rows that are right.

row_form(task, setup, [{"input": "List files", "target": "ls"}], None, 0, 5)
->  {"type": "object", "properties": {"input": {"type": "string"}, "target": {"type": "string"}}, "required": [...]}
"""

from __future__ import annotations

from collections.abc import Sequence

from lathe.contracts import Task
from lathe.records import Json, Row, TaskSetup, canonical

EARLIER = ("messages",)
"""Columns with what was said before: an invented row begins with its text."""
TYPES = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"), (dict, "object"))


def column(setup: TaskSetup, field: str) -> str:
    """The column of a task's field."""
    return setup.fields.get(field, field)


def row_form(task: Task, setup: TaskSetup, shapes: Sequence[Row], named: str | None, number: int, count: int) -> Json:
    """The form of one row.

    shapes: rows that are right; what all of them have, an invented row has too. named: the schema of its answer. number and count:
    of the request and its rows; where answers are labels, each request is about the next few of them, so that none is forgotten.
    """
    asked, answered = column(setup, "input"), column(setup, "target")
    passed_over = {asked, answered, column(setup, "id"), setup.schema_key, *EARLIER}
    further = [key for key in (shapes[0] if shapes else {}) if key not in passed_over and all(key in r for r in shapes)]
    properties: dict[str, Json] = {asked: {"type": "string"}}
    properties |= {key: like([row[key] for row in shapes]) for key in further}
    properties[answered] = answer_form(task, setup, shapes, named, number, count)
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def answer_form(
    task: Task, setup: TaskSetup, shapes: Sequence[Row], named: str | None, number: int, count: int
) -> Json:
    """The form of the answer alone."""
    schema = setup.schemas.get(named or "")
    if isinstance(schema, dict):
        labels = schema.get("enum")
        if isinstance(labels, list) and labels:
            return {
                "enum": [labels[(number * count + place) % len(labels)] for place in range(min(count, len(labels)))]
            }
        # A reference is to a place in the whole document, which it would not be inside another schema.
        return schema if '"$ref"' not in canonical(schema) else {"type": schema.get("type", "object")}
    answers = [row[column(setup, "target")] for row in shapes if column(setup, "target") in row]
    return (
        like(answers)
        if answers and task.answers == "json"
        else {"type": "object" if task.answers == "json" else "string"}
    )


def like(values: Sequence[Json]) -> Json:
    """The schema of the one type that all values have; of anything where they differ."""
    found = {next((name for kind, name in TYPES if isinstance(value, kind)), "null") for value in values}
    return {"type": found.pop()} if len(found) == 1 else {}
