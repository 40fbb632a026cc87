"""What a hint says of a name that means nothing."""

from __future__ import annotations

import pytest

from lathe.errors import did_you_mean


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tarin", "Did you mean lathe:train?"),
        ("xyz", "There are: lathe:plan, lathe:train."),
    ],
)
def test_a_hint_names_the_nearest_as_it_is_typed_or_all(name: str, said: str) -> None:
    assert did_you_mean(name, ["plan", "train"], "lathe:{}") == said


def test_where_there_is_nothing_the_hint_says_so() -> None:
    assert did_you_mean("xyz", []) == "There are: none."
