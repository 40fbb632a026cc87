"""Tensors of an arena never share memory until it is cleared; then the next ones lie where the last ones lay."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lathe.engine import arena
from lathe.engine.arena import Arena
from lathe.engine.devices import give_back_memory

shapes = st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=3), max_size=12)
formats = st.sampled_from([torch.bfloat16, torch.float32, torch.float64])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena, "_BLOCK", 4096)


@given(shapes, formats)
def test_tensors_keep_what_is_written_to_them_while_others_are_taken(
    shapes: list[list[int]], dtype: torch.dtype
) -> None:
    """Those that are larger than a block, and those without numbers, among them."""
    one = Arena()
    taken = [one.empty(shape, dtype=dtype).fill_(number) for number, shape in enumerate(shapes)]
    for number, (tensor, shape) in enumerate(zip(taken, shapes, strict=True)):
        assert (list(tensor.shape), tensor.dtype) == (shape, dtype)
        assert tensor.is_contiguous()
        assert not math.prod(shape) or tensor.data_ptr() % 64 == 0
        assert (tensor == number).all()


@given(shapes, shapes)
def test_once_all_was_cleared_tensors_lie_where_those_before_them_lay(
    first: list[list[int]], second: list[list[int]]
) -> None:
    one = Arena()
    places = [one.empty(shape, dtype=torch.float32).data_ptr() for shape in first]
    one.clear()
    for shape in second:
        one.empty(shape, dtype=torch.float32)
    one.clear()
    assert [one.empty(shape, dtype=torch.float32).data_ptr() for shape in first] == places


def test_memory_that_is_given_back_is_not_taken_from_tensors_in_use() -> None:
    one = Arena()
    tensor = one.empty((100,), dtype=torch.float32).fill_(7)
    give_back_memory()
    other = one.empty((100,), dtype=torch.float32).fill_(8)
    assert tensor.data_ptr() != other.data_ptr()
    assert (tensor == 7).all()
