"""A llama-like decoder written out for greedy generation: fused matrices, one preallocated cache, exact lengths.

    decoder = Decoder(model)
    decoder.reserve(slots=16, capacity=900)
    last_D = decoder.prefill(slot=3, ids=prompt_ids, start=0)     # hidden state of the prompt's last token
    hidden_TD = decoder.extend([[17], [4, 9, 2]])                 # more tokens in each of the first N slots
    decoder.keep(added_N)                                         # how many of them stay

It computes what transformers computes, in the same order of operations, without building modules, masks and caches for every token;
a test holds it to transformers' logits. Slots are rows of the cache; the first N are in use.

Shapes: L layers (last: positions that are looked at), S slots, C capacity (tokens of a slot), N slots in use, M new tokens of a
slot at most, T tokens, K key-value heads, G query heads to each, H = K x G heads, R = G x M, W head width, D hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

LLAMA_LIKE = frozenset({"llama", "mistral", "qwen2", "qwen3"})


Product = Callable[[Tensor], Tensor]
"""Of hidden states, (T, in), with one matrix or several side by side: (T, out)."""


@dataclass(frozen=True)
class _Layer:
    """One layer's weights."""

    attention_norm_D: Tensor
    qkv: Product
    query_norm_W: Tensor | None
    key_norm_W: Tensor | None
    out: Product
    mlp_norm_D: Tensor
    gate_up: Product
    down: Product


def can_decode(model: PreTrainedModel) -> bool:
    """Whether the model is one of the architectures written out here, without options that change its arithmetic."""
    config = model.config
    plain = getattr(config, "hidden_act", None) == "silu" and not getattr(config, "mlp_bias", False)
    windowed = getattr(config, "sliding_window", None) is not None and getattr(config, "use_sliding_window", True)
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    return config.model_type in LLAMA_LIKE and plain and not windowed and rope in ("default", "llama3", "linear")


