"""The ways in which a decoder multiplies by a model's matrices give the same products."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lathe.engine import devices
from lathe.engine.decoding import tiles, weights
from lathe.engine.decoding.matrices import AsTheyAre, InOrder, Lay, Transposed, filled, laid_for, product
from lathe.engine.generate import generate, taken
from lathe.engine.model import load_base
from lathe.engine.writing import Prompt
from lathe.plan.memory import KERNELS_OF_ANSWERS

CPU = torch.device("cpu")
WAYS = [AsTheyAre, Transposed, InOrder]


def layers(bias: bool, dtype: torch.dtype = torch.float32) -> list[nn.Linear]:
    torch.manual_seed(3)
    return [nn.Linear(48, width, bias=bias, dtype=dtype) for width in (64, 16, 16)]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("lay", WAYS)
@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_every_way_multiplies_as_the_layers_do_side_by_side(
    lay: Lay, bias: bool, dtype: torch.dtype, off: float
) -> None:
    if lay is InOrder and dtype == torch.bfloat16 and not devices.asks_onednn():
        pytest.skip("oneDNN multiplies no bf16 on this processor")
    parts = layers(bias, dtype)
    for rows in (1, 3, 14, 70):
        hidden_TD = torch.randn(rows, 48).to(dtype)
        with torch.inference_mode():
            wanted = torch.cat([part(hidden_TD) for part in parts], dim=1)
            found = product(lay, *copy.deepcopy(parts))(hidden_TD)
        assert found.shape == wanted.shape
        assert torch.allclose(found.float(), wanted.float(), atol=off, rtol=off)


@pytest.mark.parametrize("lay", WAYS)
def test_a_layer_gives_its_matrix_away_and_one_that_is_tied_to_it_keeps_it(lay: Lay) -> None:
    head, embedding = nn.Linear(8, 5, bias=False), nn.Embedding(5, 8)
    head.weight = embedding.weight
    by = product(lay, head)
    assert head.weight is None
    hidden_TD = torch.randn(2, 8)
    with torch.inference_mode():
        assert torch.allclose(by(hidden_TD), hidden_TD @ embedding.weight.t(), atol=1e-6)


def test_layers_that_are_not_plain_compute_by_themselves() -> None:
    class Doubled(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    parts = [Doubled(8, 4), nn.Linear(8, 4)]
    hidden_TD = torch.randn(3, 8)
    assert torch.equal(product(InOrder, *parts)(hidden_TD), torch.cat([part(hidden_TD) for part in parts], dim=1))
    assert product(InOrder, parts[0]) is parts[0]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("outputs", "inputs"), [(32, 32), (96, 64), (64, 160)])
def test_few_rows_in_the_processors_tiles_give_what_onednn_gives(
    outputs: int, inputs: int, threads: int, bias: bool
) -> None:
    if isinstance(found := tiles.load(), str):
        pytest.skip(found)
    layer = nn.Linear(inputs, outputs, bias=bias, dtype=torch.bfloat16)
    by = product(InOrder, copy.deepcopy(layer))
    with torch.inference_mode(), devices.threads(threads):
        for rows in (1, 2, 16, 17, tiles.MOST_ROWS, tiles.MOST_ROWS + 1):
            hidden_TD = torch.randn(rows, inputs).bfloat16()
            exact = functional.linear(hidden_TD.double(), layer.weight.double(), layer.bias.double() if bias else None)
            assert float((by(hidden_TD) - exact).norm() / exact.norm()) < 0.004, "half a digit of bf16"


def test_tiles_leave_alone_what_lies_otherwise() -> None:
    """A matrix whose sides are no multiples of 32, one in another order, and numbers of another format."""
    if isinstance(found := tiles.load(), str):
        pytest.skip(found)
    reorder = torch.ops.mkldnn._reorder_linear_weight
    whole, other, uneven = (torch.randn(rows, 64).bfloat16() for rows in (64, 64, 40))
    assert tiles.product(whole, reorder(whole, None), None) is not None
    assert tiles.product(whole, reorder(other, None), None) is None
    assert tiles.product(uneven, reorder(uneven, None), None) is None
    assert tiles.product(whole.float(), reorder(whole.float(), None), None) is None


@given(st.integers(1, 5000))
def test_rows_are_filled_up_by_less_than_a_quarter_beyond_the_first_ones(rows: int) -> None:
    assert rows <= filled(rows) == filled(filled(rows))
    assert filled(rows) - rows < max(8, rows / 4)


def test_few_numbers_of_rows_are_ever_multiplied() -> None:
    """oneDNN keeps code for each, for four products of a layer and the head's; the plan counts it."""
    assert 5 * len({filled(rows) for rows in range(1, 513)}) == KERNELS_OF_ANSWERS


def test_the_processor_decides_how_matrices_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = 10**7, 10**8
    assert laid_for(torch.float32, CPU, small) is Transposed
    assert laid_for(torch.float32, CPU, large) is InOrder
    for in_hardware, lay in ((True, InOrder), (False, AsTheyAre)):
        monkeypatch.setattr("lathe.engine.decoding.matrices.computes_bf16", lambda told=in_hardware: told)
        assert laid_for(torch.bfloat16, CPU, small) is lay
    assert laid_for(torch.float32, torch.device("cuda"), small) is AsTheyAre
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert laid_for(torch.float32, CPU, large) is AsTheyAre


def test_answers_are_the_same_however_matrices_lie(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [Prompt([5 + row, 90, 17], 20) for row in range(5)]
    found = []
    for lay in WAYS:
        monkeypatch.setattr(weights, "laid_for", lambda *_, lay=lay: lay)
        made = generate(taken(load_base(tiny_base)), prompts, token_budget=200, stop_ids=frozenset())
        found.append({answer.index: answer.ids for answer in made})
    assert found[0] == found[1] == found[2]
