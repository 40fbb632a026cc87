"""What a schema is made of before it is JSON Schema: fields, groups, lists and tables, with the words that people use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal

from lathe.corpora._edge_json.kinds import Choice, Kind, YesNo

if TYPE_CHECKING:
    from lathe.records import Json

Complexity = Literal["simple", "medium", "complex"]


@dataclass(frozen=True)
class Field:
    """One value. labels: names in listings, the key's own words first; say: clauses for running text with {} for the value."""

    key: str
    kind: Kind
    labels: tuple[str, ...]
    say: tuple[str, ...] = ()
    optional: bool = False

    def schema(self) -> dict[str, Json]:
        return {**self.kind.schema(), "description": f"{self.labels[0]}. {_rule(self.kind)}"}

    def draw(self, rng: Random) -> Json:
        return self.kind.draw(rng)


@dataclass(frozen=True)
class Group:
    """An object inside an object."""

    key: str
    labels: tuple[str, ...]
    parts: tuple[Part, ...]
    optional: bool = False

    def schema(self) -> dict[str, Json]:
        return {**_object(self.parts), "description": f"{self.labels[0]}."}

    def draw(self, rng: Random) -> Json:
        return _draw(self.parts, rng)


@dataclass(frozen=True)
class Several:
    """A list of values of one kind, in the order of the text. say: clauses with {} for the enumeration."""

    key: str
    kind: Kind
    labels: tuple[str, ...]
    say: tuple[str, ...]
    least: int = 1
    most: int = 4
    optional: bool = False

    def schema(self) -> dict[str, Json]:
        return {
            "type": "array", "items": self.kind.schema(), "minItems": 1,
            "description": f"{self.labels[0]}, in the order of the text. {_rule(self.kind)}",
        }  # fmt: skip

    def draw(self, rng: Random) -> Json:
        found: list[Json] = []
        for _ in range(rng.randint(self.least, self.most)):
            value = self.kind.draw(rng)
            if value not in found:
                found.append(value)
        return found


@dataclass(frozen=True)
class Table:
    """A list of objects, in the order of the text. say: a sentence for one item, with {key} for each of its required values."""

    key: str
    labels: tuple[str, ...]
    parts: tuple[Part, ...]
    say: tuple[str, ...]
    least: int = 1
    most: int = 4
    optional: bool = False

    def schema(self) -> dict[str, Json]:
        return {
            "type": "array", "items": _object(self.parts), "minItems": 1,
            "description": f"{self.labels[0]}, in the order of the text.",
        }  # fmt: skip

    def draw(self, rng: Random) -> Json:
        return [_draw(self.parts, rng) for _ in range(rng.randint(self.least, self.most))]


Part = Field | Group | Several | Table


@dataclass(frozen=True)
class Plan:
    """One schema of the corpus. settle: makes the invariants hold in a freshly drawn record, in place."""

    name: str
    complexity: Complexity
    title: str
    parts: tuple[Part, ...]
    settle: Callable[[Random, dict[str, Json]], None] | None = None
    invariants: str = ""
    """For people: what holds in every record."""

    def schema(self) -> dict[str, Json]:
        said = f"{self.title}. A value that is corrected in the text counts as corrected. {self.invariants}".strip()
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.title, "description": said, **_object(self.parts),
        }  # fmt: skip

    def draw(self, rng: Random) -> dict[str, Json]:
        """A record in which the invariants hold."""
        record = _draw(self.parts, rng)
        if self.settle is not None:
            self.settle(rng, record)
        return record


def _draw(parts: tuple[Part, ...], rng: Random) -> dict[str, Json]:
    return {part.key: part.draw(rng) for part in parts if not part.optional or rng.random() < 0.6}


def _object(parts: tuple[Part, ...]) -> dict[str, Json]:
    return {
        "type": "object",
        "properties": {part.key: part.schema() for part in parts},
        "required": [part.key for part in parts if not part.optional],
        "additionalProperties": False,
    }


def _rule(kind: Kind) -> str:
    """What stands after `Rule:` is shown to the model: wordings that nobody could guess. The rest is for people."""
    if isinstance(kind, YesNo):
        return f'True: yes, true, y or "{kind.yes}"; false: no, false, n or "{kind.no}".'
    if isinstance(kind, Choice):
        return (
            "Rule: " + ", ".join(f"{other} = {meant}" for other, meant in kind.said)
            if kind.said
            else "One of the list."
        )
    return kind.rule


def field(key: str, kind: Kind, labels: str, say: str = "", optional: bool = False) -> Field:
    """A Field whose labels and clauses are written with bars between them."""
    return Field(key, kind, tuple(labels.split("|")), tuple(say.split("|")) if say else (), optional)


def fields(parts: tuple[Part, ...]) -> Iterator[Field]:
    """All single values among some parts, at any depth."""
    for part in parts:
        if isinstance(part, Field):
            yield part
        elif isinstance(part, Group | Table):
            yield from fields(part.parts)
