"""What tasks ask of a row; each refusal says what was expected, what is there, what to do.

FIELDS = Fields("intent", {"input": ("text", "question")})
FIELDS.text(row, setup, "input", "the text")
->  TaskMismatch: intent expects the field 'input' (the text); the row has 'question', 'label'
    The nearest is 'question'. Map it in the recipe: data: {fields: {input: question}}
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lathe.errors import TaskMismatch
from lathe.records import Json, Row, TaskSetup, digest

UNSTATED = "unstated"
"""Slice value of a row that does not say: it is counted under this name, never dropped."""


@dataclass(frozen=True)
class Fields:
    """The fields of a task's rows. usual: other names that a field often has."""

    task: str
    usual: Mapping[str, Sequence[str]]

    def value(self, row: Row, setup: TaskSetup, name: str, what: str) -> Any:
        """A field that must be there; else TaskMismatch with the fields that are, the nearest, and how to map it."""
        column = column_of(setup, name)
        if column in row:
            return row[column]
        near = difflib.get_close_matches(column, list(row), n=1) or [
            one for one in self.usual.get(name, ()) if one in row
        ]
        guess = near[0] if near else "YOUR_FIELD"
        raise TaskMismatch(
            f"{self.task} expects the field {column!r} ({what}); the row has {', '.join(map(repr, row)) or 'no fields'}",
            hint=(f"The nearest is {guess!r}. " if near else "")
            + f"Map it in the recipe: data: {{fields: {{{name}: {guess}}}}}",
        )

    def text(self, row: Row, setup: TaskSetup, name: str, what: str) -> str:
        """A text that says something. Raises TaskMismatch where there is none."""
        text = self.value(row, setup, name, what)
        if not isinstance(text, str) or not text.strip():
            raise TaskMismatch(
                f"{self.task} expects {column_of(setup, name)!r} to be a text that says something, got {shown(text)}",
                hint=f"Take the row out, or map another field: data: {{fields: {{{name}: YOUR_FIELD}}}}",
            )
        if not is_unicode(text):
            raise TaskMismatch(
                f"{self.task} expects {column_of(setup, name)!r} to be Unicode, got a text with half of a surrogate pair",
                hint="Read the file as UTF-8 when you make it, or take the row out.",
            )
        return text

    def schema(self, row: Row, setup: TaskSetup) -> tuple[str, Json]:
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
                f"{self.task} expects the field {setup.schema_key!r} to name one of {len(setup.schemas)} schemas; "
                f"the row has {', '.join(map(repr, row))}",
                hint="Name the field that does in the recipe: schema: {key: YOUR_FIELD}",
            )
        near = difflib.get_close_matches(str(name), list(setup.schemas), n=1)
        raise TaskMismatch(
            f"the row names the schema {shown(name)}, which is not among the {len(setup.schemas)} given",
            hint=f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(setup.schemas)[:30])}.",
        )


def column_of(setup: TaskSetup, name: str) -> str:
    """The column of a field, as the recipe maps it."""
    return setup.fields.get(name, name)


def label(row: Row, setup: TaskSetup, name: str) -> str:
    """The row's slice value of that name, UNSTATED where it has none."""
    value = row.get(column_of(setup, name))
    return str(value) if isinstance(value, str | int) and value != "" else UNSTATED


def identity(row: Row, setup: TaskSetup, prompt: str) -> str:
    """The row's own id, else a hash of its prompt."""
    given = row.get(column_of(setup, "id"))
    return str(given) if isinstance(given, str | int) and given != "" else digest(prompt)[:16]


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8; JSON's escapes can smuggle in half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: Any) -> str:
    """A value as an error names it: not too long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
