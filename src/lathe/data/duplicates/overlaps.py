"""Rows that stand twice: on another side, on the same one, or with another answer. Pure functions on hashes.

groups = equal(inputs)                     rows whose normalised inputs are equal, group by group
shared(groups, test, train)                {test row: a training row with the same input}
conflicting(groups, targets)               groups with more than one answer
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Groups = Sequence[NDArray[np.int64]]


def equal(inputs_N: Hashes) -> list[NDArray[np.int64]]:
    """Rows with equal hashes, in groups of at least two, each in order; groups in the order of their first row."""
    order = np.argsort(inputs_N, kind="stable")
    begins = np.flatnonzero(np.diff(inputs_N[order], prepend=np.uint64(0)) | (np.arange(len(order)) == 0))
    ends = np.append(begins[1:], len(order))
    several = ends - begins > 1  # a million rows by themselves are not taken apart
    found = [order[begin:end] for begin, end in zip(begins[several].tolist(), ends[several].tolist())]
    return sorted(found, key=lambda group: int(group[0]))


def firsts(inputs_N: Hashes, among_N: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Those of some rows whose input no earlier one of them has: what is like one of them is like one of these."""
    rows = np.flatnonzero(among_N)
    _, first = np.unique(inputs_N[rows], return_index=True)
    found = np.zeros(len(inputs_N), np.bool_)
    found[rows[first]] = True
    return found


def shared(groups: Groups, some_N: NDArray[np.bool_], others_N: NDArray[np.bool_]) -> dict[int, int]:
    """Each row of some whose input one of the others has too -> the first of those."""
    found: dict[int, int] = {}
    for group in groups:
        others = group[others_N[group]]
        if len(others):
            found |= {int(row): int(others[0]) for row in group[some_N[group]]}
    return found


def repeated(groups: Groups, targets_N: Hashes, side_N: NDArray[np.int8]) -> dict[int, int]:
    """Each row that says again what an earlier row of its side says, input and answer -> that row."""
    found: dict[int, int] = {}
    for group in groups:
        first: dict[tuple[int, int], int] = {}
        for row in group.tolist():
            earlier = first.setdefault((int(side_N[row]), int(targets_N[row])), row)
            if earlier != row:
                found[row] = earlier
    return found


def conflicting(groups: Groups, targets_N: Hashes) -> list[NDArray[np.int64]]:
    """Groups of equal inputs that stand with different answers."""
    return [group for group in groups if len(np.unique(targets_N[group])) > 1]
