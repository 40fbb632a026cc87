"""Causal attention over whole training windows in AMX's tiles (`fused.tiles`), as an operation that torch differentiates and
compiles around.

    register()
    config._attn_implementation = attention_of_windows(head_width)     # TILED, or BLOCKED where this processor has no tiles

Shapes: B windows of T positions, K key-value heads, G query heads to each, D head width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface

from lathe.engine.attention import BLOCKED, no_mask
from lathe.engine.fused.attention import Kept
from lathe.engine.fused.tiles import InTiles, usable
from lathe.engine.packs import Segment

TILED = "lathe_tiled"
"""Name of the attention: no segments, causal over the window, bf16."""


def attention_of_windows(head_width: int) -> str:
    """The name of the attention that is fastest here for compiled training in bf16."""
    return BLOCKED if usable(torch.bfloat16, head_width) is None else TILED


def register() -> None:
    """Make TILED known to transformers; calling it twice does no harm."""
    AttentionInterface.register(TILED, _tiled)
    AttentionMaskInterface.register(TILED, no_mask)


def _tiled(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any = None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """The signature transformers calls, heads before positions: returns B, T, heads, D and no weights."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    query_BTHD, key_BTKD, value_BTKD = (part.transpose(1, 2).contiguous() for part in (query * scale, key, value))
    query_BTKGD = query_BTHD.unflatten(2, (key_BTKD.shape[2], -1))
    attended, _ = attend(query_BTKGD, key_BTKD, value_BTKD)
    return attended.flatten(2, 3), None


@torch.library.custom_op("lathe::attend_in_tiles", mutates_args=())
def attend(query_BTKGD: Tensor, key_BTKD: Tensor, value_BTKD: Tensor) -> tuple[Tensor, Tensor]:
    """What the queries, scaled before, attend to, and the logarithms of the sums of their weights, shape (B x T, K x G)."""
    query, key, value = (part.flatten(0, 1) for part in (query_BTKGD, key_BTKD, value_BTKD))
    attended, kept = _windows(query_BTKGD).forward(query, key, value, torch.empty)
    logsums = kept.weights[1]
    assert logsums is not None
    return attended.view(query_BTKGD.shape), logsums


@torch.library.custom_op("lathe::attend_in_tiles_backward", mutates_args=())
def attend_backward(
    grad_BTKGD: Tensor,
    query_BTKGD: Tensor,
    key_BTKD: Tensor,
    value_BTKD: Tensor,
    attended_BTKGD: Tensor,
    logsums: Tensor,
) -> tuple[Tensor, Tensor]:
    """Gradients of the queries, and of keys beside values, shape (B, T, 2, K, D)."""
    parts = grad_BTKGD, query_BTKGD, key_BTKD, value_BTKD, attended_BTKGD
    grad, query, key, value, attended = (part.flatten(0, 1) for part in parts)
    grad_query, grad_keyed = _windows(query_BTKGD).backward(grad, Kept(key, value, [query], [attended, logsums]))
    windows, length = query_BTKGD.shape[:2]
    return grad_query.view(query_BTKGD.shape), grad_keyed.to(query.dtype).unflatten(0, (windows, length))


def _windows(query_BTKGD: Tensor) -> InTiles:
    windows, length, *_, width = query_BTKGD.shape
    functions = usable(query_BTKGD.dtype, width)
    assert functions is not None, "see attention_of_windows"
    segments = [Segment(start, start + length) for start in range(0, windows * length, length)]
    return InTiles(segments, None, windows * length, functions)


@attend.register_fake
def _attend_shapes(query_BTKGD: Tensor, key_BTKD: Tensor, value_BTKD: Tensor) -> tuple[Tensor, Tensor]:
    windows, length, key_heads, groups, _ = query_BTKGD.shape
    logsums = query_BTKGD.new_empty((windows * length, key_heads * groups), dtype=torch.float32)
    return torch.empty_like(query_BTKGD), logsums


@attend_backward.register_fake
def _backward_shapes(
    grad_BTKGD: Tensor,
    query_BTKGD: Tensor,
    key_BTKD: Tensor,
    value_BTKD: Tensor,
    attended_BTKGD: Tensor,
    logsums: Tensor,
) -> tuple[Tensor, Tensor]:
    windows, length, *heads = key_BTKD.shape
    return torch.empty_like(query_BTKGD), key_BTKD.new_empty((windows, length, 2, *heads))


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, *output)


def _backward(ctx: Any, grad_BTKGD: Tensor, _: Any) -> tuple[Tensor, Tensor, Tensor]:
    grad_query, grad_keyed = attend_backward(grad_BTKGD.contiguous(), *ctx.saved_tensors)
    grad_key, grad_value = grad_keyed.unbind(2)
    return grad_query, grad_key, grad_value


attend.register_autograd(_backward, setup_context=_keep)
