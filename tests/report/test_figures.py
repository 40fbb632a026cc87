"""Numbers as people read them."""

from __future__ import annotations

import pytest

from lathe.report import figures


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "0"), (0.0000041, "< 0.0001"), (0.0123, "0.012"), (0.5, "0.5"), (12.3, "12.30"), (1234.5, "1,234.50")],
)
def test_an_amount_of_money_is_never_nothing_where_something_is_paid(amount: float, shown: str) -> None:
    assert figures.money(amount) == shown
