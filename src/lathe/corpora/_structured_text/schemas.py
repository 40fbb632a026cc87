"""Random schemas that fit a room, records of them, and the ways in which a task shows a schema."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from lathe.corpora._structured_text import fields, words
from lathe.corpora._structured_text.fields import Field, json_type, key, target
from lathe.corpora._structured_text.renderings import dump


def json_schema(schema: Sequence[Field], style: str, rng: Random | None = None) -> dict[str, Any]:
    """The schema as JSON Schema; with `rng` some descriptions are thrown in."""
    properties: dict[str, Any] = {}
    for field in schema:
        if field.kind == "object":
            entry = json_schema(field.children, style, rng)
        elif field.kind == "rows":
            entry = {"type": "array", "items": json_schema(field.children, style, rng)}
        elif field.kind == "list":
            entry = {"type": "array", "items": {"type": json_type(field.children[0].kind)}}
        else:
            entry = {"type": json_type(field.kind)}
            if field.choices:
                entry["enum"] = list(field.choices)
            if field.kind in ("date", "datetime", "email", "uuid") and (rng is None or rng.random() < 0.6):
                entry["format"] = {"datetime": "date-time"}.get(field.kind, field.kind)
        if rng is not None and rng.random() < 0.05:
            entry["description"] = words.phrase(rng, 2, 5)
        properties[key(field.label, style)] = entry
    required = [key(field.label, style) for field in schema if not field.optional]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def shape(schema: Sequence[Field], style: str, notation: str) -> str:
    """A compact notation of the schema: names alone, types, or types under quoted keys (as Lathe's prompts have it)."""
    parts = []
    for field in schema:
        name = key(field.label, style)
        name = f'"{name}"' if notation == "quoted" else name
        name += "?" if field.optional and notation != "names" else ""
        if field.kind == "object":
            parts.append(f"{name}: {shape(field.children, style, notation)}")
        elif field.kind == "rows":
            parts.append(f"{name}: [{shape(field.children, style, notation)}]")
        elif notation == "names":
            parts.append(name)
        elif field.kind == "list":
            parts.append(f"{name}: [{json_type(field.children[0].kind)}]")
        elif field.choices:
            quote, joint = ('"', "|") if notation == "quoted" else ("", " | ")
            parts.append(f"{name}: {joint.join(quote + choice + quote for choice in field.choices)}")
        else:
            parts.append(f"{name}: {field.kind if field.kind in ('date', 'datetime') else json_type(field.kind)}")
    return "{" + ", ".join(parts) + "}"


def schema_text(schema: Sequence[Field], style: str, rng: Random) -> str:
    """The schema in one of its notations, behind one of the words that announce it."""
    draw = rng.random()
    if draw < 0.3:
        body = dump(json_schema(schema, style, rng if rng.random() < 0.5 else None), rng.choice((None, None, None, 2)))
    elif draw < 0.75:
        body = shape(schema, style, "quoted")
    elif draw < 0.88:
        body = shape(schema, style, "types")
    elif draw < 0.95:
        body = shape(schema, style, "names")
    else:
        body = ", ".join(key(field.label, style) for field in schema)
    return (
        rng.choice(
            (
                "Schema: ",
                "Schema:\n",
                "Fields: ",
                "JSON schema:\n",
                "Shape: ",
                "Format: ",
                "",
                "Use this schema:\n",
                "Keys: ",
            )
        )
        + body
    )


def _random_schema(rng: Random, room: int) -> tuple[Field, ...]:
    """A schema that fits the room: some 60 characters of text and as many of JSON for each leaf."""
    size = rng.randint(2, max(3, min(14, room // 220)))
    depth = 0 if room < 500 else rng.choice((0, 1, 1, 2)) if room < 2500 else rng.choice((0, 1, 2, 2, 3))
    return fields.schema(rng, size, depth)


def _rows(room: int, rng: Random) -> tuple[int, int]:
    most = 2 if room < 900 else 4 if room < 2500 else rng.choice((4, 8, 14))
    return (1, most)


def fitted(rng: Random, room: int, parts: int = 1) -> tuple[tuple[Field, ...], str, list[dict[Field, Any]]]:
    """A schema, a key style and `parts` records whose JSON together takes at most about a third of the room."""
    for attempt in range(8):
        schema = _random_schema(rng, room // (parts * (attempt + 1)))
        records = [fields.fill(schema, rng, _rows(room // (parts * (attempt + 1)), rng)) for _ in range(parts)]
        style = rng.choice(("snake", "snake", "snake", "camel", "words", "kebab", "pascal"))
        if sum(len(dump(target(record, style), None)) for record in records) < room * 0.36:
            break
    return schema, style, records


def scalars(rng: Random, count: int) -> list[Field]:
    """`count` required scalar fields, none of them as long as a sentence."""
    taken: set[tuple[str, ...]] = set()
    drawn = (fields.scalar_field(rng, taken) for _ in range(count))
    return [Field(f.label, "phrase" if f.kind == "sentence" else f.kind, choices=f.choices) for f in drawn]


def filled(columns: Sequence[Field], rng: Random) -> dict[Field, Any]:
    """A value for each of these fields."""
    return {column: fields.scalar(column, rng) for column in columns}
