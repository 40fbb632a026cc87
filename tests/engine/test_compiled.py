"""What is compiled computes what torch's operations do, to the rounding of its numbers."""

from __future__ import annotations

from itertools import accumulate, pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lathe.engine.fused import compiled, eager
from lathe.engine.fused.batches import batches
from lathe.engine.fused.compiled import Compiled
from lathe.engine.packs import Segment
from lathe.errors import LatheError

ROUNDING = {torch.bfloat16: 2.0**-7, torch.float32: 2e-6}
"""Relative: eager code rounds bf16 twice where compiled code rounds once."""

formats = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bf16", "fp32"])
sizes = st.integers(1, 70)


def code(dtype: torch.dtype) -> Compiled:
    found = compiled.load(dtype)
    if isinstance(found, str):
        pytest.skip(found)
    return found


def drawn(*shape: int, seed: int = 0, apart: int = 0) -> Tensor:
    """Numbers in rows that lie so many numbers further apart than they are long."""
    *front, last = shape
    return torch.randn(*front, last + apart, generator=torch.Generator().manual_seed(seed))[..., :last]


def near(found: Tensor, expected: Tensor) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    limit = ROUNDING[torch.bfloat16 if found.dtype == torch.bfloat16 else torch.float32]
    assert float((found.double() - expected.double()).norm()) <= limit * max(float(expected.double().norm()), 1e-6)


@formats
@settings(max_examples=15, deadline=None)
@given(tokens=sizes, width=sizes, apart=st.integers(0, 3))
def test_norms_and_sums(dtype: torch.dtype, tokens: int, width: int, apart: int) -> None:
    ops, hidden, into = code(dtype), drawn(tokens, width), drawn(tokens, width, seed=1)
    found, expected = ((torch.empty(tokens, width, dtype=dtype), torch.empty(tokens, 1)) for _ in range(2))
    ops.normalise(hidden, 1e-5, *found)
    eager.normalise(hidden, 1e-5, *expected)
    near(found[0], expected[0])
    near(found[1], expected[1])
    grad = drawn(tokens, width, seed=2, apart=apart).to(dtype)
    sums = [one.add_normalise_backward(into.clone(), grad, *expected) for one in (ops, eager)]
    near(*sums)
    sums = [into.clone(), into.clone()]
    ops.add(sums[0], grad)
    eager.add(sums[1], grad)
    near(*sums)


@formats
@settings(max_examples=15, deadline=None)
@given(tokens=sizes, width=sizes, apart=st.integers(0, 3))
def test_the_gated_unit(dtype: torch.dtype, tokens: int, width: int, apart: int) -> None:
    ops, gate_up = code(dtype), (20 * drawn(tokens, 2 * width, apart=apart)).to(dtype)
    found, expected = torch.empty(2, tokens, width, dtype=dtype)
    ops.gated(gate_up, found)
    eager.gated(gate_up, expected)
    near(found, expected)
    grad = drawn(tokens, width, seed=1, apart=apart).to(dtype)
    near(ops.gated_backward(grad, gate_up), eager.gated_backward(grad, gate_up))


@formats
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("back", [False, True])
def test_turning(dtype: torch.dtype, wide: bool, back: bool) -> None:
    ops, heads = code(dtype), drawn(7, 2, 3, 10).to(torch.float32 if wide else dtype)
    turns = torch.polar(torch.ones(7, 5), drawn(7, 5, seed=1).contiguous())
    found, expected = torch.empty(2, 7, 2, 3, 10, dtype=dtype)
    ops.turn(heads, turns, 0.3, found, back=back)
    eager.turn(heads, turns, 0.3, expected, back=back)
    near(found, expected)


