"""What a row must have to be an item of `json_extraction`; each refusal says what was expected, what is there, what to do."""

from __future__ import annotations

import difflib
import json
from typing import Any

from lathe.errors import TaskMismatch
from lathe.records import Json, Row, TaskSetup
from lathe.tasks._json import conformity, reading, values

UNSTATED = "unstated"
"""Slice value of a row that does not say: it is counted under this name, never dropped."""


def _named(setup: TaskSetup, name: str) -> str:
    return setup.fields.get(name, name)


def label(row: Row, setup: TaskSetup, name: str) -> str:
    """The row's slice value of that name, UNSTATED where it has none."""
    value = row.get(_named(setup, name))
    return str(value) if isinstance(value, str | int) and value != "" else UNSTATED


def _field(row: Row, setup: TaskSetup, name: str, what: str) -> Any:
    """A field that must be there; else TaskMismatch with the fields that are, the nearest, and how to map it."""
    column = _named(setup, name)
    if column in row:
        return row[column]
    known = {
        "input": ("prompt", "text", "document"),
        "target": ("expected_output", "output", "completion", "json", "answer"),
    }
    near = difflib.get_close_matches(column, list(row), n=1) or [one for one in known.get(name, ()) if one in row]
    guess = near[0] if near else "YOUR_FIELD"
    raise TaskMismatch(
        f"json_extraction expects the field {column!r} ({what}); the row has {', '.join(map(repr, row)) or 'no fields'}",
        hint=(f"The nearest is {guess!r}. " if near else "")
        + f"Map it in the recipe: data: {{fields: {{{name}: {guess}}}}}",
    )


def document(row: Row, setup: TaskSetup) -> str:
    """The text to read. Raises TaskMismatch where there is none."""
    document = _field(row, setup, "input", "the document, a text")
    if not isinstance(document, str) or not document.strip():
        raise TaskMismatch(
            f"json_extraction expects {_named(setup, 'input')!r} to be a text that says something, got {_shown(document)}",
            hint="Take the row out, or map another field: data: {fields: {input: YOUR_FIELD}}",
        )
    if not _is_unicode(document):
        raise TaskMismatch(
            f"json_extraction expects {_named(setup, 'input')!r} to be Unicode, got a text with half of a surrogate pair",
            hint="Read the file as UTF-8 when you make it, or take the row out.",
        )
    return document


def _is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8; JSON's escapes can smuggle in half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def target(row: Row, setup: TaskSetup) -> Json:
    """The gold value, an object or an array; read from its JSON text where the row has that. Raises TaskMismatch."""
    column = _named(setup, "target")
    target = _field(row, setup, "target", "the JSON value to extract, or its text")
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
            f"json_extraction expects {column!r} to be a JSON object or array, got {_shown(target)}",
            hint='Wrap a single value in an object: {"answer": ...}',
        )
    if values.too_deep(target):
        raise TaskMismatch(
            f"json_extraction reads at most {values.MAX_DEPTH} levels of nesting, {column!r} has more",
            hint="Take the row out, or flatten its value.",
        )
    try:
        json.dumps(target, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, TypeError) as error:
        raise TaskMismatch(
            f"json_extraction expects {column!r} to be JSON, got a value that is none: {error}",
            hint="Mend the row, or take it out.",
        ) from error
    return target


def schema_of(row: Row, setup: TaskSetup) -> tuple[str, Json]:
    """Name and schema of a row; (name, None) where there are no schemas. A single schema is every row's."""
    name = row.get(setup.schema_key)
    if not setup.schemas:
        return (name, None) if isinstance(name, str) else ("", None)
    if isinstance(name, str) and name in setup.schemas:
        return name, setup.schemas[name]
    if name is None and len(setup.schemas) == 1:
        return next(iter(setup.schemas.items()))
    if name is None:
        raise TaskMismatch(
            f"json_extraction expects the field {setup.schema_key!r} to name one of {len(setup.schemas)} schemas; "
            f"the row has {', '.join(map(repr, row))}",
            hint="Name the field that does in the recipe: schema: {key: YOUR_FIELD}",
        )
    near = difflib.get_close_matches(str(name), list(setup.schemas), n=1)
    raise TaskMismatch(
        f"the row names the schema {_shown(name)}, which is not among the {len(setup.schemas)} given",
        hint=f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(setup.schemas)[:30])}.",
    )


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


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
