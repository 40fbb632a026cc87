"""Each block of the fused step against autograd in float64: the backward pass is the derivative of the forward pass."""

from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional

from lathe.engine.arena import Arena
from lathe.engine.dropout import RowDropout, Rows, Span
from lathe.engine.fused import eager
from lathe.engine.fused.attention import InBatches, Kept
from lathe.engine.fused.batches import batches
from lathe.engine.fused.full_projection import FullProjection
from lathe.engine.fused.head import scored
from lathe.engine.fused.projection import Projection
from lathe.engine.fused.rotary import paired_order, turns
from lathe.engine.packs import Segment


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def close(found: Tensor, expected: Tensor | None) -> None:
    assert expected is not None
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_the_norm() -> None:
    hidden, grad = drawn(7, 16), drawn(7, 16, seed=1).detach()
    expected = functional.rms_norm(hidden, (16,), eps=1e-5)
    expected.backward(grad)
    normed, inverse = torch.empty(7, 16, dtype=torch.float64), torch.empty(7, 1, dtype=torch.float64)
    eager.normalise(hidden.detach(), 1e-5, normed, inverse)
    close(normed, expected.detach())
    close(eager.add_normalise_backward(torch.zeros_like(normed), grad, normed, inverse), hidden.grad)


def test_the_gated_unit() -> None:
    both, grad = drawn(5, 12), drawn(5, 6, seed=1).detach()
    gate, up = both.chunk(2, dim=1)
    expected = functional.silu(gate) * up
    expected.backward(grad)
    found = torch.empty_like(expected)
    eager.gated(both.detach(), found)
    close(found, expected.detach())
    close(eager.gated_backward(grad, both.detach()), both.grad)


def test_turning_reordered_heads_is_the_rotation_of_transformers_and_the_conjugate_turns_back() -> None:
    heads, angles = drawn(5, 3, 8).detach(), drawn(5, 4, seed=1).detach()
    cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
    half_turned = torch.cat((-heads[..., 4:], heads[..., :4]), dim=-1)
    expected = heads * cos[:, None] + half_turned * sin[:, None]
    order = paired_order(3, 8)
    paired = heads.flatten(1)[:, order].view(5, 3, 8)
    found, back = torch.empty_like(paired), torch.empty_like(paired)
    eager.turn(paired, turns(cos, sin), 3.0, found)
    close(found.flatten(1), 3 * expected.flatten(1)[:, order])
    eager.turn(found, turns(cos, sin), 1 / 3, back, back=True)
    close(back, paired)


def seen_by(segments: list[Segment]) -> Tensor:
    """Whether each position of a pack sees each: what lies in front of its segment, and of that the positions up to its own."""
    tokens = segments[-1].end
    seen_TT = torch.zeros(tokens, tokens, dtype=torch.bool)
    for segment in segments:
        own = slice(segment.start, segment.end)
        seen_TT[own, own] = torch.ones(segment.end - segment.start, segment.end - segment.start).tril().bool()
        for start, end in segment.front:
            seen_TT[own, start:end] = True
    return seen_TT


def attention_is_that_of_autograd(segments: list[Segment], attending: NDArray[np.int64] | None) -> Kept:
    """A query sees what lies in front of its segment, and of the segment the positions up to its own."""
    tokens = segments[-1].end
    rows = np.arange(tokens) if attending is None else attending
    heads, groups, width = 2, 3, 4
    seen_TT = seen_by(segments)
    query, key = drawn(len(rows), heads, groups, width), drawn(tokens, heads, width, seed=1)
    value, grad = drawn(tokens, heads, width, seed=2), drawn(*query.shape, seed=3).detach()
    scores = torch.einsum("qkgw,tkw->kgqt", query, key).masked_fill(~seen_TT[rows], float("-inf"))
    expected = torch.einsum("kgqt,tkw->qkgw", scores.softmax(-1), value)
    expected.backward(grad)

    attention = InBatches(batches(segments, attending), eager)
    found, kept = attention.forward(query.detach(), key.detach(), value.detach(), torch.empty)
    close(found, expected.detach())
    grad_query, grad_keyed = attention.backward(grad, kept)
    for one, other in ((grad_query, query), (grad_keyed[:, 0], key), (grad_keyed[:, 1], value)):
        close(one, other.grad)
    return kept


