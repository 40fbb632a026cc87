"""Between layers that are computed again, freed memory goes back to the system, so that recomputing spares any at all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lathe.engine import recompute
from lathe.engine.packs import build_pack
from lathe.engine.recompute import recompute_layers
from lathe.engine.step import ATTENTION, gradients, register_attention
from lathe.text.render import Encoded

LAYERS = 3


@pytest.mark.parametrize(("kept", "times"), [(-1, 2 * LAYERS), (10**15, 0)])
def test_memory_is_given_back_before_a_layer_is_computed_and_computed_again_once_enough_was_freed(
    kept: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[None] = []
    monkeypatch.setattr(recompute, "KEPT_BYTES", kept)
    monkeypatch.setattr(recompute, "give_back_memory", lambda: given_back.append(None))
    register_attention()
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=LAYERS, num_attention_heads=4,
        num_key_value_heads=2, head_dim=4, attn_implementation=ATTENTION,
    )  # fmt: skip
    net = LlamaForCausalLM(config).train()
    recompute_layers(net, torch.device("cpu"))
    row = Encoded(np.arange(1, 9, dtype=np.int32), np.arange(8) >= 5, 5)
    gradients(net, [build_pack([row])], supervised=3)
    assert len(given_back) == times
