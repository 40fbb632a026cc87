"""The best one-to-one pairing of two lists: every pair has a worth, and the sum over the chosen pairs is greatest.

    best_pairs([[1.0, 0.5],
                [0.9, 0.0]])            ->  [(0, 1), (1, 0)]      1.4 together; the best single pair (0, 0) would end at 1.0
    best_pairs_in_order(the same)       ->  [(0, 0)]              pairs may not cross

Shortest augmenting paths with potentials (Kuhn 1955; Jonker and Volgenant 1987): exact, rows x rows x columns steps. 100 x 100
takes some tenths of a second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def best_pairs(worth: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Pairs (row, column) of greatest total worth, by row; no row and no column stands in two. Pairs without worth are left out.

    worth: shape (rows, columns), finite numbers of 0 or more.
    """
    num_rows, num_columns = len(worth), len(worth[0]) if worth else 0
    if num_rows > num_columns:
        turned = best_pairs([[worth[row][column] for row in range(num_rows)] for column in range(num_columns)])
        return sorted((row, column) for column, row in turned)
    # Row and column 0 stand for "nobody yet"; the costs are the worths below zero.
    of_row, of_column = [0.0] * (num_rows + 1), [0.0] * (num_columns + 1)
    taken_by = [0] * (num_columns + 1)
    for row in range(1, num_rows + 1):
        _insert(row, worth, of_row, of_column, taken_by)
    pairs = [(row - 1, column - 1) for column, row in enumerate(taken_by) if row and column]
    return sorted((row, column) for row, column in pairs if worth[row][column] > 0)


def best_pairs_in_order(worth: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The same where a later row must stand with a later column: the longest common subsequence, weighted. rows x columns steps.

    worth: shape (rows, columns), numbers of 0 or more.
    """
    num_rows, num_columns = len(worth), len(worth[0]) if worth else 0
    best = [[0.0] * (num_columns + 1) for _ in range(num_rows + 1)]
    for row in range(num_rows - 1, -1, -1):
        for column in range(num_columns - 1, -1, -1):
            with_both = best[row + 1][column + 1] + worth[row][column]
            best[row][column] = max(best[row + 1][column], best[row][column + 1], with_both)
    pairs = []
    row = column = 0
    while row < num_rows and column < num_columns:
        if best[row][column] == best[row + 1][column]:
            row += 1
        elif best[row][column] == best[row][column + 1]:
            column += 1
        else:
            pairs.append((row, column))
            row, column = row + 1, column + 1
    return pairs


def _insert(
    row: int, worth: Sequence[Sequence[float]], of_row: list[float], of_column: list[float], taken_by: list[int]
) -> None:
    """Gives one more row a column, moving others along the cheapest path; keeps every reduced cost at 0 or more."""
    num_columns = len(of_column) - 1
    cheapest, before, done = [math.inf] * (num_columns + 1), [0] * (num_columns + 1), [False] * (num_columns + 1)
    column, taken_by[0] = 0, row
    while taken_by[column]:
        done[column], here = True, taken_by[column]
        for other in range(1, num_columns + 1):
            if not done[other]:
                cost = -worth[here - 1][other - 1] - of_row[here] - of_column[other]
                if cost < cheapest[other]:
                    cheapest[other], before[other] = cost, column
        following = min((other for other in range(1, num_columns + 1) if not done[other]), key=cheapest.__getitem__)
        step = cheapest[following]
        for other in range(num_columns + 1):
            if done[other]:
                of_row[taken_by[other]] += step
                of_column[other] -= step
            else:
                cheapest[other] -= step
        column = following
    while column:
        taken_by[column], column = taken_by[before[column]], before[column]
