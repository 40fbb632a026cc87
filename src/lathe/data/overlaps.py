"""Rows that stand twice: on another side, on the same one, or with another answer. Pure functions on hashes.

groups = equal(inputs)                     runs of rows whose normalised inputs are equal
in_train(groups, sides)                    {"test": [rows that also stand in train], "validation": [...]}
conflicting(groups, targets)               groups with more than one answer
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Partners = dict[int, tuple[int, float]]
"""row -> (the row that it is like, how much: 1 is equal but for case, form and white space)"""


def equal(inputs_N: Hashes) -> list[NDArray[np.int64]]:
    """Rows with equal hashes, in groups of at least two, each in order; groups in the order of their first row."""
    if not len(inputs_N):
        return []
    order = np.argsort(inputs_N, kind="stable")
    ends = np.flatnonzero(np.diff(inputs_N[order])) + 1
    found = [group for group in np.split(order, ends) if len(group) > 1]
    return sorted(found, key=lambda group: int(group[0]))


def in_train(groups: Sequence[NDArray[np.int64]], side_N: Sequence[str | None]) -> dict[str, Partners]:
    """Rows of validation and of test whose input stands in train as well."""
    found: dict[str, Partners] = {"validation": {}, "test": {}}
    for group in groups:
        first = next((int(row) for row in group if side_N[row] == "train"), None)
        for row in group:
            side = side_N[row]
            if first is not None and side in found:
                found[side][int(row)] = (first, 1.0)
    return found


def across_held_out(groups: Sequence[NDArray[np.int64]], side_N: Sequence[str | None]) -> Partners:
    """Rows of test whose input stands in validation as well."""
    found: Partners = {}
    for group in groups:
        first = next((int(row) for row in group if side_N[row] == "validation"), None)
        if first is not None:
            found |= {int(row): (first, 1.0) for row in group if side_N[row] == "test"}
    return found


def repeated(groups: Sequence[NDArray[np.int64]], targets_N: Hashes, side_N: Sequence[str | None]) -> Partners:
    """Rows that say again what an earlier row of their side says, input and answer."""
    found: Partners = {}
    for group in groups:
        first: dict[tuple[str | None, int], int] = {}
        for row in group:
            key = (side_N[row], int(targets_N[row]))
            if first.setdefault(key, int(row)) != row:
                found[int(row)] = (first[key], 1.0)
    return found


def conflicting(groups: Sequence[NDArray[np.int64]], targets_N: Hashes) -> list[NDArray[np.int64]]:
    """Groups of equal inputs that stand with different answers."""
    return [group for group in groups if len(np.unique(targets_N[group])) > 1]
