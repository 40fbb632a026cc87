"""The order of rows depends on seed and epoch alone, and stays the same for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lathe.schedule.order import permutation


def test_the_order_is_the_one_that_earlier_runs_saw() -> None:
    """A changed order would make an old run impossible to continue: these numbers must never change."""
    assert permutation(8, seed=0, epoch=0).tolist() == [6, 3, 5, 1, 0, 2, 7, 4]
    assert permutation(8, seed=7, epoch=1).tolist() == [3, 6, 7, 0, 4, 1, 2, 5]


@given(st.integers(0, 300), st.integers(), st.integers(0, 100))
def test_every_row_stands_once(num_rows: int, seed: int, epoch: int) -> None:
    assert sorted(permutation(num_rows, seed, epoch).tolist()) == list(range(num_rows))


def test_epochs_and_seeds_give_different_orders() -> None:
    orders = {tuple(permutation(20, seed, epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25
