"""What all records share: frozen, documented, versioned, and written as plain JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Json = Any
"""A JSON value: None, bool, int, float, str, list or dict of those."""


def canonical(value: Json) -> str:
    """One text per JSON value: sorted keys, no spaces, unicode kept. Hashes are taken over it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def label_text(value: Json) -> str | None:
    """The name of a class as text: a text itself, a whole number without its point (pandas writes 1 as 1.0 beside gaps), true or
    false; None for any other value, which names no class."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else canonical(value) if isinstance(value, int) else None


def label_texts(values: Sequence[Json]) -> list[str]:
    """The names of a set of classes, in its order, each once and without blanks around it; what names no class is left out."""
    names = (text.strip() for text in map(label_text, values) if text is not None)
    return list(dict.fromkeys(name for name in names if name))


def digest(value: Json) -> str:
    """sha256, in hex, of the canonical text of a JSON value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


class Written(BaseModel):
    """What a person writes: an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class Record(BaseModel):
    """What Lathe writes: unknown keys are kept, so that an older Lathe loses nothing of a newer one's record."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False, populate_by_name=True)

    def dump(self) -> Json:
        """The record as a JSON value, by alias, ready for `canonical`."""
        return self.model_dump(mode="json", by_alias=True)

    def to_json(self) -> str:
        """The record as the indented JSON text that stands on disk."""
        return json.dumps(self.dump(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote. Raises pydantic.ValidationError where a field is missing or of another type."""
        return cls.model_validate_json(text)


class StageRecord(Record):
    """The record that a stage writes last. It stands for: this stage is done, for these inputs."""

    schema_version: Literal[1] = 1
    inputs: str = Field(
        description="sha256 of everything the stage read: recipe parts, files, versions, upstream records"
    )
    seconds: float = Field(0.0, description="wall seconds that the stage took when it ran")


class Interval(Record):
    """An estimate with its doubt: lower end, best guess, upper end, all in the same unit."""

    low: float
    value: float
    high: float
