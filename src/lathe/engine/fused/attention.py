"""Causal attention inside the rows of a pack, blocks of queries at a time, with its backward pass.

    P = softmax(Q K.T),   O = P V                                        Q is already scaled
    dV = P.T dO,   dP = dO V.T,   dS = P (dP - rowsum(P dP)),   dQ = dS K,   dK = dS.T Q

Batched matrix products with the query heads of a key head as rows of one matrix, so that keys and values are never repeated.
A block multiplies only the keys that its last query sees: those of its own segment and, where rows share what they begin with,
those in front of it, wherever in the pack they lie. Blocks with as many keys are computed together.

oneDNN (`devices.fast_products`) makes code for every shape that it meets and keeps it, two thirds of a megabyte each. So there are
few shapes, whatever the lengths of the rows: queries and keys of a block are filled up, and blocks go together by powers of two.
What is filled up repeats what is there, and is hidden or has no gradient.

Shapes: K key-value heads, G query heads to each of them, W head width, T tokens of a pack, R rows that attend; B blocks of a
batch, Q queries of a block, C its keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lathe.engine.devices import fast_products
from lathe.engine.packs import Segment, joined

_QUERIES = 64
"""Queries of a block: large enough for the matrix units, small enough that little of the square above the diagonal is computed."""
_MOST_BLOCKS = 8
"""Blocks of a batch."""
_KEPT_KEYS = 1024
"""P is kept for the backward pass where a block sees at most so many keys, and computed again where it sees more."""


@dataclass(frozen=True)
class _Block:
    """Queries of one segment. keys: positions that its last query sees, from the row's first, as ranges; places: how many keys each
    of its queries sees."""

    first: int
    keys: tuple[tuple[int, int], ...]
    seen_Q: NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Blocks that are computed together."""

    rows_BQ: Tensor
    """Which of the rows that attend its queries are, flat; where a block is filled up, its last."""
    keys_BC: Tensor
    """Positions of its keys, flat."""
    hidden_BQH: Tensor
    """-inf where a query does not see one of the last H keys, else 0; shape (B, 1, Q, 1, H). All see those before."""
    filled_up: Tensor | None
    """0 for queries that were filled up, else 1; shape (B, Q, 1, 1, 1). None where there are none."""
    written: tuple[slice, ...]
    """Rows of each block that are not filled up."""
    columns: tuple[tuple[tuple[slice, slice], ...], ...]
    """Of each block, where in the pack its keys lie, and their columns of P."""

    @property
    def num_keys(self) -> int:
        """C."""
        return len(self.keys_BC) // len(self.written)


@dataclass(frozen=True)
class Kept:
    """What the backward pass needs. weights: P of each batch, or None where it is computed again."""

    key_TKW: Tensor
    value_TKW: Tensor
    queries: list[Tensor]
    weights: list[Tensor | None]


def batches(segments: Sequence[Segment], attending: NDArray[np.int64] | None, dtype: torch.dtype) -> list[Batch]:
    """What is computed for the queries at positions `attending` of a pack (ascending; None = at every position)."""
    alike: dict[int, list[_Block]] = defaultdict(list)
    for segment in segments:
        for block in _blocks(segment, attending):
            alike[_filled(int(block.seen_Q[-1]))].append(block)
    return [_batch(some, num_keys, dtype) for num_keys, blocks in alike.items() for some in _by_powers_of_two(blocks)]


def _blocks(segment: Segment, attending: NDArray[np.int64] | None) -> Iterator[_Block]:
    if attending is None:
        first, places = segment.start, np.arange(segment.end - segment.start)
    else:
        first, last = (int(place) for place in np.searchsorted(attending, (segment.start, segment.end)))
        places = attending[first:last] - segment.start
    for begin in range(0, len(places), _QUERIES):
        seen = segment.before + 1 + places[begin : begin + _QUERIES]
        own_end = segment.start + int(seen[-1]) - segment.before
        yield _Block(first + begin, joined(*segment.front, (segment.start, own_end)), seen)


