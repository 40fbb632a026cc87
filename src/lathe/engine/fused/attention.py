"""Causal attention inside the rows of a pack with its backward pass: here by blocks of queries (`batches`), elsewhere in `tiles`.

    P = softmax(Q K.T),   O = P V                                        Q is already scaled
    dV = P.T dO,   dP = dO V.T,   dS = P (dP - rowsum(P dP)),   dQ = dS K,   dK = dS.T Q

Batched matrix products with the query heads of a key head as rows of one matrix, so that keys and values are never repeated.

Shapes: K key-value heads, G query heads to each of them, W head width, T tokens of a pack, R rows that attend; B blocks of a
batch, Q queries of a block, C its keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lathe.engine.arena import New
from lathe.engine.devices import fast_products
from lathe.engine.fused.batches import Batch
from lathe.engine.fused.elementwise import Elementwise

_KEPT_KEYS = 1024
"""P is kept for the backward pass where a block sees at most so many keys, and computed again where it sees more."""


@dataclass(frozen=True)
class Kept:
    """What the backward pass needs. weights: P of each batch, or None where it is computed again, or what it follows from."""

    key_TKW: Tensor
    value_TKW: Tensor
    queries: list[Tensor]
    weights: list[Tensor | None]


class Attention(Protocol):
    """Attention of the rows of one pack that attend."""

    def forward(self, query_RKGW: Tensor, key_TKW: Tensor, value_TKW: Tensor, new: New) -> tuple[Tensor, Kept]:
        """O, shape (R, K, G, W), zero for queries in no segment, and what `backward` needs. new: what gives both memory."""

    def backward(self, grad_RKGW: Tensor, kept: Kept) -> tuple[Tensor, Tensor]:
        """dQ, shape (R, K, G, W), and dK beside dV, shape (T, 2, K, W), summed in float32 at least."""


class InBatches:
    """By batches of matrix products. ops: what computes all between them."""

    def __init__(self, batches: Sequence[Batch], ops: Elementwise) -> None:
        self._batches, self._ops = batches, ops

    @fast_products()
    def forward(self, query_RKGW: Tensor, key_TKW: Tensor, value_TKW: Tensor, new: New) -> tuple[Tensor, Kept]:
        output = new(query_RKGW.shape, dtype=query_RKGW.dtype).zero_()
        kept = Kept(key_TKW, value_TKW, [], [])
        for batch in self._batches:
            is_kept = batch.num_keys <= _KEPT_KEYS
            queries = self._ops.gather(query_RKGW, batch.rows_BQ, batch, new=new)
            keys = self._ops.gather(key_TKW, batch.keys_BC, batch)
            weights = _weights(queries, keys, batch, self._ops, new if is_kept else torch.empty)
            self._ops.put(torch.bmm(weights, self._ops.gather(value_TKW, batch.keys_BC, batch)), output, batch)
            kept.queries.append(queries)
            kept.weights.append(weights if is_kept else None)
        return output, kept

    @fast_products()
    def backward(self, grad_RKGW: Tensor, kept: Kept) -> tuple[Tensor, Tensor]:
        tokens, heads, width = kept.key_TKW.shape
        wide = torch.promote_types(grad_RKGW.dtype, torch.float32)
        grad_query = torch.zeros_like(grad_RKGW)
        grad_keyed = grad_RKGW.new_zeros(tokens, 2, heads, width, dtype=wide)
        for batch, queries, known in zip(self._batches, kept.queries, kept.weights, strict=True):
            keys = self._ops.gather(kept.key_TKW, batch.keys_BC, batch)
            weights = _weights(queries, keys, batch, self._ops, torch.empty) if known is None else known
            grad = self._ops.gather(grad_RKGW, batch.rows_BQ, batch, real_only=True)
            values = self._ops.gather(kept.value_TKW, batch.keys_BC, batch)
            grad_scores = self._ops.softmax_backward(torch.bmm(grad, values.transpose(1, 2)), weights)
            self._ops.put(torch.bmm(grad_scores, keys), grad_query, batch)
            to_keyed = grad.new_empty(2, *keys.shape)
            torch.bmm(grad_scores.transpose(1, 2), queries, out=to_keyed[0])
            torch.bmm(weights.transpose(1, 2), grad, out=to_keyed[1])
            self._ops.add_keyed(to_keyed, batch, grad_keyed)
        return grad_query, grad_keyed


def _weights(queries: Tensor, keys: Tensor, batch: Batch, ops: Elementwise, new: New) -> Tensor:
    """P of a batch, shape (B x K, Q x G, C). new: what gives it memory."""
    scores = new((*queries.shape[:2], keys.shape[1]), dtype=queries.dtype)
    return ops.softmax(torch.bmm(queries, keys.transpose(1, 2), out=scores), batch)