class Decoder:
    """The model's weights as they are needed, and room for the answers under way."""

    def __init__(self, model: PreTrainedModel) -> None:
        config, body = model.config, model.get_decoder()
        self.heads, self.key_heads = config.num_attention_heads, config.num_key_value_heads
        self.width = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.epsilon = config.rms_norm_eps
        self.embedding = body.embed_tokens.weight
        self.device = self.embedding.device
        self.norm = body.norm.weight
        self.head = model.get_output_embeddings().weight
        self.layers = [_layer(layer) for layer in body.layers]
        self.rotary = body.rotary_emb
        self.reserve(slots=1, capacity=1)

    def reserve(self, slots: int, capacity: int) -> None:
        """Makes room for `slots` answers of at most `capacity` tokens each, prompt included; what stood there is gone."""
        # The cosines and sines come from the model's own module: one table for every position there can be.
        cos_1CW, sin_1CW = self.rotary(self.embedding[:1], torch.arange(capacity, device=self.device)[None])
        half = self.width // 2
        self.cos_CW = cos_1CW[0]
        self.sin_CW = torch.cat((-sin_1CW[0, :, :half], sin_1CW[0, :, half:]), dim=1)
        shape = (len(self.layers), slots, self.key_heads, capacity, self.width)
        self.keys_LSKCW = torch.zeros(shape, dtype=self.embedding.dtype, device=self.device)
        self.values_LSKCW = torch.zeros_like(self.keys_LSKCW)
        self.lengths_S = torch.zeros(slots, dtype=torch.long, device=self.device)

    @torch.inference_mode()
    def prefill(self, slot: int, ids: NDArray[np.int64], start: int = 0) -> Tensor:
        """Reads a prompt into a slot and returns the normed hidden state of its last token, shape (D,).

        start: tokens of it whose keys and values stand in the slot already (see `copy_prefix`); below len(ids).
        """
        positions_T = torch.arange(start, len(ids), device=self.device)
        hidden_TD = functional.embedding(torch.as_tensor(ids[start:], device=self.device), self.embedding)
        cos_TW, sin_TW = self.cos_CW[start : len(ids)], self.sin_CW[start : len(ids)]
        # Causal attention of the last rows of a longer sequence; where nothing is shared torch's own causal path is faster.
        mask = None if start == 0 else torch.arange(len(ids), device=self.device) <= positions_T[:, None]
        for index, layer in enumerate(self.layers):
            query_THW, key_TKW, value_TKW = self._project(layer, hidden_TD, cos_TW[:, None], sin_TW[:, None])
            keys_KCW, values_KCW = self.keys_LSKCW[index, slot], self.values_LSKCW[index, slot]
            keys_KCW[:, start : len(ids)] = key_TKW.transpose(0, 1)
            values_KCW[:, start : len(ids)] = value_TKW.transpose(0, 1)
            attended_HTW = functional.scaled_dot_product_attention(
                query_THW.transpose(0, 1)[None],
                keys_KCW[None, :, : len(ids)],
                values_KCW[None, :, : len(ids)],
                attn_mask=mask,
                is_causal=mask is None,
                enable_gqa=self.heads != self.key_heads,
            )[0]
            hidden_TD = self._rest(layer, hidden_TD, attended_HTW.transpose(0, 1).reshape(len(hidden_TD), -1))
        self.lengths_S[slot] = len(ids)
        return functional.rms_norm(hidden_TD[-1], (hidden_TD.shape[1],), self.norm, self.epsilon)

    @torch.inference_mode()
    def extend(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Appends some tokens to each of the first N slots; the normed hidden states after all of them, shape (T, D), row
        after row.

        The slots grow only by what `keep` then says: a guess that turns out wrong is overwritten by the next call. Only
        attention is padded to the longest row; what costs most, the products with weights, sees the T tokens alone.
        """
        count, more = len(rows), max(map(len, rows))
        lengths_N = torch.tensor([len(row) for row in rows], device=self.device)
        slot_T = torch.repeat_interleave(torch.arange(count, device=self.device), lengths_N)
        column_T = torch.cat([torch.arange(len(row), device=self.device) for row in rows])
        before_N = self.lengths_S[:count]
        place_T = before_N[slot_T] + column_T
        longest = int((before_N + lengths_N).max())
        tokens_T = torch.tensor([token for row in rows for token in row], device=self.device)
        hidden_TD = functional.embedding(tokens_T, self.embedding)
        cos_TW, sin_TW = self.cos_CW[place_T], self.sin_CW[place_T]
        last_NM = before_N[:, None] + torch.arange(more, device=self.device)
        unseen_NML = torch.arange(longest, device=self.device) > last_NM[:, :, None]
        unseen_N1RL = unseen_NML[:, None].repeat(
            1, 1, self.heads // self.key_heads, 1
        )  # query heads of a group in turn
        hide = bool(unseen_N1RL.any())
        query_NMHW = hidden_TD.new_zeros(count, more, self.heads, self.width)
        for index, layer in enumerate(self.layers):
            query_THW, key_TKW, value_TKW = self._project(layer, hidden_TD, cos_TW[:, None], sin_TW[:, None])
            keys_NKCW, values_NKCW = self.keys_LSKCW[index, :count], self.values_LSKCW[index, :count]
            keys_NKCW[slot_T, :, place_T] = key_TKW
            values_NKCW[slot_T, :, place_T] = value_TKW
            query_NMHW[slot_T, column_T] = query_THW
            query_NMKGW = query_NMHW.view(count, more, self.key_heads, -1, self.width)
            query_NKRW = query_NMKGW.permute(0, 2, 3, 1, 4).reshape(count, self.key_heads, -1, self.width)
            scores_NKRL = (query_NKRW @ keys_NKCW[:, :, :longest].transpose(2, 3)) * self.width**-0.5
            if hide:
                scores_NKRL = scores_NKRL.masked_fill(unseen_N1RL, float("-inf"))
            shares_NKRL = torch.softmax(scores_NKRL, dim=-1, dtype=torch.float32).to(scores_NKRL.dtype)
            attended_NKRW = shares_NKRL @ values_NKCW[:, :, :longest]
            attended_NMKGW = attended_NKRW.view(count, self.key_heads, -1, more, self.width).permute(0, 3, 1, 2, 4)
            hidden_TD = self._rest(layer, hidden_TD, attended_NMKGW[slot_T, column_T].flatten(1))
        return functional.rms_norm(hidden_TD, (hidden_TD.shape[1],), self.norm, self.epsilon)

    def keep(self, added_N: Tensor) -> None:
        """Says how many of the tokens that `extend` appended to each of the first N slots stay."""
        self.lengths_S[: len(added_N)] += added_N

    @torch.inference_mode()
    def copy_prefix(self, source: int, target: int, length: int) -> None:
        """Gives `target` the keys and values of the first `length` tokens of `source`; exact where those tokens are equal."""
        self.keys_LSKCW[:, target, :, :length] = self.keys_LSKCW[:, source, :, :length]
        self.values_LSKCW[:, target, :, :length] = self.values_LSKCW[:, source, :, :length]

    def move(self, source: int, target: int) -> None:
        """Moves a slot's content."""
        self.copy_prefix(source, target, int(self.lengths_S[source]))
        self.lengths_S[target] = self.lengths_S[source]

    @torch.inference_mode()
    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Logits of normed hidden states, float32, shape (N, vocabulary)."""
        return functional.linear(hidden_ND, self.head).float()

    def _project(self, layer: _Layer, hidden_TD: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (T, H, W), keys and values (T, K, W), turned by their positions."""
        normed_TD = functional.rms_norm(hidden_TD, (hidden_TD.shape[1],), layer.attention_norm_D, self.epsilon)
        joined = layer.qkv(normed_TD).view(len(hidden_TD), -1, self.width)
        query, key, value = joined.split((self.heads, self.key_heads, self.key_heads), dim=1)
        if layer.query_norm_W is not None:
            query = functional.rms_norm(query, (self.width,), layer.query_norm_W, self.epsilon)
            key = functional.rms_norm(key, (self.width,), layer.key_norm_W, self.epsilon)
        return _turn(query, cos, sin), _turn(key, cos, sin), value

    def _rest(self, layer: _Layer, hidden_TD: Tensor, attended_TE: Tensor) -> Tensor:
        """What follows attention in a layer: output projection, residual, gated MLP, residual."""
        hidden_TD = hidden_TD + layer.out(attended_TE)
        normed_TD = functional.rms_norm(hidden_TD, (hidden_TD.shape[1],), layer.mlp_norm_D, self.epsilon)
        gate, up = layer.gate_up(normed_TD).chunk(2, dim=1)
        return hidden_TD + layer.down(functional.silu(gate).mul_(up))


def _turn(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding; `sin` has the sign of the rotated half folded in."""
    half = heads.shape[-1] // 2
    return heads * cos + torch.roll(heads, half, dims=-1) * sin


def _layer(layer: nn.Module) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    return _Layer(
        attention_norm_D=layer.input_layernorm.weight,
        qkv=_product(attention.q_proj, attention.k_proj, attention.v_proj),
        query_norm_W=attention.q_norm.weight if hasattr(attention, "q_norm") else None,
        key_norm_W=attention.k_norm.weight if hasattr(attention, "k_norm") else None,
        out=_product(attention.o_proj),
        mlp_norm_D=layer.post_attention_layernorm.weight,
        gate_up=_product(mlp.gate_proj, mlp.up_proj),
        down=_product(mlp.down_proj),
    )


def _product(*parts: nn.Module) -> Product:
    """One product for plain matrices; a layer that is quantised or has an adapter beside it computes by itself."""
    if any(type(part) is not nn.Linear for part in parts):
        return lambda hidden_TD: torch.cat([part(hidden_TD) for part in parts], dim=-1)
    if len(parts) == 1:
        return parts[0]
    biases = [part.bias for part in parts if part.bias is not None]
    return partial(
        functional.linear,
        weight=torch.cat([part.weight for part in parts]),
        bias=torch.cat(biases) if biases else None,
    )