def _filled(num_keys: int) -> int:
    """Multiples of 64 up to 512, then of an eighth of the next power of two."""
    step = max(64, 2 ** ((num_keys - 1).bit_length() - 3))
    return -(-num_keys // step) * step


def _by_powers_of_two(blocks: Sequence[_Block]) -> Iterator[Sequence[_Block]]:
    begin = 0
    while begin < len(blocks):
        count = min(_MOST_BLOCKS, 2 ** ((len(blocks) - begin).bit_length() - 1))
        yield blocks[begin : begin + count]
        begin += count


def _batch(blocks: Sequence[_Block], num_keys: int, dtype: torch.dtype) -> Batch:
    rows_BQ = np.stack([block.first + np.minimum(np.arange(_QUERIES), len(block.seen_Q) - 1) for block in blocks])
    seen_BQ = np.stack([np.pad(block.seen_Q, (0, _QUERIES - len(block.seen_Q)), mode="edge") for block in blocks])
    keys = [np.concatenate([np.arange(*ends) for ends in block.keys]) for block in blocks]
    keys_BC = np.stack([np.pad(places, (0, num_keys - len(places)), mode="edge") for places in keys])
    unseen = torch.from_numpy(np.arange(int(seen_BQ.min()), num_keys) >= seen_BQ[..., None])
    short = any(len(block.seen_Q) < _QUERIES for block in blocks)
    real = torch.tensor([[place < len(block.seen_Q) for place in range(_QUERIES)] for block in blocks])
    return Batch(
        rows_BQ=torch.from_numpy(rows_BQ.reshape(-1)),
        keys_BC=torch.from_numpy(keys_BC.reshape(-1)),
        hidden_BQH=torch.zeros(unseen.shape, dtype=dtype).masked_fill_(unseen, float("-inf"))[:, None, :, None],
        filled_up=real[:, :, None, None, None].to(dtype) if short else None,
        written=tuple(slice(block.first, block.first + len(block.seen_Q)) for block in blocks),
        columns=tuple(_columns(block.keys) for block in blocks),
    )


def _columns(ranges: Sequence[tuple[int, int]]) -> tuple[tuple[slice, slice], ...]:
    ends = list(accumulate(end - start for start, end in ranges))
    return tuple(
        (slice(start, end), slice(column - (end - start), column))
        for (start, end), column in zip(ranges, ends, strict=True)
    )


@fast_products()
def attend(query_RKGW: Tensor, key_TKW: Tensor, value_TKW: Tensor, batches: Sequence[Batch]) -> tuple[Tensor, Kept]:
    """O, shape (R, K, G, W), zero for queries in no batch, and what `attend_backward` needs."""
    output = torch.zeros_like(query_RKGW)
    kept = Kept(key_TKW, value_TKW, [], [])
    for batch in batches:
        queries = _by_heads(query_RKGW, batch.rows_BQ, batch)
        weights = _weights(queries, _by_heads(key_TKW, batch.keys_BC, batch), batch)
        found = torch.bmm(weights, _by_heads(value_TKW, batch.keys_BC, batch))
        _put(found, output, batch)
        kept.queries.append(queries)
        kept.weights.append(weights if batch.num_keys <= _KEPT_KEYS else None)
    return output, kept


@fast_products()
def attend_backward(grad_RKGW: Tensor, batches: Sequence[Batch], kept: Kept) -> tuple[Tensor, Tensor]:
    """dQ, shape (R, K, G, W), and dK beside dV, shape (T, 2, K, W), summed in float32 at least."""
    tokens, heads, width = kept.key_TKW.shape
    wide = torch.promote_types(grad_RKGW.dtype, torch.float32)
    grad_query = torch.zeros_like(grad_RKGW)
    grad_keyed = grad_RKGW.new_zeros(tokens, 2, heads, width, dtype=wide)
    for batch, queries, known in zip(batches, kept.queries, kept.weights, strict=True):
        keys = _by_heads(kept.key_TKW, batch.keys_BC, batch)
        weights = _weights(queries, keys, batch) if known is None else known
        grad = _by_heads(grad_RKGW, batch.rows_BQ, batch, batch.filled_up)
        grad_weights = torch.bmm(grad, _by_heads(kept.value_TKW, batch.keys_BC, batch).transpose(1, 2))
        grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
        _put(torch.bmm(grad_scores, keys), grad_query, batch)
        to_keyed = grad.new_empty(2, *keys.shape)
        torch.bmm(grad_scores.transpose(1, 2), queries, out=to_keyed[0])
        torch.bmm(weights.transpose(1, 2), grad, out=to_keyed[1])
        to_keyed_BC2KW = to_keyed.unflatten(1, (-1, heads)).permute(1, 3, 0, 2, 4)
        for found, columns in zip(to_keyed_BC2KW, batch.columns, strict=True):
            for places, of_found in columns:
                grad_keyed[places] += found[of_found]
    return grad_query, grad_keyed


def _by_heads(rows: Tensor, places: Tensor, batch: Batch, factor: Tensor | None = None) -> Tensor:
    """Rows at some places, of shape (K, W) or (K, G, W), as matrices: shape (B x K, rows of a block [x G], W)."""
    picked = rows.index_select(0, places).unflatten(0, (len(batch.written), -1))
    if factor is not None:
        picked *= factor
    by_head = picked.transpose(1, 2)
    return by_head.reshape(-1, by_head[0, 0].numel() // rows.shape[-1], rows.shape[-1])


def _put(found: Tensor, into_RKGW: Tensor, batch: Batch) -> None:
    """Writes rows, of shape (B x K, Q x G, W), to their places."""
    _, heads, groups, width = into_RKGW.shape
    found_BQKGW = found.view(-1, heads, _QUERIES, groups, width).transpose(1, 2)
    for rows, written in zip(found_BQKGW, batch.written, strict=True):
        into_RKGW[written] = rows[: written.stop - written.start]


def _weights(queries: Tensor, keys: Tensor, batch: Batch) -> Tensor:
    """P of a batch, shape (B x K, Q x G, C)."""
    scores = torch.bmm(queries, keys.transpose(1, 2))
    scores_BKQGC = scores.view(len(batch.written), -1, _QUERIES, scores.shape[1] // _QUERIES, batch.num_keys)
    scores_BKQGC[..., batch.num_keys - batch.hidden_BQH.shape[-1] :].add_(batch.hidden_BQH)
    return torch.softmax(scores, dim=-1)
