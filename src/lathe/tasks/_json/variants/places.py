"""Where the values of an answer stand in its text, letter for letter.

    places("Age: 31, city: Bern", {"age": 31, "city": "Bern"})
    ->  {("age",): Place(5, 7, "31"), ("city",): Place(15, 19, "Bern")}

A value has a place only where there is no doubt: it stands as often in the text as in the answer, by itself and not within a longer
word, number or value, nor before an `am` or `pm`, which make one clock time two; a boolean also only behind a mark, as the end of
its line or cell. Of equal values the first in the answer is the
first in the text, where the row's answer keeps to the order of its text; else they have a place only if they are values of one
field.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lathe.records import Json

Path = tuple[str | int, ...]
Field = tuple[str, ...]

BOOLEANS = {True: ("true", "True", "TRUE", "yes", "Yes"), False: ("false", "False", "FALSE", "no", "No")}
"""How booleans are written, the opposites at one place."""
_BEGINS = re.compile(r"(?<![\w@])(?<!\w[./'-])(?<!\d[:,])")
_ENDS = re.compile(r"(?![\w@]|[./'-]\w|[:,]\d|\s?[aApP]\.?[mM]\b)")
_BEHIND_MARK = re.compile(r"(?<=[:=|>,\t])|(?<=[:=|>,-] )")
_ENDS_CELL = re.compile(r"\s*(?:$|\n|[|,;])")


@dataclass(frozen=True)
class Place:
    """Where a value stands, in characters, and how it is written there."""

    start: int
    end: int
    said: str


def parts(value: Json) -> Iterable[tuple[str | int, Json]]:
    """What an object or an array holds, with key or position; nothing for other values."""
    return value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()


def leaves(value: Json, path: Path = ()) -> Iterator[tuple[Path, Json]]:
    """All values that are neither objects nor arrays, and all empty ones of those, in order."""
    if not isinstance(value, dict | list) or not value:
        yield path, value
    for key, part in parts(value):
        yield from leaves(part, (*path, key))


def at(value: Json, path: Path) -> Json:
    """The part of a value to which a path leads."""
    for step in path:
        value = value[step]
    return value


def field(path: Path) -> Field:
    """The field that a path is one value of: the same for all items of a list."""
    return tuple("*" if isinstance(step, int) else step for step in path)


def places(text: str, target: Json) -> dict[Path, Place]:
    """The place of each value that has one, in the answer's order."""
    wanted: dict[str, list[Path]] = {}
    for path, value in leaves(target):
        for said in _said(value, text):
            wanted.setdefault(said, []).append(path)
    found: dict[Path, Place] = {}
    taken = bytearray(len(text))
    for said, paths in sorted(wanted.items(), key=lambda item: -len(item[0])):
        spans = [(start, end) for start, end in _by_itself(said, text) if not any(taken[start:end])]
        for start, end in spans:
            taken[start:end] = b"\1" * (end - start)
        if len(spans) == len(paths):
            found |= {path: Place(start, end, said) for path, (start, end) in zip(paths, spans, strict=True)}
    return _without_doubt({path: found[path] for path, _ in leaves(target) if path in found}, wanted)


def is_stated(target: Json, found: Mapping[Path, Place]) -> bool:
    """Whether every number of an answer has a place, so that none can be one that was worked out from others."""
    numbers = (path for path, value in leaves(target) if isinstance(value, int | float) and not isinstance(value, bool))
    return all(path in found for path in numbers)


def _said(value: Json, text: str) -> tuple[str, ...]:
    """How a value is written, where that can be looked for."""
    if isinstance(value, bool):
        return tuple(itertools.islice((one for one in BOOLEANS[value] if one in text), 1))
    if isinstance(value, int | float):
        return (json.dumps(value),)
    return (value,) if isinstance(value, str) and any(map(str.isalnum, value)) else ()


def _by_itself(said: str, text: str) -> Iterator[tuple[int, int]]:
    """Where a text stands in another, and not within a longer word, number or value."""
    is_boolean = any(said in spoken for spoken in BOOLEANS.values())
    begins, ends = (_BEHIND_MARK, _ENDS_CELL) if is_boolean else (_BEGINS, _ENDS)
    start = text.find(said)
    while start >= 0:
        end = start + len(said)
        stands = begins.match(text, start) and ends.match(text, end)
        if stands:
            yield start, end
        start = text.find(said, end if stands else start + 1)


def _without_doubt(found: dict[Path, Place], wanted: Mapping[str, list[Path]]) -> dict[Path, Place]:
    """Without equal values of several fields, where the answer's order is not the text's."""
    single = [place.start for place in found.values() if len(wanted[place.said]) == 1]
    if all(a < b for a, b in itertools.pairwise(single)):
        return found
    of_one_field = {said for said, paths in wanted.items() if len({field(path) for path in paths}) == 1}
    return {path: place for path, place in found.items() if place.said in of_one_field}
