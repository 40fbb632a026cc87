"""Matrices in 8 bits while a model answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from lathe.contracts import Model
from lathe.engine import eight_bits, model
from lathe.engine.decoding.cache import Read
from lathe.engine.decoding.decoder import Decoder
from lathe.engine.decoding.weights import Weights
from lathe.engine.eight_bits import EightBitLinear
from lathe.records import Method
from tiny_base import write_base

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = LlamaConfig(
    vocab_size=64,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=1,
)


@given(seed=st.integers(0, 1000), rows=st.integers(1, 9), scale=st.sampled_from([1e-3, 1.0, 50.0]))
def test_a_product_is_off_by_the_rounding_of_its_matrix_and_its_input(seed: int, rows: int, scale: float) -> None:
    torch.manual_seed(seed)
    net = LlamaForCausalLM(CONFIG)
    layer = net.get_decoder().layers[0]
    layer.mlp.up_proj.weight.data *= scale
    linear, input_TI = layer.mlp.up_proj, torch.randn(rows, 64)
    exact = linear(input_TI).detach()
    step_O, step = linear.weight.abs().amax(dim=1) / 127, (input_TI.max() - input_TI.min()) / 127
    eight_bits.hold(net)
    with torch.inference_mode():
        found = layer.mlp.up_proj(input_TI)
    rounding_TO = input_TI.abs().sum(dim=1, keepdim=True) * step_O + linear.weight.abs().sum(dim=1) * (
        step + step * step_O
    )
    assert isinstance(layer.mlp.up_proj, EightBitLinear)
    assert ((found - exact).abs() <= rounding_TO).all()


def test_parameters_in_8_bits_are_counted() -> None:
    net = LlamaForCausalLM(CONFIG)
    before = net.num_parameters()
    eight_bits.hold(net)
    assert net.num_parameters() < before == eight_bits.num_parameters(net)


@pytest.mark.parametrize(("precision", "off"), [("fp32", 1e-5), ("bf16", 0.03), ("int8", 0.1)])
def test_a_model_answers_in_its_number_format_the_adapter_folded_in(tmp_path: Path, precision: str, off: float) -> None:
    base = write_base(tmp_path / "base", "llama")
    net = model.attach(model.load_base(base), Method(rank=4), seed=0)
    for name, part in model.trainable(net).items():
        if "lora_B" in name:
            part.data.normal_(std=0.05)
    (tmp_path / "adapter").mkdir()
    model.write_trained(net, tmp_path / "adapter")
    answering = model.load_to_answer(Model(base, tmp_path / "adapter", precision=precision))
    of_layers = [part for part in answering.get_decoder().modules() if isinstance(part, nn.Linear | EightBitLinear)]
    assert len(of_layers) == 7 * answering.config.num_hidden_layers
    assert {type(part) for part in of_layers} == {EightBitLinear if precision == "int8" else nn.Linear}
    ids = torch.arange(5, 25)
    with torch.inference_mode():
        exact = model.causal(net)(input_ids=ids[None]).logits[0, -1]
        decoder = Decoder(Weights(answering))
        decoder.reserve(1, 32)
        found = decoder.logits(decoder.forward([], [Read(0, ids.numpy())]))[0]
    assert found.dtype == torch.float32
    assert decoder.caches[0].values_SKCW.dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)
    assert float((found - exact).norm() / exact.norm()) < off
