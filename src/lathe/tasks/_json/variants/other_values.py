"""Other values for a field, made of those that the training rows have in it.

A field whose values repeat (a status, a currency) gives one of its own. Any other value is put together: the runs of letters and
of digits of one value of the field are exchanged for those of others, place by place among values of one shape (dates, numbers,
codes: each part stays one that occurred), else for any run of the field that begins alike.

    2031-05-03, 1999-12-24, 2004-07-19 ...   ->  2004-12-03
    "Better rise than fall", "Hotel right"   ->  "Hotel rise fall fall"
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from lathe.records import Json

_RUN = re.compile(r"[^\W_]+")
_MIXED = re.compile(r"[^\W\d_]\d|\d[^\W\d_]")
REPEATS = 2
"""Of how many values of a field one is new, at most, where it is one of a few kinds."""
ALIKE = 4
"""Values of one shape by whose parts another is made."""


@dataclass
class Values:
    """The values of one field, as they are written."""

    counts: Counter[str] = field(default_factory=Counter)
    by_shape: dict[str, list[list[str]]] = field(default_factory=lambda: defaultdict(list))
    runs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, said: str) -> None:
        """Takes a value; one that was there counts, and gives no new parts."""
        self.counts[said] += 1
        if self.counts[said] == 1:
            runs = _RUN.findall(said)
            self.by_shape[_shape(said)].append(runs)
            for run, kind in zip(runs, _kinds(said), strict=True):
                self.runs[kind].append(run)

    def other(self, rng: Random) -> str:
        """A value of the field, made or as it was."""
        if self.counts.total() >= REPEATS * len(self.counts):
            return rng.choices(list(self.counts), list(self.counts.values()))[0]
        said = rng.choice(list(self.counts))
        alike = self.by_shape[_shape(said)]
        if len(alike) >= ALIKE:
            parts = [rng.choice(alike)[place] for place in range(len(alike[0]))]
        else:
            parts = [rng.choice(self.runs[kind]) for kind in _kinds(said)]
        left = iter(parts)
        return _RUN.sub(lambda run: next(left), said)


class OtherValues:
    """Values by field."""

    def __init__(self, stated: Iterable[tuple[tuple[str, ...], Json]]) -> None:
        """stated: field and value, for each that stands in a training row."""
        self._fields: dict[tuple[str, ...], Values] = defaultdict(Values)
        for name, value in stated:
            self._fields[name].add(_written(value))

    def other(self, name: tuple[str, ...], value: Json, rng: Random) -> Json:
        """A value of the field of the same type; the value itself where none was made."""
        if name not in self._fields:
            return value
        said = self._fields[name].other(rng)
        if isinstance(value, str):
            return said
        made = _read(said)
        return made if type(made) is type(value) else value


def _written(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _read(said: str) -> Json:
    """The value that JSON reads there; None where it reads none."""
    try:
        return json.loads(said)
    except ValueError:
        return None


def _shape(said: str) -> str:
    """What a value looks like when its runs are covered: those of a code (letters and digits in one) keep their lengths."""
    code = _MIXED.search(said) is not None
    return _RUN.sub(lambda run: "x" * len(run[0]) if code else "9" if run[0].isdigit() else "a", said)


def _kinds(said: str) -> list[str]:
    """What may stand for each run: for those of a code and for digits, what is as long; else letters
    that begin alike."""
    if _MIXED.search(said):
        return [f"{len(run)} of a code" for run in _RUN.findall(said)]
    return [f"{len(run)} digits" if run.isdigit() else _case(run) for run in _RUN.findall(said)]


def _case(run: str) -> str:
    return "capitals" if len(run) > 1 and run.isupper() else "capital" if run[0].isupper() else "small"
