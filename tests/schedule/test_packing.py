"""Packs lose no row, keep the budget, and are well filled."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe.schedule.packing import deal, pack

rows = st.lists(st.integers(0, 200), max_size=80)


@settings(deadline=None)
@given(rows, st.integers(1, 150))
def test_every_row_is_in_exactly_one_pack_and_only_a_single_row_exceeds_the_budget(
    lengths: list[int], budget: int
) -> None:
    packs = pack(lengths, budget)
    assert sorted(row for one in packs for row in one) == list(range(len(lengths)))
    assert all(len(one) == 1 or sum(lengths[row] for row in one) <= budget for one in packs)


@settings(deadline=None)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=80))
def test_at_most_twice_the_least_number_of_packs(lengths: list[int]) -> None:
    """Any two packs of a best fit hold more than one budget together."""
    assert len(pack(lengths, 100)) <= 2 * math.ceil(sum(lengths) / 100)


def test_rows_of_mixed_length_fill_more_than_nine_tenths() -> None:
    draw = random.Random(0)
    lengths = [min(2000, int(draw.lognormvariate(5.5, 0.9))) for _ in range(500)]
    assert sum(lengths) / (len(pack(lengths, 2048)) * 2048) > 0.9


def test_the_tightest_fitting_pack_takes_the_row() -> None:
    assert pack([7, 2, 5, 3], 9) == [[0, 1], [2, 3]]
    assert pack([6, 5, 4], 10) == [[0, 2], [1]]


def test_equal_rows_keep_their_order() -> None:
    assert pack([4, 4, 4, 4], 8) == [[0, 1], [2, 3]]


def test_a_budget_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        pack([1], 0)


@settings(deadline=None)
@given(rows, st.integers(1, 6))
def test_workers_get_every_row_once_and_no_load_exceeds_another_by_more_than_a_row(
    lengths: list[int], count: int
) -> None:
    shares = deal(lengths, count)
    assert sorted(row for share in shares for row in share) == list(range(len(lengths)))
    loads = [sum(lengths[row] for row in share) for share in shares]
    assert max(loads) - min(loads) <= max(lengths, default=0)
    assert deal(lengths, 1) == [list(range(len(lengths)))]
