"""More rows of one row: its values exchanged on both sides, and a list of it drawn anew.

    Sensor: b-17                 Sensor: k-40
    Readings:                    Readings:
      Value: 3.5                   Value: 8.1
      Value: 8.2         ->        Value: 8.2
                                   Value: 3.1

    {"sensor": "b-17", "readings": [{"value": 3.5}, {"value": 8.2}]}
    {"sensor": "k-40", "readings": [{"value": 8.1}, {"value": 8.2}, {"value": 3.1}]}

A model that is shown the same values again and again learns them by heart; one that never sees a value twice has to look. All that
is put in is made of the training rows' own values (`other_values`), and only where a value of the answer stands in the text letter
for letter (`places`), so that the variant is right where its row is. A number that the text does not state may have been worked out
from others: then the row's numbers and lists stay. Known for labelled sequences as mention replacement (Dai and Adel 2020, arXiv
2010.11683).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from random import Random

from lathe.errors import TaskMismatch
from lathe.records import Example, Json
from lathe.tasks._json.variants.lists import drawn_anew, lists
from lathe.tasks._json.variants.other_values import OtherValues
from lathe.tasks._json.variants.places import BOOLEANS, Field, Path, Place, at, field, is_stated, places

DRAWN_ANEW = 0.6
"""Of the variants of a row with lists, so many have one of them drawn anew."""
TRIES = 3
"""Variants that may break the row's schema before the row is given as it is."""


def of_rows(rows: Sequence[Example], count: int, example: Callable[[Example, str, Json], Example]) -> Iterator[Example]:
    """`count` variants of each row, in order. example: the item of a text and an answer, like that of a row; it may raise
    TaskMismatch."""
    others = stated_values(rows)
    for row in rows:
        for number in range(1, count + 1):
            made = _made(row, others, Random(f"{row.id} {number}"), example)
            messages = (*row.messages[:-1], made.messages[-1])
            yield made.model_copy(update={"id": f"{row.id}+{number}", "made_of": row.id, "messages": messages})


def stated_values(rows: Iterable[Example]) -> OtherValues:
    """The values that stand in the rows' texts, by schema and field."""
    return OtherValues(
        (_field(row, path), at(row.target, path)) for row in rows for path in places(row.input, row.target)
    )


def variant(row: Example, others: OtherValues, rng: Random) -> tuple[str, Json]:
    """Text and answer of one variant; those of the row itself where nothing in it can be exchanged."""
    text, target = row.input, row.target
    found = places(text, target)
    if is_stated(target, found) and rng.random() < DRAWN_ANEW:
        candidates = lists(text, target, found)
        if candidates:
            text, target = drawn_anew(text, target, rng.choice(candidates), rng)
            found = places(text, target)
    return _exchanged(row, text, target, found, others, rng)


def _made(row: Example, others: OtherValues, rng: Random, example: Callable[[Example, str, Json], Example]) -> Example:
    """A variant that fits the row's schema, else the row."""
    for _ in range(TRIES):
        try:
            return example(row, *variant(row, others, rng))
        except TaskMismatch:
            continue
    return row


def _exchanged(
    row: Example, text: str, target: Json, found: Mapping[Path, Place], others: OtherValues, rng: Random
) -> tuple[str, Json]:
    """Each value that has a place exchanged, in the text and in the answer; numbers only where all are stated."""
    made, stated = copy.deepcopy(target), is_stated(target, found)
    parts: list[tuple[Place, str]] = []
    for path, place in found.items():
        value = at(target, path)
        if isinstance(value, str | bool) or stated:
            other, said = _other(_field(row, path), value, place.said, others, rng)
            at(made, path[:-1])[path[-1]] = other
            parts.append((place, said))
    for place, said in sorted(parts, key=lambda part: -part[0].start):
        text = text[: place.start] + said + text[place.end :]
    return text, made


def _other(name: Field, value: Json, said: str, others: OtherValues, rng: Random) -> tuple[Json, str]:
    """Another value of a field, and how the text says it."""
    if isinstance(value, bool):
        other = rng.random() < 0.5
        return other, BOOLEANS[other][BOOLEANS[value].index(said)]
    other = others.other(name, value, rng)
    return other, other if isinstance(other, str) else json.dumps(other)


def _field(row: Example, path: Path) -> Field:
    return (row.meta.get("schema", ""), *field(path))
