"""Many looks, many tests, more rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

MOST_ROWS = 1_000_000
"""Beyond so many rows `rows_needed` says None: nobody will collect them."""


def spent(alpha: float, look: int) -> float:
    """The part of an error budget that look number `look` (from 1) at the same test rows may spend: 6 alpha / (pi look)^2.

    The parts of all looks, however many, sum to alpha, because the reciprocal squares sum to pi^2 / 6 (Basel problem);
    so nobody has to say beforehand how often they will look. An alpha-spending rule in the sense of Lan and DeMets (1983),
    Biometrika 70:659; these weights are those of Ramdas et al. (2017), arXiv:1710.00499, for testing without an end.
    """
    return alpha * 6 / (math.pi * look) ** 2


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for being many, in the order given. Holm (1979), Scandinavian Journal of Statistics 6:65."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def rows_needed(decides: Callable[[int], bool], n: int) -> int | None:
    """The fewest rows, above the n there are, at which `decides` holds and keeps holding; None beyond a million.

    decides: says whether so many rows would decide if every rate stayed as it was measured. It is taken to hold for all larger
    numbers once it holds, which is true of intervals that shrink around an estimate.
    """
    few, many = n, 2 * n
    while not decides(many):
        few, many = many, 2 * many
        if many > MOST_ROWS:
            return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if decides(middle) else (middle, many)
    return many
