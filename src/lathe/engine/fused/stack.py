"""The Llama stack written out by hand: loss and gradients of a step without autograd, of LoRA adapters or of all weights.

    fused = FusedStep(net, precision)
    loss = fused.gradients(packs, supervised)          # as `step.gradients`: .grad now holds the step's gradient

A layer is   x += o(attend(q(n), k(n), v(n))),  n = x / rms(x);   x += down(silu(gate(m)) up(m)),  m = x / rms(x)
and each of its blocks stands in this folder with its backward pass: products in `projection`, `attention` and `head`, all between
them in `elementwise`. What is gained beside the blocks:

- The last layer computes queries, output projection and MLP at the scored positions only, for nothing else reads them.
- The first layer passes no gradient on to a frozen embedding.
- What rows of a pack share is computed once: it is attended to from several segments, which add up their gradients there.

In float32 everything is float32. In bf16 products are bf16, those of attention and its weights among them, and all between them is
float32. Where oneDNN computes the products (`devices.fast_products`) it keeps code for every shape that it meets, so the tokens and
scored positions of a pack are rounded up: with positions that no row attends to, and with scored positions of weight zero.

Shapes: T tokens of a pack, S scored positions, R rows that attend (T, in the last layer S), D hidden width, K key-value heads,
G query heads to each, W head width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lathe.engine.adapters import PeftModel
from lathe.engine.arena import Arena
from lathe.engine.devices import Precision, compiles_products
from lathe.engine.dropout import Rows, rows_of
from lathe.engine.fused import eager
from lathe.engine.fused.attention import Attention, InBatches, Kept
from lathe.engine.fused.batches import batches
from lathe.engine.fused.elementwise import Elementwise
from lathe.engine.fused.full_projection import FullProjection
from lathe.engine.fused.gradient import add_gradient
from lathe.engine.fused.head import scored
from lathe.engine.fused.projection import Projection
from lathe.engine.fused.rotary import own_order, paired_order, turns
from lathe.engine.fused.tiles import InTiles, usable
from lathe.engine.model import causal, head
from lathe.engine.packs import Pack, Segment

_COMPILED, _PLAIN = (256, 128), (1, 1)
"""Multiples to which the tokens and the scored positions of a pack are rounded up: where each shape of a product is compiled, and
elsewhere. There (256, 128) took 14 % longer and (32, 32) 3 % (the bundled base, packs of 800 to 1,000 tokens, Zen 3)."""


def narrow(net: nn.Module, precision: Precision) -> torch.dtype:
    """Format of the numbers that go into products."""
    return torch.bfloat16 if precision == "bf16" else causal(net).get_decoder().embed_tokens.weight.dtype


@dataclass(frozen=True)
class _Piece:
    """A pack, rounded up. scored_S: positions that are scored; weights_S: their factors in the loss."""

    ids_T: Tensor
    positions_T: Tensor
    segments: Sequence[Segment]
    scored_S: Tensor
    targets_S: Tensor
    weights_S: Tensor
    rows: Rows


@dataclass(frozen=True)
class _Places:
    """What attention and dropout need to know of a pack, for all positions and for those that the last layer keeps."""

    turns: Tensor
    attention: Attention
    rows: Rows
    scored_turns: Tensor
    scored_attention: Attention
    scored_rows: Rows


class FusedStep:
    """A model, its weights laid out for the step: a peft model with LoRA, or one of which all is trained. It must pass
    `choice.unfit`."""

    def __init__(self, net: nn.Module, precision: Precision = "fp32", ops: Elementwise = eager) -> None:
        """ops: what computes all between the products."""
        model = causal(net)
        body, config = model.get_decoder(), model.config
        self._full = not isinstance(net, PeftModel)
        self._embedding, self._head, self._gain = body.embed_tokens.weight, head(net), body.norm.weight
        self._narrow = narrow(net, precision)
        self._wide = torch.promote_types(self._narrow, torch.float32)
        self._narrow_head = self._head.to(self._narrow)
        self._epsilon = config.rms_norm_eps
        self._rotary = body.rotary_emb
        self._ops = ops
        self._tiles = usable(self._narrow, body.layers[0].self_attn.head_dim) if ops is not eager else None
        self._steps = _COMPILED if compiles_products(self._narrow) else _PLAIN
        self._arena = Arena()
        self._sums = Arena()
        sums = self._sums if self._full else None
        self._layers = [_Layer(layer, config, self._narrow, ops, self._arena, sums) for layer in body.layers]

    def gradients(self, packs: Iterable[Pack], supervised: float) -> float:
        """Adds the step's gradient to `.grad` and returns its loss in nats per supervised token.

        supervised: supervised tokens of the whole step, over all its packs, or the sum of their weights.
        """
        with torch.inference_mode(False), torch.no_grad():
            if all(parameter.grad is None for parameter in self.trained()):
                self._sums.clear()
            for layer in self._layers:
                layer.refresh()
            if self._full:
                self._narrow_head = self._head.to(self._narrow)
            total = 0.0
            for pack in packs:
                if pack.targets_S.numel():
                    total += self._piece(self._rounded(pack, supervised))
            for layer in self._layers:
                layer.finish()
            return total

    def trained(self) -> list[nn.Parameter]:
        """The parameters whose gradients are formed."""
        ends = [self._embedding, self._head, self._gain] if self._full else []
        return ends + [parameter for layer in self._layers for parameter in layer.trained]

    def _rounded(self, pack: Pack, supervised: float) -> _Piece:
        tokens_step, scored_step = self._steps
        more, more_scored = -pack.bounds[-1] % tokens_step, -pack.targets_S.numel() % scored_step
        weights = torch.full(pack.targets_S.shape, 1 / supervised, dtype=self._wide)
        if pack.weights_S is not None:
            weights *= pack.weights_S
        return _Piece(
            ids_T=functional.pad(pack.ids_1T[0], (0, more)),
            positions_T=functional.pad(pack.positions_1T[0], (0, more)),
            segments=pack.segments,
            scored_S=functional.pad(pack.scored_S, (0, more_scored)),
            targets_S=functional.pad(pack.targets_S, (0, more_scored)),
            weights_S=functional.pad(weights, (0, more_scored)),
            rows=rows_of(pack, pack.bounds[-1] + more),
        )

    def _places(self, piece: _Piece) -> _Places:
        like = torch.empty(0, dtype=self._wide)
        cos_1TW, sin_1TW = self._rotary(like, piece.positions_T[None])
        turned = turns(cos_1TW[0].to(self._wide), sin_1TW[0].to(self._wide))
        attending = piece.scored_S[: int((piece.weights_S > 0).sum())].numpy()
        return _Places(
            turned,
            self._attention(piece.segments, None, len(piece.ids_T)),
            piece.rows,
            turned[piece.scored_S],
            self._attention(piece.segments, attending, len(piece.scored_S)),
            piece.rows.at(piece.scored_S),
        )

    def _attention(self, segments: Sequence[Segment], attending: NDArray[np.int64] | None, num_rows: int) -> Attention:
        """attending: positions of the first rows; those behind them only fill up."""
        if self._tiles is not None:
            return InTiles(segments, attending, num_rows, self._tiles)
        return InBatches(batches(segments, attending), self._ops)

    def _piece(self, piece: _Piece) -> float:
        places = self._places(piece)
        stream = functional.embedding(piece.ids_T, self._embedding).to(self._wide)
        *_, last = self._layers
        kept = []
        self._arena.clear()
        for layer in self._layers:
            attending = piece.scored_S if layer is last else None
            stream, saved = layer.forward(stream, places, attending, self._epsilon)
            kept.append(saved)
        normed_SD, inverse = torch.empty_like(stream), stream.new_empty(len(stream), 1)
        eager.normalise(stream, self._epsilon, normed_SD, inverse)
        hidden_SD = (normed_SD * self._gain).to(self._narrow)
        grad_head = self._grad_of(self._head) if self._full else None
        loss, grad_SD = scored(hidden_SD, self._narrow_head, piece.targets_S, piece.weights_S, self._ops, grad_head)
        if self._full:
            add_gradient(self._gain, (grad_SD * normed_SD).sum(0))
        grad = eager.add_normalise_backward(torch.zeros_like(stream), grad_SD.mul_(self._gain), normed_SD, inverse)
        for layer in reversed(self._layers):
            attending = piece.scored_S if layer is last else None
            needs_input = self._full or layer is not self._layers[0]
            grad = layer.backward(grad, kept.pop(), places, attending, needs_input=needs_input)
        if self._full:
            self._grad_of(self._embedding).index_add_(0, piece.ids_T, grad)
        return loss

    def _grad_of(self, parameter: nn.Parameter) -> Tensor:
        """Its `.grad`, to add to."""
        if parameter.grad is None:
            parameter.grad = self._sums.empty(parameter.shape, dtype=parameter.dtype).zero_()
        return parameter.grad


@dataclass(frozen=True)
class _Saved:
    """What a layer keeps of its forward pass, in the arena but for `rows_RD` of the last layer."""

    normed_TD: Tensor
    inverse_T1: Tensor
    rows_RD: Tensor
    query_inner: Tensor
    key_value_inner: Tensor
    head_norms: tuple[tuple[Tensor, Tensor], ...]
    attention: Kept
    attended_RE: Tensor
    attended_inner: Tensor
    mlp_normed_RD: Tensor
    mlp_inverse_R1: Tensor
    gate_up_R2F: Tensor
    gate_up_inner: Tensor
    gated_RF: Tensor
    gated_inner: Tensor


class _Layer:
    """One layer: forward and backward on a pack."""

    def __init__(
        self,
        layer: nn.Module,
        config: object,
        narrow: torch.dtype,
        ops: Elementwise,
        arena: Arena,
        sums: Arena | None,
    ) -> None:
        """arena: for what a pack keeps; sums: for the gradients of a step, where its own weights are trained and not adapters."""
        attention, mlp = layer.self_attn, layer.mlp
        self._width = attention.head_dim
        self._scale = attention.scaling
        heads, self._key_heads = config.num_attention_heads, config.num_key_value_heads  # type: ignore[attr-defined]
        self._groups = heads // self._key_heads
        self._narrow, self._wide = narrow, torch.promote_types(narrow, torch.float32)
        self._ops, self._arena = ops, arena
        query_order, key_order = paired_order(heads, self._width), paired_order(self._key_heads, self._width)
        gain, mlp_gain = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        kind = Projection if sums is None else partial(FullProjection, ops=ops, sums=sums)
        self._query = kind([attention.q_proj], narrow, gain, [query_order])
        self._key_value = kind([attention.k_proj, attention.v_proj], narrow, gain, [key_order, None])
        self._out = kind([attention.o_proj], narrow)
        self._gate_up = kind([mlp.gate_proj, mlp.up_proj], narrow, mlp_gain)
        self._down = kind([mlp.down_proj], narrow)
        self._projections = (self._query, self._key_value, self._out, self._gate_up, self._down)
        self._full = sums is not None
        self._head_order = paired_order(1, self._width)
        norms = (getattr(attention, name, None) for name in ("q_norm", "k_norm"))
        self._head_weights: list[nn.Parameter] = [norm.weight for norm in norms if norm is not None]
        self._head_gains: list[Tensor] = []

    @property
    def trained(self) -> list[nn.Parameter]:
        """The parameters whose gradients `backward` and `finish` form."""
        of_heads = self._head_weights if self._full else []
        return of_heads + [parameter for part in self._projections for parameter in part.trained]

    def refresh(self) -> None:
        """Begins a step with the weights as they are now."""
        for part in self._projections:
            part.refresh()
        self._head_gains = [weight[self._head_order].to(self._wide) for weight in self._head_weights]

    def finish(self) -> None:
        """Ends a step: all gradients are in `.grad`."""
        for part in self._projections:
            part.finish()

    def forward(
        self, stream_TD: Tensor, places: _Places, attending_R: Tensor | None, epsilon: float
    ) -> tuple[Tensor, _Saved]:
        """The stream behind the layer, shape (R, D). attending_R: rows that are kept; None = all. Overwrites that in front."""
        ops, arena = self._ops, self._arena
        normed, inverse = self._normalise(stream_TD, epsilon)
        dropped = places.rows if attending_R is None else places.scored_rows
        key_value, key_value_inner = self._key_value.forward(normed, places.rows, arena, new=arena.empty)
        rows, stream = normed, stream_TD
        if attending_R is not None:
            rows, stream = normed[attending_R], stream_TD[attending_R]
        query, query_inner = self._query.forward(rows, dropped, arena)
        middle = self._key_heads * self._width
        query_RKGW = query.unflatten(1, (self._key_heads, self._groups, self._width))
        key_TKW = key_value[:, :middle].unflatten(1, (self._key_heads, self._width))
        value_TKW = key_value[:, middle:].unflatten(1, (self._key_heads, self._width))
        head_norms: tuple[tuple[Tensor, Tensor], ...] = ()
        if self._head_gains:
            head_norms = tuple(self._normalise_heads(heads, epsilon) for heads in (query_RKGW, key_TKW))
            query_RKGW, key_TKW = (norm[0] * gain for norm, gain in zip(head_norms, self._head_gains, strict=True))
        turned_query = torch.empty(query_RKGW.shape, dtype=self._narrow)
        turned_key = arena.empty(key_TKW.shape, dtype=self._narrow)
        turned = places.turns if attending_R is None else places.scored_turns
        ops.turn(query_RKGW, turned, self._scale, turned_query)
        ops.turn(key_TKW, places.turns, 1.0, turned_key)
        attention = places.attention if attending_R is None else places.scored_attention
        output_RKGW, kept = attention.forward(turned_query, turned_key, value_TKW, arena.empty)
        attended = output_RKGW.flatten(1)
        change, attended_inner = self._out.forward(attended, dropped, arena)
        ops.add(stream, change)

        mlp_normed, mlp_inverse = self._normalise(stream, epsilon)
        gate_up, gate_up_inner = self._gate_up.forward(mlp_normed, dropped, arena, new=arena.empty)
        gated_RF = arena.empty((len(gate_up), gate_up.shape[1] // 2), dtype=self._narrow)
        ops.gated(gate_up, gated_RF)
        change, gated_inner = self._down.forward(gated_RF, dropped, arena)
        ops.add(stream, change)
        return stream, _Saved(
            normed, inverse, rows, query_inner, key_value_inner, head_norms, kept, attended, attended_inner,
            mlp_normed, mlp_inverse, gate_up, gate_up_inner, gated_RF, gated_inner,
        )  # fmt: skip

    def _normalise(self, stream_TD: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        """The stream normalised, narrow, and 1 / rms of each position."""
        normed_TD = self._arena.empty(stream_TD.shape, dtype=self._narrow)
        inverse_T1 = self._arena.empty((len(stream_TD), 1), dtype=self._wide)
        self._ops.normalise(stream_TD, epsilon, normed_TD, inverse_T1)
        return normed_TD, inverse_T1

    def _normalise_heads(self, heads: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        """Heads normalised, wide, and 1 / rms of each."""
        normed, inverse = (
            self._arena.empty((*heads.shape[:-1], width), dtype=self._wide) for width in (self._width, 1)
        )
        eager.normalise(heads.to(self._wide), epsilon, normed, inverse)
        return normed, inverse

    def backward(
        self, grad_RD: Tensor, saved: _Saved, places: _Places, attending_R: Tensor | None, *, needs_input: bool
    ) -> Tensor:
        """Gradient of the stream in front of the layer, shape (T, D); meaningless where it is not needed. Overwrites grad_RD."""
        ops = self._ops
        dropped = places.rows if attending_R is None else places.scored_rows
        grad_gated = self._down.backward(grad_RD.to(self._narrow), saved.gated_RF, saved.gated_inner, dropped)
        grad_gate_up = ops.gated_backward(grad_gated, saved.gate_up_R2F)
        grad_normed = self._gate_up.backward(grad_gate_up, saved.mlp_normed_RD, saved.gate_up_inner, dropped)
        ops.add_normalise_backward(grad_RD, grad_normed, saved.mlp_normed_RD, saved.mlp_inverse_R1)

        grad_attended = self._out.backward(grad_RD.to(self._narrow), saved.attended_RE, saved.attended_inner, dropped)
        attention = places.attention if attending_R is None else places.scored_attention
        grad_attended = grad_attended.unflatten(1, (self._key_heads, self._groups, self._width))
        grad_query, grad_keyed = attention.backward(grad_attended, saved.attention)
        turned = places.turns if attending_R is None else places.scored_turns
        if saved.head_norms:
            for grad, factors, scale, (normed, inverse), gain, weight in zip(
                (grad_query, grad_keyed[:, 0]), (turned, places.turns), (self._scale, 1.0), saved.head_norms,
                self._head_gains, self._head_weights, strict=True,
            ):  # fmt: skip
                before = torch.empty(grad.shape, dtype=self._wide)
                eager.turn(grad, factors, scale, before, back=True)
                if self._full:
                    grad_gain = (before * normed).flatten(0, -2).sum(0)
                    add_gradient(weight, own_order(grad_gain, self._head_order))
                grad.copy_(eager.add_normalise_backward(torch.zeros_like(normed), before * gain, normed, inverse))
            before_query, before_keyed = grad_query, grad_keyed.to(self._narrow)
        else:
            before_query, before_keyed = torch.empty_like(grad_query), torch.empty_like(grad_keyed, dtype=self._narrow)
            ops.turn(grad_query, turned, self._scale, before_query, back=True)
            ops.turn(grad_keyed[:, 0], places.turns, 1.0, before_keyed[:, 0], back=True)
            before_keyed[:, 1] = grad_keyed[:, 1]
        to_query = before_query.flatten(1), saved.rows_RD, saved.query_inner, dropped
        to_key_value = before_keyed.flatten(1), saved.normed_TD, saved.key_value_inner, places.rows
        if not needs_input:
            self._query.learn(*to_query)
            self._key_value.learn(*to_key_value)
            return grad_RD
        grad_rows, grad_all = self._query.backward(*to_query), self._key_value.backward(*to_key_value)
        if attending_R is None:
            grad, grad_all = grad_RD, grad_all + grad_rows
        else:
            grad = grad_RD.new_zeros(saved.normed_TD.shape).index_add_(0, attending_R, grad_RD)
            grad_all = grad_all.index_add(0, attending_R, grad_rows)
        return ops.add_normalise_backward(grad, grad_all, saved.normed_TD, saved.inverse_T1)
