"""F1 of a set of items by class: no mean over items, so its interval comes from resampling items and pooling anew.

    counts = [{"pay": (1, 1, 1)}, {"pay": (0, 1, 0), "cancel": (0, 0, 1)}]      # one entry an item: class -> (matched, gold, said)
    score(counts, "macro_f1", 0.95).value     -> 0.667    pay: 2 x 1 / (2 + 1); nothing was to be cancelled

macro_f1: the mean over the classes that gold has in the set, so that a rare class weighs as much as a frequent one; an answer of
another class counts against the gold class that it missed. micro_f1: one F1 over all counts together.

A resample has not all classes of the set, and where rare ones are wrong it has a higher macro F1: of 73 items with 16 classes of
one item each, 0.18 lay in [0.21, 0.34]. So resamples are laid about the value of the set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from lathe.stats.means import FEWEST, Bootstrap, Statistic, bootstrap, bounded_mean

if TYPE_CHECKING:
    from typing_extensions import TypeIs

FEW_A_CLASS = 5
"""Where most classes have fewer in the set, intervals that say 0.95 covered the macro F1 of the population in 0.81 to 0.93 of
simulated samples (`bench/macro_f1_coverage.py`); else in 0.91 to 0.97."""
Average = Literal["macro_f1", "micro_f1"]
Counts = Mapping[str, tuple[int, int, int]]
"""Of one item: class -> (matched, gold, said), whole numbers."""


@dataclass(frozen=True)
class Pooled:
    """A number over a set of items. bounds: None for fewer than `FEWEST` items."""

    value: float
    bounds: Bootstrap | None


def is_pooled(kind: str) -> TypeIs[Average]:
    """Whether a kind of metric is one that is pooled over the set."""
    return kind in ("macro_f1", "micro_f1")


def score(counts: Sequence[Counts], average: Average, confidence: float) -> Pooled:
    """The F1 of one or more items with its interval: where resampling shows no spread, that of as many equal scores."""
    found = _pooled(_table(counts), lambda sums: f1(sums, average), confidence)
    if found.bounds is None:
        return found
    if found.bounds.low < found.bounds.high:
        low, high = max(0.0, found.bounds.low), min(1.0, found.bounds.high)
        return Pooled(found.value, found.bounds._replace(low=low, high=high))
    low, high = bounded_mean([found.value] * len(counts), confidence)  # 33 right of 33 do not prove 0.99
    return Pooled(found.value, found.bounds._replace(low=low, high=high))


def thin_classes(counts: Sequence[Counts]) -> tuple[int, int]:
    """(classes of gold with fewer than FEW_A_CLASS, all classes of gold) of a set.

    Where most are so few, the interval of macro F1 is too narrow: the F1 of so small a class is off to one side, which no way of
    resampling sees.
    """
    gold = Counter[str]()
    for one in counts:
        gold.update({name: there for name, (_, there, _) in one.items() if there})
    return sum(there < FEW_A_CLASS for there in gold.values()), len(gold)


def difference(first: Sequence[Counts], second: Sequence[Counts], average: Average, confidence: float) -> Pooled:
    """First minus second, both over the same items in the same order, resampled together."""
    tables = _table(first), _table(second)
    split = len(tables[0])
    return _pooled(
        np.concatenate(tables), lambda sums: f1(sums[:split], average) - f1(sums[split:], average), confidence
    )


def f1(sums_XR: NDArray[np.float64], average: Average) -> NDArray[np.float64]:
    """F1 of each of R sets, shape (R,). sums: shape (3 x classes, R): matched of each class, then gold, then said.

    2 x matched / (gold + said). A set in which nothing is to be found has 1 where nothing was said, else 0.
    """
    matched_CR, gold_CR, said_CR = sums_XR.reshape(3, -1, sums_XR.shape[1])
    empty_R = np.where(said_CR.sum(axis=0) > 0, 0.0, 1.0)
    if average == "micro_f1":
        both_R = (gold_CR + said_CR).sum(axis=0)
        return np.where(both_R > 0, 2 * matched_CR.sum(axis=0) / np.maximum(both_R, 1), empty_R)
    there_CR = gold_CR > 0
    classes_R = there_CR.sum(axis=0)
    each_CR = np.where(there_CR, 2 * matched_CR / np.maximum(gold_CR + said_CR, 1), 0.0)
    return np.where(classes_R > 0, each_CR.sum(axis=0) / np.maximum(classes_R, 1), empty_R)


def _table(counts: Sequence[Counts]) -> NDArray[np.float64]:
    """Columns for resampling, shape (3 x classes, items)."""
    classes = {name: place for place, name in enumerate(sorted({name for one in counts for name in one}) or [""])}
    table_3CN = np.zeros((3, len(classes), len(counts)))
    for item, one in enumerate(counts):
        for name, numbers in one.items():
            table_3CN[:, classes[name], item] = numbers
    return table_3CN.reshape(-1, len(counts))


def _pooled(table_XN: NDArray[np.float64], statistic: Statistic, confidence: float) -> Pooled:
    value = float(statistic(table_XN.sum(axis=1, keepdims=True))[0])
    enough = table_XN.shape[1] >= FEWEST
    return Pooled(value, bootstrap(table_XN, statistic, confidence, about=value) if enough else None)
