"""Products of few rows in bf16 with the matrix units of Intel's processors (AMX): `tiles.cpp`, compiled on this machine.

    few = product(weight, laid, bias)        # or None; laid: the matrix as oneDNN keeps it
    few(hidden_TD)                           # at most MOST_ROWS of them

A pass over a few answers reads every matrix once. oneDNN's product reads SmolLM2-135M's layers for 13 rows at 9 GB/s (one thread
of a Xeon), this one at 13, where nothing but reading reaches 16. It reads the very memory that oneDNN multiplies more rows from,
so that no matrix is held twice: 32 outputs after 32 outputs, of each 32 inputs after 32 inputs, of those pair after pair. How
oneDNN lays a matrix is its own affair, so both ends of each are looked at.

Shapes: T rows.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from lathe.engine.own_code import AT, INT, address, in_tiles, spaced

MOST_ROWS = 32
"""Two tiles of them. From 64 rows on oneDNN is as fast."""
_SIDE = 32
"""Outputs, and inputs, of a block."""
_SOURCE = Path(__file__).with_name("tiles.cpp")
_SIGNATURES = {"multiply": (INT, INT, INT, AT, INT, AT, AT, AT)}


@functools.cache
def load() -> ctypes.CDLL | str:
    """The function, or why it cannot be had."""
    return in_tiles(_SOURCE, _SIGNATURES)


def product(weight: Tensor, laid: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor] | None:
    """By a matrix of shape (out, in), which oneDNN has laid and which must outlive this: (T, in) -> (T, out). None where the units
    cannot read it."""
    functions = load() if weight.dtype == torch.bfloat16 else "not for these"
    if isinstance(functions, str) or not _lies_by_blocks(weight, laid):
        return None
    outputs, inputs = weight.shape
    at, bias_at = torch.ops.mkldnn.data_ptr(laid), None if bias is None else address(bias)

    def few(hidden_TD: Tensor) -> Tensor:
        assert hidden_TD.dtype == torch.bfloat16
        found = hidden_TD.new_empty(len(hidden_TD), outputs)
        functions.multiply(len(hidden_TD), outputs, inputs, *spaced(hidden_TD), at, bias_at, address(found))
        return found

    return few


def _lies_by_blocks(weight: Tensor, laid: Tensor) -> bool:
    """Whether the first and the last outputs lie as the units read them."""
    outputs, inputs = weight.shape
    if outputs % _SIDE or inputs % _SIDE or torch.ops.mkldnn._nbytes(laid) != weight.nbytes:
        return False
    bits = (ctypes.c_int16 * weight.numel()).from_address(torch.ops.mkldnn.data_ptr(laid))
    found = torch.frombuffer(bits, dtype=torch.int16).view(outputs, inputs)
    for ends in (slice(_SIDE), slice(-_SIDE, None)):
        blocks = weight[ends].view(torch.int16).view(_SIDE, -1, _SIDE // 2, 2).permute(1, 2, 0, 3)
        if not torch.equal(found[ends].flatten(), blocks.flatten()):
            return False
    return True
