"""When two JSON values are the same, how much of one is in the other, and what is wrong where they differ.

    equal({"a": 1}, {"a": 1.0})              -> True     numbers by value
    equal({"a": 1}, {"a": True})             -> False    a boolean is no number
    matched({"a": 1, "b": 2}, {"a": 1})      -> [("a", "number")]       one of two gold leaves
    fault({"a": 1, "b": 2}, {"a": 1})        -> "missing field"

All of it walks values of at most MAX_DEPTH levels; what is deeper is refused before it comes here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from lathe.records import Json
from lathe.tasks._assignment import best_pairs, best_pairs_in_order
from lathe.tasks._json.place import NOWHERE, Place

MAX_DEPTH = 64
"""Levels of nesting beyond which a value is refused: keeps every recursive walk far from Python's limit."""

Leaf = tuple[str, str]
"""The field and the type of a value that holds no others."""
DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?", re.ASCII)
LONGEST_CLASS = 80
"""Characters of a field's name: an answer may make up any."""

FAULTS = ("wrong type", "missing field", "extra field", "wrong list length", "wrong value")
"""What can be wrong with a value, the most informative first."""


def too_deep(value: Json) -> bool:
    """Whether a value nests deeper than MAX_DEPTH. Walks without recursion, so any depth can be asked."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return False
        level = [part for outer in level for part in _parts(outer) if isinstance(part, (dict, list))]
    return any(map(len, level))


def _parts(container: Json) -> Iterable[Json]:
    return container.values() if isinstance(container, dict) else container


def kind(value: Json) -> str:
    """The JSON type by name; integer and real numbers are one type, booleans are another."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"


def equal(gold: Json, said: Json) -> bool:
    """Objects without order, lists in order, numbers by value, strings by every character, `true` unequal to 1."""
    if kind(gold) != kind(said):
        return False
    if isinstance(gold, dict):
        return gold.keys() == said.keys() and all(equal(part, said[key]) for key, part in gold.items())
    if isinstance(gold, list):
        return len(gold) == len(said) and all(equal(one, other) for one, other in zip(gold, said))
    return bool(gold == said)


def num_leaves(value: Json) -> int:
    """Leaves of the flattened value; an empty object or list is one leaf, so that leaving it out costs something."""
    if isinstance(value, dict | list) and value:
        return sum(num_leaves(part) for part in _parts(value))
    return 1


def matched(gold: Json, said: Json, place: Place = NOWHERE, field: str = "") -> list[Leaf]:
    """Leaves of `gold` that stand in `said` at the same place. field: what both are called.

    Object members meet by key. List items meet in order, with items skipped on either side where that matches more leaves: one
    forgotten item does not spoil all that follow it. Where the schema says that a list has no order, they meet wherever that
    matches most leaves.
    """
    if isinstance(gold, dict) and gold and isinstance(said, dict):
        shared = [key for key in gold if key in said]
        parts = [matched(gold[key], said[key], place.member(key), _member(field, key)) for key in shared]
        return [leaf for part in parts for leaf in part]
    if isinstance(gold, list) and gold and isinstance(said, list):
        found = [[matched(one, other, place.items, f"{field}[]") for other in said] for one in gold]
        pairs = (best_pairs if place.unordered else best_pairs_in_order)([[len(one) for one in row] for row in found])
        return [leaf for one, other in pairs for leaf in found[one][other]]
    return list(_leaves(gold, field)) if equal(gold, said) else []


Tally = dict[str, tuple[int, int, int]]
"""Class -> (matched, gold, said)."""


def by_class(gold: Json, said: Json, place: Place = NOWHERE, *, readable: bool) -> tuple[Tally, Tally]:
    """Matched, gold and said leaves by their field and by their type; leaves meet as in `matched`.

    A field is its keys, places in lists aside: `guests[].name`. A type is that of JSON, with dates told from other strings.
    readable: whether anything was said at all.
    """
    met, found = (matched(gold, said, place), list(_leaves(said, ""))) if readable else ([], [])
    leaves = met, list(_leaves(gold, "")), found
    return _tally(*([field for field, _ in some] for some in leaves)), _tally(
        *([kind for _, kind in some] for some in leaves)
    )


def _tally(met: list[str], wanted: list[str], found: list[str]) -> Tally:
    counts = [Counter(name[:LONGEST_CLASS] for name in some) for some in (met, wanted, found)]
    return {name: (counts[0][name], counts[1][name], counts[2][name]) for name in sorted(counts[1] | counts[2])}


def _leaves(value: Json, field: str) -> Iterator[Leaf]:
    """Every leaf as (field, type)."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _leaves(part, _member(field, key))
    elif isinstance(value, list) and value:
        for part in value:
            yield from _leaves(part, f"{field}[]")
    else:
        dated = isinstance(value, str) and DATE.fullmatch(value) is not None
        yield field or "value", "date" if dated else kind(value)


def _member(field: str, key: str) -> str:
    return f"{field}.{key}" if field else key


def fault(gold: Json, said: Json) -> str:
    """The most informative of FAULTS between two values; empty where they are equal."""
    found = set(_faults(gold, said))
    return next((name for name in FAULTS if name in found), "")


def _faults(gold: Json, said: Json) -> Iterator[str]:
    if kind(gold) != kind(said):
        yield "wrong type"
    elif isinstance(gold, dict):
        if gold.keys() - said.keys():
            yield "missing field"
        if said.keys() - gold.keys():
            yield "extra field"
        for key in gold.keys() & said.keys():
            yield from _faults(gold[key], said[key])
    elif isinstance(gold, list):
        if len(gold) != len(said):
            yield "wrong list length"
        else:
            for one, other in zip(gold, said):
                yield from _faults(one, other)
    elif gold != said:
        yield "wrong value"
