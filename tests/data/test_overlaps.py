"""Rows that stand twice are found, against a plain comparison of all pairs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lathe.data.duplicates.overlaps import conflicting, equal, firsts, repeated, shared

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 2)), max_size=30)
"""(input, answer, side) of each row."""


def columns(rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    inputs, targets, sides = zip(*rows) if rows else ((), (), ())
    return np.array(inputs, np.uint64), np.array(targets, np.uint64), np.array(sides, np.int8)


@given(ROWS)
def test_a_row_of_one_side_is_shared_exactly_where_its_input_stands_on_the_other(
    rows: list[tuple[int, int, int]],
) -> None:
    inputs, _, sides = columns(rows)
    found = shared(equal(inputs), sides == 1, sides == 0)
    first = {}
    for row, (text, _, side) in enumerate(rows):
        if side == 0:
            first.setdefault(text, row)
    assert found == {row: first[text] for row, (text, _, side) in enumerate(rows) if side == 1 and text in first}


@given(ROWS)
def test_the_first_of_equal_rows_stands_for_them(rows: list[tuple[int, int, int]]) -> None:
    inputs, _, sides = columns(rows)
    among = [text for text, _, side in rows if side == 1]
    found = [rows[row] for row in np.flatnonzero(firsts(inputs, sides == 1))]
    assert sorted(text for text, _, _ in found) == sorted(set(among))
    assert all(side == 1 for _, _, side in found)


@given(ROWS)
def test_groups_hold_every_row_that_has_an_equal_one(rows: list[tuple[int, int, int]]) -> None:
    inputs, _, _ = columns(rows)
    texts = [text for text, _, _ in rows]
    expected = {text: [row for row, one in enumerate(texts) if one == text] for text in texts if texts.count(text) > 1}
    assert [group.tolist() for group in equal(inputs)] == list(expected.values())


@given(ROWS)
def test_a_row_is_repeated_exactly_where_an_earlier_one_of_its_side_says_the_same(
    rows: list[tuple[int, int, int]],
) -> None:
    inputs, targets, sides = columns(rows)
    found = repeated(equal(inputs), targets, sides)
    assert found == {row: rows.index(values) for row, values in enumerate(rows) if rows.index(values) < row}


@given(ROWS)
def test_inputs_conflict_exactly_where_they_have_several_answers(rows: list[tuple[int, int, int]]) -> None:
    inputs, targets, _ = columns(rows)
    found = {int(inputs[group[0]]) for group in conflicting(equal(inputs), targets)}
    assert found == {text for text, _, _ in rows if len({answer for other, answer, _ in rows if other == text}) > 1}
