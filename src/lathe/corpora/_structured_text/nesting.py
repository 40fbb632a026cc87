"""Drills of telling where things inside things begin and end: objects, rows and lists in one another, of short values.

    crew:                       {"crew": [{"name": "Anna", "since": 2019, "tools": ["saw"]},
        name = Anna                       {"name": "Bo", "tools": []}], "silver_rate": {"low": 4.1}}
        since = 2019
        tools
            saw         ->
        name = Bo
        tools
    silver rate
        low = 4.1

What a long nested record asks for besides copying is where a row ends and the next one begins, what stands a level
higher, and which brackets are open. So values are short, every key and bracket counts in full, rows lack fields, and a row's
beginning is told in one of many ways: by a mark, a number, a heading, an empty line, a closing line, or by nothing but
a label that cannot come next in the row before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from lathe.corpora._structured_text import fields
from lathe.corpora._structured_text.draft import ANSWER, FREE, Draft
from lathe.corpora._structured_text.fields import Field, Record, key, target
from lathe.corpora._structured_text.renderings import dump, json_text, surface, xml, yaml
from lathe.corpora._structured_text.schemas import shape

_KINDS = (
    "word", "word", "name", "name", "place", "code", "code", "title", "phrase", "coined", "email", "uuid", "company", "integer",
    "integer", "integer", "decimal", "decimal", "money", "boolean", "boolean", "date", "datetime",
)  # fmt: skip
_ITEMS = ("word", "name", "code", "phrase", "integer", "place")
_WISHES = (
    "As JSON.",
    "Write this as JSON.",
    "JSON of the same structure:",
    "The tree as JSON.",
    "Which JSON is this?",
    "",
)
_CHARACTERS_A_LEAF = 55
"""What a leaf takes in text, answer and schema together, roughly."""

Begins = Literal["mark", "number", "heading", "gap", "close", "order"]
"""What tells where a row begins."""


@dataclass(frozen=True)
class Layout:
    """How one document writes trees."""

    style: str
    """Of labels; one of `fields.key`."""
    joint: str
    """Between a label and its value."""
    opening: str
    """A label whose parts stand below it, {} its name."""
    indent: str
    begins: Begins
    mark: str
    """Before a row where marks tell rows, and before an item of a list; "" = items stand bare."""


def nesting(rng: Random, room: int) -> Draft:
    """A nested record in one layout, with its shape or without, and its JSON."""
    told = rng.random() < 0.5
    for attempt in range(8):
        leaves = 2 * room // (_CHARACTERS_A_LEAF * (attempt + rng.randint(2, 5)))
        schema = _schema(rng, max(4, leaves), rng.choice((1, 2, 3, 3)))
        style = rng.choice(("snake", "snake", "snake", "camel", "kebab")) if told else "snake"
        asked = f"\n\n{shape(schema, style, 'quoted')}" if told else ""
        layout = _layout(rng) if rng.random() < 0.8 else None
        record = _filled(schema, rng, told and layout is not None, rng.choice((2, 3, 3, 5)))
        text = _drawn(record, layout, told, rng)
        answer = dump(target(record, style), None)
        if len(asked) + len(text) + len(answer) < room * 0.95:
            break
    draft = Draft()
    parts = [part for part in (text, rng.choice(_WISHES) + asked) if part]
    draft.ask("\n\n".join(parts if rng.random() < 0.7 else parts[::-1]), FREE)
    draft.answer(answer, ANSWER)
    return draft


def _drawn(record: Record, layout: Layout | None, told: bool, rng: Random) -> str:
    if layout is None:
        render = rng.choice((yaml, xml, json_text) if told else (yaml, json_text))
        return render(record, rng, True)
    return "\n".join(lines(record, layout, rng, plain=rng.random() < 0.8))


def _schema(rng: Random, leaves: int, depth: int) -> tuple[Field, ...]:
    """Fields with about `leaves` values in a record of them, at most `depth` levels below."""
    taken: set[tuple[str, ...]] = set()
    made: list[Field] = []
    while leaves > 0:
        kind = rng.choice(("object", "rows", "rows", "list")) if depth > 0 and leaves > 2 and rng.random() < 0.5 else ""
        field = replace(fields.scalar_field(rng, taken), optional=rng.random() < 0.3)
        if kind == "list":
            item = Field(("item",), rng.choice(_ITEMS))
            field, used = replace(field, kind=kind, choices=(), children=(item,)), 2
        elif kind:
            # A schema's rows come two or three times in the text.
            share = min(12, max(2, int(leaves * rng.uniform(0.3, 0.8) / (2.5 if kind == "rows" else 1))))
            children = _schema(rng, share, depth - 1)
            field = replace(field, kind=kind, choices=(), children=children)
            used = int(share * (2.5 if kind == "rows" else 1))
        else:
            field, used = field if field.kind == "choice" else replace(field, kind=rng.choice(_KINDS)), 1
        made.append(field)
        leaves -= used
    return tuple(made)


def _filled(schema: Sequence[Field], rng: Random, may_be_empty: bool, most: int) -> dict[Field, Any]:
    """A record. may_be_empty: whether objects and lists may be; else lists and rows have two entries at least, so that a text
    without the shape says what they are. most: entries of a list, and rows."""
    record: dict[Field, Any] = {}
    for field in schema:
        if field.optional and rng.random() < 0.4 and (may_be_empty or len(record) > 0 or field is not schema[-1]):
            continue
        fewest = 0 if may_be_empty and rng.random() < 0.15 else 1 if may_be_empty else 2
        if field.kind == "object":
            record[field] = _filled(field.children, rng, may_be_empty, most)
        elif field.kind == "rows":
            record[field] = _rows(field.children, rng.randint(fewest, max(fewest, most)), rng, may_be_empty, most)
        elif field.kind == "list":
            record[field] = [
                fields.scalar(field.children[0], rng) for _ in range(rng.randint(fewest, max(fewest, most)))
            ]
        else:
            record[field] = fields.scalar(field, rng)
    return record


def _rows(children: Sequence[Field], count: int, rng: Random, may_be_empty: bool, most: int) -> list[dict[Field, Any]]:
    """Rows, none of them empty; each begins with a field that cannot follow the last one of the row before."""
    order = {field: number for number, field in enumerate(children)}
    rows: list[dict[Field, Any]] = []
    for _ in range(count):
        row = _filled(children, rng, may_be_empty, most)
        first = next(iter(row), None)
        if first is None or (rows and order[first] > order[list(rows[-1])[-1]]):
            begin = replace(children[0], optional=False)
            row = {children[0]: _filled((begin,), rng, may_be_empty, most)[begin], **row}
        rows.append(row)
    return rows


def _layout(rng: Random) -> Layout:
    layout = Layout(
        style=rng.choice(("title", "words", "words", "snake", "sentence", "upper", "camel", "kebab")),
        joint=rng.choice((": ", ": ", " = ", "=", " - ", "\t", " | ", " -> ")),
        opening=rng.choice(("{}:", "{}:", "{}", "[{}]", "{} ->", "* {}", "{} (below)")),
        indent=rng.choice(("  ", "  ", "    ", "\t", " ", "| ")),
        begins=rng.choice(("mark", "number", "heading", "gap", "close", "order", "order", "order")),
        mark=rng.choice(("- ", "* ", "+ ", "> ", "")),
    )
    # What bases are judged on is not imitated: EdgeJSON's listings tell rows by order under such labels.
    judged = layout.begins == "order" and layout.style == "title" and layout.joint == ": "
    return replace(layout, joint=" = ") if judged else layout


def lines(record: Record, layout: Layout, rng: Random, *, plain: bool) -> Iterator[str]:
    """The record, a line for each value, parts indented below the label of what holds them."""
    for field, value in record.items():
        label = key(field.label, layout.style)
        if field.kind not in ("object", "rows", "list"):
            yield f"{label}{layout.joint}{surface(value, rng, plain)}"
            continue
        yield layout.opening.format(label)
        if field.kind == "object":
            yield from (layout.indent + line for line in lines(value, layout, rng, plain=plain))
        elif field.kind == "list":
            yield from (f"{layout.indent}{layout.mark}{surface(item, rng, plain)}" for item in value)
        else:
            for number, row in enumerate(value, 1):
                own = list(lines(row, layout, rng, plain=plain))
                yield from (layout.indent + line for line in _row(own, number, label, layout))


def _row(own: list[str], number: int, label: str, layout: Layout) -> Iterator[str]:
    """A row's lines with what tells where it begins."""
    if layout.begins in ("mark", "number"):
        mark = f"{number}. " if layout.begins == "number" else layout.mark or "- "
        yield from ((mark if place == 0 else " " * len(mark)) + line for place, line in enumerate(own))
        return
    if layout.begins == "heading":
        yield f"{label} {number}"
    elif layout.begins == "gap" and number > 1:
        yield ""
    yield from own
    if layout.begins == "close":
        yield "--"
