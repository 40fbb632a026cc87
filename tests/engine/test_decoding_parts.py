"""What is compiled of decoding computes what torch's operations do, to the rounding of its numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lathe.engine.decoding import compiled, parts
from lathe.engine.decoding.cache import GROUP, Cache, Heads, Rows, Turns, groups_of
from lathe.engine.decoding.compiled import Compiled
from lathe.engine.decoding.eager import Eager

CAPACITY = 40
formats = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bf16", "fp32"])
answers = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), min_size=1, max_size=5)
"""Tokens of each answer: how many its slot holds, and how many a pass appends."""


def both(dtype: torch.dtype, heads: Heads) -> tuple[Compiled, Eager]:
    functions = compiled.load(dtype)
    if isinstance(functions, str):
        pytest.skip(functions)
    return Compiled(functions, dtype, heads), Eager(heads)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def near(found: Tensor, expected: Tensor) -> None:
    """bf16: torch's operations round several times where compiled code rounds once."""
    limit = 2.0**-6 if found.dtype == torch.bfloat16 else 2e-6
    assert found.shape == expected.shape
    assert float((found.double() - expected.double()).norm()) <= limit * float(expected.double().norm())


def cache(dtype: torch.dtype, heads: Heads, slots: int = 6) -> Cache:
    keys = drawn(slots, heads.keys, groups_of(CAPACITY), heads.width, GROUP, seed=1)
    return Cache(keys.to(dtype), drawn(slots, heads.keys, CAPACITY, heads.width, seed=2).to(dtype))


def turns(dtype: torch.dtype, width: int) -> Turns:
    angles_CW = drawn(CAPACITY, width // 2, seed=3).repeat(1, 2)
    sign_W = torch.ones(width).index_fill_(0, torch.arange(width // 2), -1)
    return Turns(angles_CW.cos().to(dtype), (angles_CW.sin() * sign_W).to(dtype))


@given(answers)
def test_rows_stand_behind_what_their_slots_hold(drawn_answers: list[tuple[int, int]]) -> None:
    before, added = zip(*drawn_answers, strict=True)
    rows = Rows.of(range(len(before)), before, added, torch.device("cpu"))
    expected = [(slot, before[slot] + ahead) for slot in range(len(before)) for ahead in range(added[slot])]
    assert list(zip(rows.slots_T.tolist(), rows.places_T.tolist(), strict=True)) == expected
    assert [expected[start][0] for start in rows.starts_N1[:-1].tolist()] == list(range(len(before)))
    assert rows.starts_N1[-1] == len(expected)


@formats
@pytest.mark.parametrize("tokens", [1, 7])
def test_norms_and_the_gated_unit(dtype: torch.dtype, tokens: int) -> None:
    ops, eager = both(dtype, Heads(4, 2, 16))
    for shape in ((tokens, 50), (tokens, 3, 16)):
        hidden, gain = (3 * drawn(*shape)).to(dtype), drawn(shape[-1], seed=1).to(dtype)
        near(ops.normalise(hidden, gain, 1e-5), eager.normalise(hidden, gain, 1e-5))
    gate_up = (20 * drawn(tokens, 30)).to(dtype)
    near(ops.gated(gate_up), eager.gated(gate_up))


@formats
@pytest.mark.parametrize("heads", [Heads(4, 2, 64), Heads(3, 3, 16), Heads(6, 1, 128)], ids=str)
@settings(max_examples=10, deadline=None)
@given(drawn_answers=answers)
def test_turning_and_attention(dtype: torch.dtype, heads: Heads, drawn_answers: list[tuple[int, int]]) -> None:
    before, added = zip(*drawn_answers, strict=True)
    rows = Rows.of(range(len(before)), before, added, torch.device("cpu"))
    joined = drawn(sum(added), (heads.queries + 2 * heads.keys) * heads.width).to(dtype)
    found = []
    for ops in both(dtype, heads):
        kept, own = cache(dtype, heads), joined.clone()
        ops.turn(own, rows, turns(dtype, heads.width), kept)
        found.append((own, kept.keys_SKBWP, kept.values_SKCW, ops.attend(own, rows, kept)))
    for one, other in zip(*found, strict=True):
        near(one, other)


def test_where_nothing_can_be_compiled_torch_s_operations_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    heads, cpu = Heads(4, 2, 16), torch.device("cpu")
    assert isinstance(parts.best(torch.float64, cpu, heads), Eager)
    assert isinstance(parts.best(torch.float32, torch.device("cuda"), heads), Eager)
    monkeypatch.setattr(compiled, "load", lambda narrow: "no C++ compiler was found")
    assert isinstance(parts.best(torch.float32, cpu, heads), Eager)
