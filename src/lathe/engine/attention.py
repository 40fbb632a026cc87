"""Attention without a T x T mask: causal inside each segment of a pack.

    register_attention()
    config._attn_implementation = PACKED
    model(input_ids=ids_1T, position_ids=positions_1T, cu_seq_lens_q=bounds, use_cache=False)

Transformers derives a block-diagonal mask for packs only under conditions that are easily missed, and then attends
over the whole square. Here each segment of a pack is its own causal attention: nothing leaks, because no score
between two segments is ever computed.

Shapes: B batch, H query heads, K key-value heads (H is a multiple of K), T positions, D head width.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface

from lathe.errors import InputError

PACKED = "lathe_packed"
"""Name of the attention for packs: one causal attention a segment where `cu_seq_lens_q` is given, one over all of T
where it is not."""
ROUNDED = 64
"""What lengths of rows are multiples of where they are rounded up."""
UNKNOWN = {"softcap": "scores that are bent down to a cap", "s_aux": "attention sinks"}
"""What some models ask of an attention by these names and would silently not get."""


def repeated(heads_BKTD: Tensor, times: int) -> Tensor:
    """Each key-value head `times` times in a row: shape B, K * times, T, D."""
    return heads_BKTD if times == 1 else heads_BKTD.repeat_interleave(times, dim=1)


def segment_causal_attention(
    query_BHTD: Tensor,
    key_BKTD: Tensor,
    value_BKTD: Tensor,
    bounds: list[int],
    scale: float,
    window: int | None = None,
) -> Tensor:
    """Causal attention inside each segment `bounds[i]:bounds[i + 1]` of T; shape B, H, T, D.

    window: how many positions one sees at most, its own included; None = all before it. Positions past the last bound stay zero.
    """
    times = query_BHTD.shape[1] // key_BKTD.shape[1]
    heads = (query_BHTD, repeated(key_BKTD, times), repeated(value_BKTD, times))
    rest = query_BHTD.shape[2] - bounds[-1]
    lengths = [end - start for start, end in pairwise(bounds)]
    parts = []
    for length, *row in zip(lengths, *(part.split([*lengths, rest], dim=2) for part in heads), strict=False):
        filled = rounded_up(length, query_BHTD)
        query, key, value = (functional.pad(part, (0, 0, 0, filled - length)) for part in row)
        reaches = window is None or length <= window
        mask = None if reaches else seen(filled, filled, window, query.device)
        out = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=reaches, scale=scale)
        parts.append(out[:, :, :length])
    if rest > 0:
        parts.append(torch.zeros_like(query_BHTD[:, :, :rest]))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def rounded_up(length: int, query: Tensor) -> int:
    """How many positions a row of that length is computed with, zeros at its end that none of its own sees.

    In bf16 on a CPU torch compiles products for each length, keeps them until the process ends, and is slower at odd lengths: 40
    lengths took 105 MB a thread, 350 lengths 455 MB (torch 2.13, 9 heads of 64).
    """
    narrow = query.dtype == torch.bfloat16 or torch.is_autocast_enabled(query.device.type)
    return -(-length // ROUNDED) * ROUNDED if narrow and query.device.type == "cpu" else length


def seen(queries: int, keys: int, window: int | None, device: torch.device) -> Tensor:
    """Which keys each query sees, the queries being the last ones of the keys; boolean, shape queries, keys."""
    causal = torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)
    return causal if window is None else causal.triu(keys - queries - window + 1)


def _packed(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any = None,
    scaling: float | None = None,
    cu_seq_lens_q: Any = None,
    sliding_window: int | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """The signature transformers calls: returns B, T, H, D and no weights.

    Raises InputError where the model's attention does what is not written out here.
    """
    if unknown := [name for name in UNKNOWN if more.get(name) is not None]:
        raise InputError(
            f"the attention of this base has {UNKNOWN[unknown[0]]} ({unknown[0]}), which Lathe's training does not compute",
            hint="Train it with trainer: trl, or take another base.",
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if key.shape[2] != query.shape[2]:
        # Decoding with a cache: the queries are the last rows of a longer sequence, and a mask that matters comes from the caller.
        times = query.shape[1] // key.shape[1]
        mask = attention_mask
        if mask is None and (query.shape[2] > 1 or sliding_window is not None):
            mask = seen(query.shape[2], key.shape[2], sliding_window, query.device)
        out = functional.scaled_dot_product_attention(
            query, repeated(key, times), repeated(value, times), attn_mask=mask, scale=scale
        )
    else:
        if cu_seq_lens_q is None:
            bounds = [0, query.shape[2]]
        else:
            bounds = cu_seq_lens_q.tolist() if isinstance(cu_seq_lens_q, Tensor) else list(cu_seq_lens_q)
        out = segment_causal_attention(query, key, value, bounds, scale, sliding_window)
    return out.transpose(1, 2).contiguous(), None


def no_mask(*_: Any, **__: Any) -> None:
    """Lathe's attentions know what may be seen without a mask."""


def register_attention() -> None:
    """Makes PACKED known to transformers; calling it twice does no harm."""
    AttentionInterface.register(PACKED, _packed)
    AttentionMaskInterface.register(PACKED, no_mask)
