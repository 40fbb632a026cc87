"""Attention in the processor's matrix units is that of autograd, within the rounding of bf16."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from test_fused_blocks import seen_by
from torch import Tensor

from lathe.engine import devices
from lathe.engine.fused import tiles
from lathe.engine.fused.tiles import InTiles
from lathe.engine.packs import Segment

SHARING = [
    Segment(0, 90), Segment(90, 110, ((0, 90),), 90), Segment(110, 160), Segment(160, 260, ((0, 90),), 90),
    Segment(260, 270, ((0, 90), (160, 260)), 190), Segment(270, 400, ((0, 90), (160, 260)), 190),
]  # fmt: skip
LONG = [Segment(0, 1), Segment(1, 700), Segment(700, 703)]


@pytest.fixture
def functions() -> ctypes.CDLL:
    found = tiles.load()
    if isinstance(found, str):
        pytest.skip(found)
    return found


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


def scaled(query: Tensor) -> Tensor:
    """As a network scales queries: nothing of the output's rounding is then much of the gradients."""
    return query * query.shape[-1] ** -0.5


def near(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert float((found.double() - expected).norm() / expected.norm()) < 0.005


@pytest.mark.parametrize(("heads", "groups", "width"), [(2, 2, 64), (3, 1, 32), (1, 3, 96)])
@pytest.mark.parametrize("segments", [SHARING, LONG], ids=["sharing", "long"])
@pytest.mark.parametrize("some", [None, np.array([0, 95, 111, 120, 200, 265, 300, 399])], ids=["all", "some"])
def test_output_and_gradients(
    functions: ctypes.CDLL,
    segments: list[Segment],
    some: NDArray[np.int64] | None,
    heads: int,
    groups: int,
    width: int,
) -> None:
    """Of all positions, or of some. Behind the last row stand others that only fill up: they attend to nothing."""
    tokens = segments[-1].end
    rows = np.arange(tokens) if some is None else some
    query, key = scaled(drawn(len(rows) + 5, heads, groups, width)), drawn(tokens + 5, heads, width, seed=1)
    value, grad = drawn(tokens + 5, heads, width, seed=2), drawn(*query.shape, seed=3)
    seen_TT = seen_by(segments)
    exact = [one.double().requires_grad_() for one in (query, key, value)]
    scores = torch.einsum("qkgw,tkw->kgqt", exact[0][: len(rows)], exact[1][:tokens])
    shares = scores.masked_fill(~seen_TT[rows], float("-inf")).softmax(-1)
    expected = torch.einsum("kgqt,tkw->qkgw", shares, exact[2][:tokens])
    expected.backward(grad[: len(rows)].double())

    attention = InTiles(segments, some, len(query), functions)
    found, kept = attention.forward(query, key, value, torch.empty)
    near(found[: len(rows)], expected.detach())
    assert not found[len(rows) :].any()
    grad_query, grad_keyed = attention.backward(grad, kept)
    near(grad_query, exact[0].grad)
    near(grad_keyed[:, 0], exact[1].grad)
    near(grad_keyed[:, 1], exact[2].grad)


def test_any_number_of_threads_gives_the_same_bytes(functions: ctypes.CDLL) -> None:
    query, key, grad = drawn(400, 2, 2, 64), drawn(400, 2, 64, seed=1), drawn(400, 2, 2, 64, seed=3)
    found = []
    for threads in (1, 2):
        with devices.threads(threads):
            attention = InTiles(SHARING, None, 400, functions)
            output, kept = attention.forward(query, key, key, torch.empty)
            found.append((output, *attention.backward(grad, kept)))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_a_number_that_is_none_stays_one(functions: ctypes.CDLL) -> None:
    broken, key = torch.full((3, 1, 1, 32), float("nan")).bfloat16(), drawn(3, 1, 32)
    attention = InTiles([Segment(0, 3)], None, 3, functions)
    output, kept = attention.forward(broken, key, key, torch.empty)
    assert output.isnan().all()
    assert all(grad.isnan().any() for grad in attention.backward(broken, kept))


def test_heads_and_numbers_of_other_kinds_are_left_to_batches() -> None:
    assert tiles.usable(torch.float32, 64) is None
    assert tiles.usable(torch.bfloat16, 40) is None


def test_a_processor_that_is_to_be_used_in_part_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert tiles.load.__wrapped__() == "ONEDNN_MAX_CPU_ISA is AVX2"
