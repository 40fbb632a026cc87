"""What `import lathe` offers."""

from __future__ import annotations

import pytest

import lathe


@pytest.mark.parametrize("name", sorted(lathe.PUBLIC))
def test_a_public_name_is_the_same_callable_each_time(name: str) -> None:
    first, second = getattr(lathe, name), getattr(lathe, name)
    assert callable(first)
    assert first is second


def test_what_the_module_offers_is_listed_and_nothing_else_is_found() -> None:
    assert set(lathe.PUBLIC) < set(dir(lathe))
    with pytest.raises(AttributeError, match="no attribute 'tune'"):
        _ = lathe.tune
