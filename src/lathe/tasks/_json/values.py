"""When two JSON values are the same, how much of one is in the other, and what is wrong where they differ.

    equal({"a": 1}, {"a": 1.0})              -> True     numbers by value
    equal({"a": 1}, {"a": True})             -> False    a boolean is no number
    field_f1({"a": 1, "b": 2}, {"a": 1})     -> 0.667    one of two gold leaves found, none invented
    fault({"a": 1, "b": 2}, {"a": 1})        -> "missing field"

All of it walks values of at most MAX_DEPTH levels; what is deeper is refused before it comes here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from lathe.records import Json

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
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [part for outer in level if isinstance(outer, (dict, list)) for part in _parts(outer)]
        if not level:
            return False
    return True


def _parts(container: Json) -> list[Json]:
    return list(container.values()) if isinstance(container, dict) else container


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


def num_matched(gold: Json, said: Json) -> int:
    """Leaves of `gold` that stand in `said` at the same place.

    Object members meet by key. List items meet in order, with items skipped on either side where that matches more leaves (the
    longest-common-subsequence recurrence, weighted by leaves): one forgotten item does not spoil all that follow it.
    """
    if isinstance(gold, dict) and gold and isinstance(said, dict):
        return sum(num_matched(part, said[key]) for key, part in gold.items() if key in said)
    if isinstance(gold, list) and gold and isinstance(said, list):
        best = [0] * (len(said) + 1)
        for part in gold:
            before = best
            best = [0]
            for place, other in enumerate(said):
                best.append(max(best[-1], before[place + 1], before[place] + num_matched(part, other)))
        return best[-1]
    return int(equal(gold, said))


def field_f1(gold: Json, said: Json) -> float:
    """Harmonic mean of precision and recall over leaves: 2 x matched / (leaves of gold + leaves of said). 1.0 only where equal."""
    return 2 * num_matched(gold, said) / (num_leaves(gold) + num_leaves(said))


Tally = dict[str, tuple[int, int, int]]
"""Class -> (matched, gold, said)."""


def by_class(gold: Json, said: Json, *, readable: bool) -> tuple[Tally, Tally]:
    """Matched, gold and said leaves by their field and by their type; leaves meet as in `num_matched`.

    A field is its keys, places in lists aside: `guests[].name`. A type is that of JSON, with dates told from other strings.
    readable: whether anything was said at all.
    """
    matched, found = (list(_met(gold, said, "")), list(_leaves(said, ""))) if readable else ([], [])
    leaves = matched, list(_leaves(gold, "")), found
    return _tally(*([field for field, _ in some] for some in leaves)), _tally(
        *([kind for _, kind in some] for some in leaves)
    )


def _tally(matched: list[str], wanted: list[str], found: list[str]) -> Tally:
    counts = [Counter(name[:LONGEST_CLASS] for name in some) for some in (matched, wanted, found)]
    return {name: (counts[0][name], counts[1][name], counts[2][name]) for name in sorted(counts[1] | counts[2])}


def _leaves(value: Json, field: str) -> Iterator[Leaf]:
    """Every leaf as (field, type)."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _leaves(part, f"{field}.{key}" if field else key)
    elif isinstance(value, list) and value:
        for part in value:
            yield from _leaves(part, f"{field}[]")
    else:
        dated = isinstance(value, str) and DATE.fullmatch(value) is not None
        yield field or "value", "date" if dated else kind(value)


def _met(gold: Json, said: Json, field: str) -> Iterator[Leaf]:
    """The gold leaves that `num_matched` counts."""
    if isinstance(gold, dict) and gold and isinstance(said, dict):
        for key, part in gold.items():
            if key in said:
                yield from _met(part, said[key], f"{field}.{key}" if field else key)
    elif isinstance(gold, list) and gold and isinstance(said, list):
        for one, other in _paired(gold, said):
            yield from _met(one, other, f"{field}[]")
    elif equal(gold, said):
        yield from _leaves(gold, field)


def _paired(gold: list[Json], said: list[Json]) -> Iterator[tuple[Json, Json]]:
    """The items that meet where most leaves match, in order."""
    worth = [[num_matched(one, other) for other in said] for one in gold]
    best = [[0] * (len(said) + 1) for _ in range(len(gold) + 1)]
    for i in range(len(gold) - 1, -1, -1):
        for j in range(len(said) - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + worth[i][j])
    i = j = 0
    while i < len(gold) and j < len(said):
        if worth[i][j] and best[i][j] == best[i + 1][j + 1] + worth[i][j]:
            yield gold[i], said[j]
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1


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
