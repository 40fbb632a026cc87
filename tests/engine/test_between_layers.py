"""Between layers freed memory goes back to the system, forward and backward."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lathe.engine import between_layers
from lathe.engine.between_layers import give_back_between_layers
from lathe.engine.packs import build_pack
from lathe.engine.step import ATTENTION, gradients, register_attention
from lathe.text.render import Encoded

LAYERS = 3


def given_back(kept: int, device: str, monkeypatch: pytest.MonkeyPatch, recompute: bool = False) -> int:
    """How often, in one step."""
    times: list[None] = []
    monkeypatch.setattr(between_layers, "KEPT_BYTES", kept)
    monkeypatch.setattr(between_layers, "give_back_memory", lambda: times.append(None))
    register_attention()
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=LAYERS, num_attention_heads=4,
        num_key_value_heads=2, head_dim=4, attn_implementation=ATTENTION,
    )  # fmt: skip
    net = LlamaForCausalLM(config).train()
    if recompute:
        net.gradient_checkpointing_enable({"use_reentrant": False})
    give_back_between_layers(net, torch.device(device))
    row = Encoded(np.arange(1, 9, dtype=np.int32), np.arange(8) >= 5, 5)
    gradients(net, [build_pack([row])], supervised=3)
    return len(times)


ALWAYS, NEVER = -(10**15), 10**15


@pytest.mark.parametrize("recompute", [False, True])
def test_memory_is_given_back_before_each_layer_and_each_gradient_but_the_last_once_enough_was_freed(
    recompute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert given_back(ALWAYS, "cpu", monkeypatch, recompute) == 2 * LAYERS - 1


def test_what_fits_beside_what_is_needed_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given_back(NEVER, "cpu", monkeypatch) == 0


def test_a_gpu_keeps_what_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given_back(ALWAYS, "cuda", monkeypatch) == 0