@formats
@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.sampled_from([1, 2, 63, 64, 65, 130, 200]), min_size=1, max_size=5))
def test_all_of_attention_but_its_products(dtype: torch.dtype, lengths: list[int]) -> None:
    ops = code(dtype)
    tokens = sum(lengths)
    query, key = drawn(tokens, 2, 3, 8).to(dtype), drawn(tokens, 2, 8, seed=1, apart=0).to(dtype)
    for batch in batches([Segment(*ends) for ends in pairwise([0, *accumulate(lengths)])], None):
        for real_only in (False, True):
            picked = [one.gather(query, batch.rows_BQ, batch, real_only=real_only) for one in (ops, eager)]
            assert torch.equal(*picked)
        keys = [one.gather(key, batch.keys_BC, batch) for one in (ops, eager)]
        assert torch.equal(*keys)
        scores = 3 * torch.bmm(picked[0], keys[0].transpose(1, 2))
        weights = [one.softmax(scores.clone(), batch) for one in (ops, eager)]
        near(*weights)
        # Beside the mean over a row, not beside what is left after it is taken away.
        grads = [one.softmax_backward(scores.clone(), weights[1]) + 9 * weights[1] for one in (ops, eager)]
        near(*grads)
        back = torch.zeros(2, *query.shape, dtype=dtype)
        into = torch.zeros(2, tokens, 2, 2, 8)
        for one, to_query, to_keyed in zip((ops, eager), back, into, strict=True):
            one.put(picked[0], to_query, batch)
            one.add_keyed(
                torch.stack((keys[0], 2 * keys[0])) * (weights[1].sum(1)[None, ..., None] > 0), batch, to_keyed
            )
        assert torch.equal(*back)
        assert torch.equal(*into)


@formats
def test_losses_and_residuals_of_logits_however_large(dtype: torch.dtype) -> None:
    ops, targets = code(dtype), torch.arange(20) % 9
    for scale in (1, 100, 1e4):
        logits = (scale * drawn(20, 50)).to(dtype)
        found, expected = (one.residual(logits.clone(), targets) for one in (ops, eager))
        near(found[0], expected[0])
        near(found[1], expected[1])


@formats
def test_a_number_that_is_none_stays_one(dtype: torch.dtype) -> None:
    """A step that went wrong must be seen, not turned into numbers."""
    ops, broken = code(dtype), torch.full((2, 8), float("nan"))
    normed, gated = torch.zeros(2, 8, dtype=dtype), torch.zeros(2, 4, dtype=dtype)
    ops.normalise(broken, 1e-5, normed, torch.zeros(2, 1))
    ops.gated(broken.to(dtype), gated)
    assert normed.isnan().all()
    assert gated.isnan().all()
    losses, residual = ops.residual(broken.to(dtype), torch.tensor([1, 2]))
    assert losses.isnan().all()
    assert residual.isnan().all()


def test_it_is_compiled_once_and_found_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code(torch.float32)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fresh = compiled.load.__wrapped__
    assert isinstance(fresh(torch.float32), Compiled)
    (kept,) = (tmp_path / "lathe").iterdir()
    made = kept.stat().st_mtime_ns
    assert isinstance(fresh(torch.float32), Compiled)
    assert [path.stat().st_mtime_ns for path in (tmp_path / "lathe").iterdir()] == [made]
    assert isinstance(fresh(torch.bfloat16), Compiled)
    assert len(list((tmp_path / "lathe").iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [("no-such-compiler", "gave nothing that could be loaded"), ("false", "did not compile"), ("true", "gave nothing")],
)
def test_without_a_compiler_that_works_the_reason_is_said(
    name: str, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from lathe.engine.fused import elementwise

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", name)
    monkeypatch.setattr(compiled, "load", compiled.load.__wrapped__)
    ops, what = elementwise.best(torch.bfloat16)
    assert ops is eager
    assert what.startswith("eager: ")
    assert reason in what
    with pytest.raises(LatheError, match="the first process computes with compiled code"):
        elementwise.named("compiled", torch.bfloat16)


def test_numbers_of_other_formats_are_torch_s() -> None:
    assert compiled.load(torch.float64) == "numbers are float64"
