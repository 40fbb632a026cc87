"""What a row must have to be an item of `json_extraction`; each refusal says what was expected, what is there, what to do."""

from __future__ import annotations

import json

from lathe import conformity
from lathe.errors import TaskMismatch
from lathe.records import Json, Row, TaskSetup
from lathe.tasks._json import reading, values
from lathe.tasks._rows import Fields, column_of, shown

FIELDS = Fields(
    "json_extraction",
    {
        "input": ("prompt", "text", "document"),
        "target": ("expected_output", "output", "completion", "json", "answer"),
    },
)

_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False)


def target(row: Row, setup: TaskSetup) -> Json:
    """The gold value, an object or an array; read from its JSON text where the row has that. Raises TaskMismatch."""
    column = column_of(setup, "target")
    target = FIELDS.value(row, setup, "target", "the JSON value to extract, or its text")
    if isinstance(target, str):
        try:
            target = reading.read_exactly(target)
        except ValueError as error:
            raise TaskMismatch(
                f"json_extraction expects {column!r} to be JSON, got a text that is none: {error}",
                hint="Give the value itself or a text that is one JSON object or array and nothing else.",
            ) from error
    if not isinstance(target, dict | list):
        raise TaskMismatch(
            f"json_extraction expects {column!r} to be a JSON object or array, got {shown(target)}",
            hint='Wrap a single value in an object: {"answer": ...}',
        )
    if values.too_deep(target):
        raise TaskMismatch(
            f"json_extraction reads at most {values.MAX_DEPTH} levels of nesting, {column!r} has more",
            hint="Take the row out, or flatten its value.",
        )
    return target


def written(target: Json, setup: TaskSetup) -> str:
    """The gold value as the text that a model should write. Raises TaskMismatch where it is none of JSON."""
    try:
        text = _ENCODER.encode(target)
        text.encode()
    except (ValueError, TypeError) as error:
        raise TaskMismatch(
            f"json_extraction expects {column_of(setup, 'target')!r} to be JSON, got a value that is none: {error}",
            hint="Mend the row, or take it out.",
        ) from error
    return text


def check(name: str, schema: Json, target: Json) -> None:
    """The gold value must fit its own schema, else `schema_valid` would measure the data, not the model.

    An empty object is let through: it stands for "not known", as in a text that the model is asked about.
    """
    if target == {}:
        return
    fits = None if conformity.problem_with(schema) else conformity.conforms(schema, target)
    if fits is None:
        reason = conformity.problem_with(schema) or "it refers to something outside of itself, or to itself without end"
        raise TaskMismatch(f"the schema {name!r} cannot be applied: {reason}", hint="Mend the schema file.")
    if not fits:
        raise TaskMismatch(
            f"the target does not fit the schema {name!r} at {conformity.first_misfit(schema, target)}",
            hint="Mend the row, or the schema.",
        )