@pytest.mark.parametrize("kept_keys", [1024, 100])
@pytest.mark.parametrize("some", [False, True])
def test_attention_inside_segments_longer_than_a_block(
    some: bool, kept_keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all positions, or of some; with the weights kept, or computed again."""
    monkeypatch.setattr("lathe.engine.fused.attention._KEPT_KEYS", kept_keys)
    segments = [Segment(start, end) for start, end in pairwise([0, 3, 303, 304, 500])]
    kept = attention_is_that_of_autograd(segments, np.array([1, 5, 150, 302, 303, 310, 499]) if some else None)
    assert len(kept.weights) > (2 if some else 4)
    assert (None in kept.weights) == (kept_keys < 300)


@pytest.mark.parametrize("kept_keys", [1024, 100])
@pytest.mark.parametrize("some", [False, True])
def test_attention_to_what_lies_in_front_of_a_segment(
    some: bool, kept_keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stretch of 90 tokens that 20 and 100 others go on from, those 100 twice; and a row that shares nothing, between them."""
    monkeypatch.setattr("lathe.engine.fused.attention._KEPT_KEYS", kept_keys)
    first, other = ((0, 90),), ((0, 90), (160, 260))
    segments = [
        Segment(0, 90), Segment(90, 110, first, 90), Segment(110, 160), Segment(160, 260, first, 90),
        Segment(260, 270, other, 190), Segment(270, 400, other, 190),
    ]  # fmt: skip
    assert [segment.seen for segment in segments[:2]] == [((0, 90),), ((0, 110),)]
    attention_is_that_of_autograd(segments, np.array([95, 111, 120, 200, 265, 300, 399]) if some else None)


@pytest.mark.parametrize("some", [None, np.arange(900, 1250)], ids=["all positions", "the last"])
def test_attention_of_rows_so_long_that_blocks_have_more_queries(some: NDArray[np.int64] | None) -> None:
    """A row, and one that goes on from 600 tokens of it; blocks of 64 and 128 queries."""
    segments = [Segment(0, 700), Segment(700, 1250, ((0, 600),), 600)]
    assert {batch.num_queries for batch in batches(segments, some)} == {64, 128}
    attention_is_that_of_autograd(segments, some)


@st.composite
def rows_and_some_positions(draw: st.DrawFn) -> tuple[list[int], set[int]]:
    lengths = draw(st.lists(st.sampled_from([1, 2, 63, 64, 65, 128, 130, 200]), min_size=1, max_size=4))
    ends = st.sampled_from([end - 1 for end in accumulate(lengths)])
    return lengths, draw(st.sets(ends | st.integers(0, sum(lengths) - 1), min_size=1, max_size=12))


@settings(max_examples=40, deadline=None)
@given(rows_and_some_positions())
@example(([64], {63}))
@example(([65, 128], {64, 192}))
def test_attention_of_any_positions_of_rows_of_any_length(drawn_rows: tuple[list[int], set[int]]) -> None:
    lengths, some = drawn_rows
    segments = [Segment(start, end) for start, end in pairwise([0, *accumulate(lengths)])]
    attention_is_that_of_autograd(segments, np.array(sorted(some)))


def test_the_head_with_weighted_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lathe.engine.fused.head._ROWS", 4)
    hidden, head, weights = drawn(10, 6), drawn(9, 6, seed=1), drawn(10, seed=2).detach().abs()
    weights[3] = 0
    targets = torch.arange(10) % 9
    expected = (functional.cross_entropy(hidden @ head.T, targets, reduction="none") * weights).sum()
    expected.backward()
    grad_head = torch.ones_like(head)
    loss, grad = scored(hidden.detach(), head.detach(), targets, weights, eager, grad_head)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    close(grad, hidden.grad)
    close(grad_head - 1, head.grad)


class Two(nn.Module):
    """Layers side by side behind a gain, the second with or without an adapter."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8, bias=bias), nn.Linear(6, 4)

    def forward(self, normed: Tensor) -> Tensor:
        return torch.cat((self.first(normed), self.second(normed)), dim=1)


@pytest.mark.parametrize("share", [0.0, 0.4])
@pytest.mark.parametrize("targets", [["first", "second"], ["second"], []])
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_projection_is_its_layers_with_their_adapters(
    targets: list[str], ordered: bool, dtype: torch.dtype, share: float
) -> None:
    torch.manual_seed(0)
    plain = Two(bias=not ordered).double().requires_grad_(False)
    net = get_peft_model(plain, LoraConfig(r=3, lora_alpha=5.0, target_modules=targets or ["first"])).double()
    parts = net.base_model.model
    layers = [parts.first if targets else parts.first.base_layer, parts.second]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_()
    rows = Rows((Span(b"one", 0, 0, 3), Span(b"two", 3, 5, 7)), num_tokens=5)
    for number, layer in enumerate(part for part in net.modules() if isinstance(part, LoraLayer) and share):
        layer.lora_dropout["default"] = RowDropout(share, number)
        layer.lora_dropout["default"].rows = rows
    gain, order = drawn(6, seed=4).detach(), torch.tensor([2, 0, 1, 3, 7, 5, 4, 6])
    normed, grad = drawn(5, 6, seed=5), drawn(5, 12, seed=6).detach()
    expected = torch.cat([layer(normed * gain) for layer in layers], dim=1)
    columns = torch.cat((order if ordered else torch.arange(8), torch.arange(8, 12)))
    expected = expected[:, columns]
    expected.backward(grad)

    projection = Projection(layers, dtype, gain, [order if ordered else None, None])
    wanted = [matrix.grad for matrix in projection.trained]
    assert len(wanted) == 2 * len(targets)
    for matrix in projection.trained:
        matrix.grad = None
    tolerance = 1e-10 if dtype == torch.float64 else 0.03
    with torch.no_grad():
        projection.refresh()
        inputs = normed.detach().to(dtype)
        found, inner = projection.forward(inputs, rows, Arena())
        back = projection.backward(grad.to(dtype), inputs, inner, rows)
        assert float((found.double() - expected).norm() / expected.norm()) < tolerance
        assert float((back.double() - normed.grad).norm() / normed.grad.norm()) < tolerance
        for twice in (1, 2):
            for matrix, gradient in zip(projection.trained, wanted, strict=True):
                assert float((matrix.grad - twice * gradient).norm() / gradient.norm()) < twice * tolerance
            projection.learn(grad.to(dtype), inputs, inner, rows)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("gained", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_projection_whose_weights_are_trained_is_its_layers(ordered: bool, gained: bool, dtype: torch.dtype) -> None:
    """Two packs of a step add up, and `.grad` has the step's gradient once it is finished."""
    torch.manual_seed(0)
    net = Two(bias=not ordered).double()
    gain = nn.Parameter(torch.randn(6).double()) if gained else None
    order = torch.tensor([2, 0, 1, 3, 7, 5, 4, 6])
    orders, rows = [order if ordered else None, None], Rows((), num_tokens=5)
    packs = [(drawn(5, 6, seed=seed), drawn(5, 12, seed=seed + 2).detach()) for seed in (1, 2)]
    columns = torch.cat((order if ordered else torch.arange(8), torch.arange(8, 12)))
    expected = [net(normed if gain is None else normed * gain)[:, columns] for normed, _ in packs]
    for output, (_, grad) in zip(expected, packs, strict=True):
        output.backward(grad)

    projection = FullProjection([net.first, net.second], dtype, gain, orders, ops=eager, sums=Arena())
    wanted = [parameter.grad for parameter in projection.trained]
    assert len(wanted) == len(list(net.parameters())) + gained
    for parameter in projection.trained:
        parameter.grad = None
    tolerance = 1e-10 if dtype == torch.float64 else 0.03
    with torch.no_grad():
        projection.refresh()
        for output, (normed, grad) in zip(expected, packs, strict=True):
            inputs = normed.detach().to(dtype)
            found, inner = projection.forward(inputs, rows, Arena())
            back = projection.backward(grad.to(dtype), inputs, inner, rows)
            assert float((found.double() - output).norm() / output.norm()) < tolerance
            assert float((back.double() - normed.grad).norm() / normed.grad.norm()) < tolerance
        assert all(parameter.grad is None for parameter in projection.trained)
        projection.finish()
    for parameter, gradient in zip(projection.trained, wanted, strict=True):
        assert float((parameter.grad - gradient).norm() / gradient.norm()) < tolerance
