"""Other values for a field, made of those that the training rows have.

A field whose values repeat (a status, a currency) gives one of its own. Any other value is one of the field's whose runs of letters
and of digits are exchanged: as often as not for those of its other values, place by place among values of one shape, so that each
part of a date or a name stays one that occurred; else for what no row need have shown: any row's words that begin alike, and of
codes and numbers each character.

    2031-05-03, 1999-12-24, 2004-07-19 ...   ->  2004-12-03
    "Better rise than fall", "Hotel right"   ->  "Hotel rise fall fall" or "Station below maple than"
    b-17, k-40, f3a9                         ->  k-17 or w-93 or b0f2
"""

from __future__ import annotations

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from lathe.records import Json

_RUN = re.compile(r"(?:(?!(?<=\d)T\d)[^\W_])+")
"""Letters and digits; the T of a point in time stands between two."""
_DIGITS = "0123456789"
REPEATS = 2
"""Of how many values of a field one is new, at most, where it is one of a few kinds."""
ALIKE = 4
"""Values of one shape by whose parts another is made."""
ANEW = 0.5
"""Of so many values, runs are no others of the field."""


@dataclass
class Values:
    """The values of one field, as they are written."""

    all: list[str] = field(default_factory=list)
    """those that repeat as often as they do"""
    by_shape: dict[str, list[list[str]]] = field(default_factory=lambda: defaultdict(list))
    """the runs of each value once"""
    characters: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """those of codes, by kind"""
    distinct: set[str] = field(default_factory=set)

    def add(self, said: str) -> None:
        """Takes a value."""
        self.all.append(said)
        if said in self.distinct:
            return
        self.distinct.add(said)
        self.by_shape[_shape(said)].append(_RUN.findall(said))
        if _is_code(said):
            for one in "".join(_RUN.findall(said)):
                self.characters[_class(one)].add(one)

    @property
    def repeat(self) -> bool:
        """Whether they are of a few kinds."""
        return len(self.all) >= REPEATS * len(self.distinct)

    def character(self, one: str, rng: Random) -> str:
        """Another of a code or a number: any digit, or a letter of the field's codes."""
        return rng.choice(_DIGITS) if one.isdigit() else rng.choice(sorted(self.characters[_class(one)]))


class OtherValues:
    """Values by field, and the words of all of them."""

    def __init__(self, stated: Iterable[tuple[tuple[str, ...], Json]]) -> None:
        """stated: field and value, for each that stands in a training row."""
        self._fields: dict[tuple[str, ...], Values] = defaultdict(Values)
        self._words: dict[str, list[str]] = defaultdict(list)
        for name, value in stated:
            said = _written(value)
            self._fields[name].add(said)
            for run in [] if _is_code(said) else _RUN.findall(said):
                self._words[_class(run)].append(run)

    def other(self, name: tuple[str, ...], value: Json, rng: Random) -> Json:
        """A value of the field of the same type; the value itself where none was made."""
        if name not in self._fields:
            return value
        values = self._fields[name]
        said = rng.choice(values.all) if values.repeat else self._made(values, isinstance(value, str), rng)
        if isinstance(value, str):
            return said
        made = _read(said)
        return made if type(made) is type(value) else value

    def _made(self, values: Values, is_text: bool, rng: Random) -> str:
        """One of the values with other runs."""
        said = rng.choice(values.all)
        alike, code, anew = values.by_shape[_shape(said)], _is_code(said), rng.random() < ANEW

        def other(place: int, run: str) -> str:
            if anew and (code or not is_text):
                return "".join(values.character(one, rng) for one in run)
            if (anew or len(alike) < ALIKE) and not (code or run.isdigit()):
                return rng.choice(self._words[_class(run)])
            return rng.choice(alike)[place]

        places = itertools.count()
        return _RUN.sub(lambda run: other(next(places), run[0]), said)


def _written(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _read(said: str) -> Json:
    """The value that JSON reads there; None where it reads none."""
    try:
        return json.loads(said)
    except ValueError:
        return None


def _is_code(said: str) -> bool:
    """Whether letters and digits stand in one run."""
    return any(run.isalnum() and not run.isdigit() and not run.isalpha() for run in _RUN.findall(said))


def _shape(said: str) -> str:
    """What a value looks like when its runs are covered; those of a code keep their lengths."""
    code = _is_code(said)
    return _RUN.sub(lambda run: "x" * len(run[0]) if code else "9" if run[0].isdigit() else "a", said)


def _class(run: str) -> str:
    """What may stand for a word, or for one character: what begins alike."""
    if run[0].isdigit():
        return "digit"
    return "capitals" if len(run) > 1 and run.isupper() else "capital" if run[0].isupper() else "small"
