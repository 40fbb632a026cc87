"""Drills of nesting: a reader that knows the shape and the layout finds in the text what the answer says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lathe.corpora._structured_text import nesting
from lathe.corpora._structured_text.fields import Field, key, target
from lathe.corpora._structured_text.nesting import Begins, Layout
from lathe.corpora.structured_text import CORPUS
from lathe.records.pretrain import Mix

SEEDS = st.integers(0, 10**9)
INDENT, JOINT = "  ", " = "
LAYOUTS = {
    begins: Layout(style="snake", joint=JOINT, opening="{}:", indent=INDENT, begins=begins, mark="- ")
    for begins in get_args(Begins)
}


def _indented(lines: Sequence[str]) -> int:
    """How many of the first lines lie deeper than the text around them, or are empty."""
    return next((number for number, line in enumerate(lines) if line and not line.startswith(" ")), len(lines))


def _read(lines: list[str], schema: Sequence[Field], begins: Begins) -> dict[str, Any]:
    """The object that the lines tell; the values as they stand."""
    found: dict[str, Any] = {}
    while lines:
        line, lines = lines[0], lines[1:]
        name, joint, value = line.partition(JOINT)
        (field,) = (field for field in schema if key(field.label, "snake") == name.removesuffix(":"))
        name = key(field.label, "snake")
        assert name not in found
        if joint:
            found[name] = value
            continue
        inner, lines = [line[len(INDENT) :] for line in lines[: _indented(lines)]], lines[_indented(lines) :]
        if field.kind == "list":
            found[name] = [line.removeprefix("- ") for line in inner]
        elif field.kind == "object":
            found[name] = _read(inner, field.children, begins)
        else:
            found[name] = [_read(row, field.children, begins) for row in _rows(inner, name, field.children, begins)]
    return found


def _rows(lines: list[str], name: str, children: Sequence[Field], begins: Begins) -> list[list[str]]:
    """The lines of each row, cut where a row begins."""
    order = [key(field.label, "snake") for field in children]
    starts = {"heading": lambda line, rows: line == f"{name} {len(rows)}", "gap": lambda line, _: line == ""}
    starts["close"] = lambda line, _: line == "--"
    rows: list[list[str]] = [[]]
    last = -1
    for line in lines:
        outer = line and not line.startswith(" ")
        if begins in ("mark", "number"):
            if outer:
                rows.append([])
            rows[-1].append(line[len("- ") if begins == "mark" else len("1. ") :])
        elif begins in starts and starts[begins](line, rows):
            rows.append([])
        else:
            place = order.index(line.partition(JOINT)[0].removesuffix(":")) if outer else last
            if begins == "order" and outer and place <= last:
                rows.append([])
            last = place
            rows[-1].append(line)
    return [row for row in rows if row]


@pytest.mark.parametrize("begins", sorted(LAYOUTS))
@given(seed=SEEDS)
def test_a_text_says_where_each_row_begins_and_ends(begins: Begins, seed: int) -> None:
    rng = Random(seed)
    schema = nesting._schema(rng, 14, 2)
    record = nesting._filled(schema, rng, True, 3)
    text = list(nesting.lines(record, LAYOUTS[begins], rng, plain=True))
    shown = json.loads(json.dumps(target(record, "snake")), parse_int=str, parse_float=str, parse_constant=str)
    assert _read(text, schema, begins) == _as_shown(shown)


def _as_shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_shown(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_as_shown(inner) for inner in value]
    return {True: "true", False: "false", None: "null"}.get(value, value)


def test_without_a_shape_everything_that_is_many_has_two_entries() -> None:
    """Else a text would not tell a list of one from a value."""
    rng = Random(0)
    for _ in range(100):
        schema = nesting._schema(rng, 14, 2)
        lists = [
            value
            for value in _values(target(nesting._filled(schema, rng, False, 3), "snake"))
            if isinstance(value, list)
        ]
        assert all(len(one) > 1 for one in lists)


def _values(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(one for part in inner for one in _values(part))]


def test_documents_of_the_drill_are_nested_fit_their_room_and_answer_in_json() -> None:
    made = list(islice(CORPUS.documents(3, 0, Mix(longest_characters=2500, nesting_share=1.0)), 100))
    assert {one.family for one in made} == {"nesting"}
    assert sum(len(one.text) < 2700 for one in made) > 95
    answers = [json.loads(one.text.rpartition("assistant\n")[2].split("<|im_end|>")[0]) for one in made]
    assert sum(any(isinstance(one, dict | list) for one in answer.values()) for answer in answers) > 90


def test_listings_that_bases_are_judged_on_are_not_imitated() -> None:
    layouts = [nesting._layout(Random(seed)) for seed in range(3000)]
    assert {layout.begins for layout in layouts} == set(LAYOUTS)
    by_order = [layout for layout in layouts if layout.begins == "order" and layout.style == "title"]
    assert by_order
    assert not any(layout.joint == ": " for layout in by_order)
