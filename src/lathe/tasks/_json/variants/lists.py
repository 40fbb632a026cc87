"""Lists of an answer whose items have lines of the text for themselves, and such a list drawn anew.

    Tags:            Tags:                 ["red", "dry"]  ->  ["dry", "red", "red"]
      red              dry
      dry        ->    red
                       red

A list counts only where its lines tell where each item begins: the first value of an item has a place and begins its lines, which
are indented alike; nothing else of the answer stands between them; and lines without a value that end an item are as many as the
empty values that do. A heading over each item ("Item 2:") is thus no part of a list, and stays where it is.
"""

from __future__ import annotations

import bisect
import copy
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from lathe.records import Json
from lathe.tasks._json.variants.places import Path, Place, at, leaves, parts


@dataclass(frozen=True)
class Items:
    """One list: where it stands in the answer, and the lines of each of its items."""

    path: Path
    lines: tuple[range, ...]


def lists(text: str, target: Json, found: Mapping[Path, Place]) -> list[Items]:
    """Every list of two items or more that has lines of its own, in the answer's order."""
    lines = text.split("\n")
    begins = list(itertools.accumulate((len(line) + 1 for line in lines), initial=0))
    lines_of = {
        path: range(bisect.bisect_right(begins, place.start) - 1, bisect.bisect_right(begins, place.end - 1))
        for path, place in found.items()
    }
    made = (_items(path, value, lines_of) for path, value in _arrays(target) if len(value) > 1)
    return [
        one for one in made if one is not None and _alone(one, lines_of) and _alike(one, text, lines, begins, found)
    ]


def drawn_anew(text: str, target: Json, chosen: Items, rng: Random) -> tuple[str, Json]:
    """The list's items in another order, sometimes without one of them or with one of them twice. The text and the answer."""
    order = rng.sample(range(len(chosen.lines)), len(chosen.lines))
    change = rng.choice(("less", "more", "same", "same")) if len(order) > 2 else rng.choice(("more", "same"))
    order = order[:-1] if change == "less" else [*order, rng.choice(order)] if change == "more" else order
    lines = text.split("\n")
    moved = [line for item in order for line in lines[chosen.lines[item].start : chosen.lines[item].stop]]
    lines[chosen.lines[0].start : chosen.lines[-1].stop] = moved
    made = copy.deepcopy(target)
    holder = at(made, chosen.path)
    holder[:] = [copy.deepcopy(holder[item]) for item in order]
    return "\n".join(lines), made


def _arrays(value: Json, path: Path = ()) -> Iterator[tuple[Path, list[Json]]]:
    if isinstance(value, list):
        yield path, value
    for key, part in parts(value):
        yield from _arrays(part, (*path, key))


def _items(path: Path, value: Sequence[Json], lines_of: Mapping[Path, range]) -> Items | None:
    """The lines of the items; None where a value has none, or lines are left over."""
    firsts: list[int] = []
    ends: list[int] = []
    for number, item in enumerate(value):
        held = list(leaves(item, (*path, number)))
        full = [one for one, part in held if part not in ({}, [])]
        if not full or held[0][0] != full[0] or any(one not in lines_of for one in full):
            return None
        firsts.append(lines_of[full[0]].start)
        empty_at_end = len(held) - 1 - max(place for place, (one, _) in enumerate(held) if one in lines_of)
        ends.append(max(lines_of[one].stop for one in full) + empty_at_end)
    if ends[:-1] != firsts[1:]:
        return None
    return Items(path, tuple(map(range, firsts, ends)))


def _alone(items: Items, lines_of: Mapping[Path, range]) -> bool:
    """Whether the lines hold nothing else of the answer."""
    own, begin, end = len(items.path), items.lines[0].start, items.lines[-1].stop
    return all(
        lines.stop <= begin or lines.start >= end for path, lines in lines_of.items() if path[:own] != items.path
    ) and all(
        items.lines[int(path[own])].start <= lines.start and lines.stop <= items.lines[int(path[own])].stop
        for path, lines in lines_of.items()
        if path[:own] == items.path
    )


def _alike(items: Items, text: str, lines: Sequence[str], begins: Sequence[int], found: Mapping[Path, Place]) -> bool:
    """Whether the items begin alike: equally far to the right, and single values behind the same words."""
    firsts = [lines[one.start] for one in items.lines]
    if len({len(line) - len(line.lstrip()) for line in firsts}) > 1:
        return False
    singles = [(one.start, found.get((*items.path, number))) for number, one in enumerate(items.lines)]
    before = {re.sub(r"\d+", "9", text[begins[line] : place.start]) for line, place in singles if place is not None}
    return len(before) <= 1
