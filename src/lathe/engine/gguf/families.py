"""Which architectures can be written as GGUF, and how each one's numbers and weights are laid out there.

    family = of(config)                          # of a transformers configuration; InputError where it cannot be written
    family.put_settings(writer, config)          # layers, heads, rotary base ...
    family.tensors(model)                        # (name in the file, float32 array) one by one

The names come from the `gguf` package. What is written here is what names cannot tell: whose query and key rows llama.cpp expects
pair by pair (llama, smollm3), whose norm gains it expects with the 1 added (gemma3), and which options its graphs do not have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import gguf
import numpy as np
from numpy.typing import NDArray
from transformers import PretrainedConfig, PreTrainedModel

from lathe.errors import InputError

Array = NDArray[np.float32]
GEMMA_PERIOD = 6
"""Every sixth layer of gemma3 sees all tokens, the others a window; llama.cpp has this written into its graph."""
SMOLLM3_PERIOD = 4
"""Every fourth layer of smollm3 has no rotary positions; written into llama.cpp's graph too."""


@dataclass(frozen=True)
class Family:
    """One architecture of llama.cpp. paired: rotary pairs stand side by side. gain_offset: added to every norm's gain."""

    arch: gguf.MODEL_ARCH
    paired: bool = False
    gain_offset: float = 0.0
    refuses: Callable[[PretrainedConfig], str | None] = lambda _: None
    """Says which option of a configuration llama.cpp's graph of this family does not have; None = all is well."""

    @property
    def name(self) -> str:
        """As general.architecture says it."""
        return str(gguf.MODEL_ARCH_NAMES[self.arch])

    def put_settings(self, writer: gguf.GGUFWriter, config: PretrainedConfig) -> None:
        """Writes the numbers that llama.cpp builds its graph from."""
        width = head_width(config)
        writer.add_context_length(config.max_position_embeddings)
        writer.add_embedding_length(config.hidden_size)
        writer.add_block_count(config.num_hidden_layers)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count(config.num_attention_heads)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_key_length(width)
        writer.add_value_length(width)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_vocab_size(config.vocab_size)
        rope = rotary(config)
        writer.add_rope_freq_base(rope["rope_theta"])
        writer.add_rope_dimension_count(int(width * rope.get("partial_rotary_factor", 1.0)))
        if rope.get("rope_type") == "linear":
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(rope["factor"])
        if self.name in ("gemma3", "phi3") and config.sliding_window:
            writer.add_sliding_window(config.sliding_window)
        if self.name == "gemma3":
            writer.add_rope_freq_base_swa(config.rope_parameters["sliding_attention"]["rope_theta"])

    def tensors(self, model: PreTrainedModel) -> Iterator[tuple[str, Array]]:
        """Every weight once, as float32 on the CPU, under its name in the file. Raises InputError on one without a name."""
        config = model.config
        names = gguf.get_tensor_name_map(self.arch, config.num_hidden_layers)
        for name, parameter in model.named_parameters():
            target = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if target is None:
                raise InputError(f"the weight {name} of a {config.model_type} model has no place in a GGUF file")
            yield target, self._laid_out(name, parameter.detach().float().cpu().numpy(), config)
        factors = llama3_factors(config)
        if factors is not None:
            yield "rope_freqs.weight", factors

    def _laid_out(self, name: str, weight: Array, config: PretrainedConfig) -> Array:
        if name.endswith("norm.weight"):
            return weight + np.float32(self.gain_offset)
        if self.paired and ".q_proj." in name:
            return in_pairs(weight, config.num_attention_heads)
        if self.paired and ".k_proj." in name:
            return in_pairs(weight, config.num_key_value_heads)
        return weight


def of(config: PretrainedConfig) -> Family:
    """The family of a model's configuration. Raises InputError where llama.cpp has none, or not with these options."""
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise InputError(
            f"a model of type {config.model_type} cannot be written as GGUF",
            hint=f"Ship it as merged, or take a base of a family that can: {', '.join(FAMILIES)}.",
        )
    kind = rotary(config).get("rope_type", "default")
    plain = kind in ("default", "linear") or (kind == "llama3" and config.model_type in ("llama", "mistral", "smollm3"))
    reason = family.refuses(config) if plain else f"rotary positions of type {kind}"
    if reason:
        raise InputError(
            f"this {config.model_type} model cannot be written as GGUF: {reason}", hint="Ship it as merged instead."
        )
    return family


def head_width(config: PretrainedConfig) -> int:
    """Width of one attention head."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def rotary(config: PretrainedConfig) -> dict[str, float]:
    """The rotary settings; of a family that has two kinds of layers, those of the layers that see all tokens."""
    found = dict(config.rope_parameters)
    return dict(found["full_attention"]) if "full_attention" in found else found


def in_pairs(weight: Array, heads: int) -> Array:
    """Rows of a query or key matrix (or its bias) from transformers' order, halves, to llama.cpp's, pairs, head by head."""
    rest = weight.shape[1:]
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *rest)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight.shape))


def llama3_factors(config: PretrainedConfig) -> Array | None:
    """What each rotary frequency is divided by under the scaling of Llama 3.1; None where it is not in use.

    After transformers' `_compute_llama3_parameters`: long waves are slowed down by `factor`, short ones stay, those between are
    interpolated.
    """
    rope = rotary(config)
    if rope.get("rope_type") != "llama3":
        return None
    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    width = head_width(config)
    waves = 2 * math.pi * rope["rope_theta"] ** (np.arange(0, width, 2, dtype=np.float64) / width)
    turns = rope["original_max_position_embeddings"] / waves
    smooth = (turns - low) / (high - low)
    between = 1 / ((1 - smooth) / factor + smooth)
    return np.where(turns < low, factor, np.where(turns > high, 1.0, between)).astype(np.float32)


def _no_window(config: PretrainedConfig) -> str | None:
    windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return "attention within a sliding window" if windowed else None


def _gemma3(config: PretrainedConfig) -> str | None:
    kinds = [
        "full_attention" if (i + 1) % GEMMA_PERIOD == 0 else "sliding_attention" for i in range(len(config.layer_types))
    ]
    if list(config.layer_types) != kinds:
        return f"every {GEMMA_PERIOD}th layer must see all tokens, and only those"
    if config.query_pre_attn_scalar != head_width(config):
        return f"query_pre_attn_scalar {config.query_pre_attn_scalar} is not the width of a head ({head_width(config)})"
    return None


def _smollm3(config: PretrainedConfig) -> str | None:
    expected = [int((i + 1) % SMOLLM3_PERIOD != 0) for i in range(config.num_hidden_layers)]
    if list(config.no_rope_layers) != expected:
        return f"every {SMOLLM3_PERIOD}th layer must be without rotary positions, and only those"
    return _no_window(config)


FAMILIES: dict[str, Family] = {
    "llama": Family(gguf.MODEL_ARCH.LLAMA, paired=True),
    "mistral": Family(gguf.MODEL_ARCH.LLAMA, paired=True, refuses=_no_window),
    "qwen2": Family(gguf.MODEL_ARCH.QWEN2, refuses=_no_window),
    "qwen3": Family(gguf.MODEL_ARCH.QWEN3, refuses=_no_window),
    "gemma3_text": Family(gguf.MODEL_ARCH.GEMMA3, gain_offset=1.0, refuses=_gemma3),
    "smollm3": Family(gguf.MODEL_ARCH.SMOLLM3, paired=True, refuses=_smollm3),
    "phi3": Family(gguf.MODEL_ARCH.PHI3),
}
"""By transformers' model_type."""
