"""F1 of one item from its counts by class, as `lathe.stats.pooled` has it of a set."""

from __future__ import annotations

from collections.abc import Mapping

Counts = Mapping[str, tuple[int, int, int]]
"""Class -> (matched, gold, said)."""


def f1(found: Counts) -> float:
    """2 x matched / (gold + said) over all classes; 1 where there was nothing to find and nothing was said."""
    matched, gold, said = (sum(one[place] for one in found.values()) for place in range(3))
    return 2 * matched / (gold + said) if gold + said else 1.0


def macro_f1(found: Counts) -> float:
    """The mean of the F1 of each class that gold has; where gold has none, 1 if nothing was said and else 0."""
    classes = [2 * matched / (gold + said) for matched, gold, said in found.values() if gold]
    return sum(classes) / len(classes) if classes else float(not found)
