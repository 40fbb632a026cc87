"""Numbers as people read them."""

from __future__ import annotations

import pytest

from lathe.records import PairedDifference
from lathe.report import figures


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "0"), (0.0000041, "< 0.0001"), (0.0123, "0.012"), (0.5, "0.5"), (12.3, "12.30"), (1234.5, "1,234.50")],
)
def test_an_amount_of_money_is_never_nothing_where_something_is_paid(amount: float, shown: str) -> None:
    assert figures.money(amount) == shown


@pytest.mark.parametrize(
    ("metric", "low", "high", "shown"),
    [
        ("latency_seconds", 0.0002, 0.0022, "+1.2 ms [+0.2 ms, +2.2 ms]"),
        ("latency_seconds", -0.3, 0.1, "-0.10 s [-0.30 s, +0.10 s]"),
        ("peak_bytes", 3_637_248, 3_637_248, "+3.6 MB"),
        ("tokens_per_second", -25.17, 18.79, "-3.19 [-25.2, +18.8]"),
        ("json_exact", -0.01, 0.07, "+0.03 [-0.01, +0.07]"),
        ("json_exact", None, None, "+0.03"),
    ],
)
def test_what_was_gained_is_shown_in_the_unit_of_the_metric(
    metric: str, low: float | None, high: float | None, shown: str
) -> None:
    """A millisecond is not +0.00."""
    gap = 0.03 if low is None or high is None else (low + high) / 2
    difference = PairedDifference(metric=metric, first="a", second="b", difference=gap, low=low, high=high, n=60)
    assert figures.quantity_gained(metric, difference.difference, difference) == shown
