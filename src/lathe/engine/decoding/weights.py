"""The weights of a llama-like model, taken out of it and laid as decoding reads them fastest.

    weights = Weights(model)                 # the model computes nothing afterwards
    decoder = Decoder(weights)               # any number of them

Shapes: D hidden width, W head width, C positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lathe.engine.decoding.cache import Heads, Turns
from lathe.engine.decoding.matrices import Lay, Product, laid_for, product
from lathe.engine.decoding.parts import best

LLAMA_LIKE = frozenset({"llama", "mistral", "qwen2", "qwen3"})


def can_decode(model: PreTrainedModel) -> bool:
    """Whether the model is one of the architectures written out here, without options that change its arithmetic."""
    config = model.config
    plain = getattr(config, "hidden_act", None) == "silu" and not getattr(config, "mlp_bias", False)
    windowed = getattr(config, "sliding_window", None) is not None and getattr(config, "use_sliding_window", True)
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    return config.model_type in LLAMA_LIKE and plain and not windowed and rope in ("default", "llama3", "linear")


@dataclass(frozen=True)
class Layer:
    """One layer's weights. The gains on heads are None where the architecture has none."""

    attention_norm_D: Tensor
    qkv: Product
    query_norm_W: Tensor | None
    key_norm_W: Tensor | None
    out: Product
    mlp_norm_D: Tensor
    gate_up: Product
    down: Product


class Weights:
    """All of them, and what is computed between them. context: most tokens of a prompt and its answer; None = no end is known."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Takes the matrices out of the model; what is quantised, or has an adapter beside it, is used where it is."""
        config, body = model.config, model.get_decoder()
        heads, key_heads = config.num_attention_heads, config.num_key_value_heads
        self.heads = Heads(heads, key_heads, getattr(config, "head_dim", None) or config.hidden_size // heads)
        self.epsilon: float = config.rms_norm_eps
        self.context: int | None = getattr(config, "max_position_embeddings", None)
        self.embedding: Tensor = body.embed_tokens.weight
        self.device = self.embedding.device
        self.norm_D: Tensor = body.norm.weight
        lay = laid_for(self.embedding.dtype, self.device, model.num_parameters())
        self.head = product(lay, model.get_output_embeddings())
        self.layers = [_layer(layer, lay) for layer in body.layers]
        self.parts = best(self.embedding.dtype, self.device, self.heads)
        self._rotary = body.rotary_emb

    @torch.inference_mode()
    def turns(self, positions: int) -> Turns:
        """Rotary position embedding of the first positions, by the model's own module."""
        cos_1CW, sin_1CW = self._rotary(self.embedding[:1], torch.arange(positions, device=self.device)[None])
        half = self.heads.width // 2
        return Turns(cos_1CW[0].contiguous(), torch.cat((-sin_1CW[0, :, :half], sin_1CW[0, :, half:]), dim=1))


def _layer(layer: nn.Module, lay: Lay) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    return Layer(
        attention_norm_D=layer.input_layernorm.weight,
        qkv=product(lay, attention.q_proj, attention.k_proj, attention.v_proj),
        query_norm_W=attention.q_norm.weight if hasattr(attention, "q_norm") else None,
        key_norm_W=attention.k_norm.weight if hasattr(attention, "k_norm") else None,
        out=product(lay, attention.o_proj),
        mlp_norm_D=layer.post_attention_layernorm.weight,
        gate_up=product(lay, mlp.gate_proj, mlp.up_proj),
        down=product(lay, mlp.down_proj),
    )
