"""What a decoder computes between its matrix products, and how it attends to its cache.

    parts = best(torch.float32, torch.device("cpu"), Heads(queries=4, keys=2, width=64))

Two classes do this, each within the rounding of its numbers: `eager.Eager` with torch's operations, `compiled.Compiled` with a C++
function for each, one pass over memory, on a CPU where a compiler is at hand.

Shapes: T rows (tokens of a pass, answer after answer), D hidden width, F inner width of the MLP, N answers, W head width,
E = (query heads + 2 key heads) x W.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from lathe.engine.decoding import compiled, eager
from lathe.engine.decoding.cache import Cache, Heads, Rows, Turns


class Parts(Protocol):
    """All of it."""

    def normalise(self, hidden_TD: Tensor, gain_D: Tensor, epsilon: float) -> Tensor:
        """Root-mean-square normalisation (Zhang and Sennrich 2019, arXiv 1910.07467):  x / sqrt(mean(x^2) + epsilon) gain."""

    def gated(self, gate_up_T2F: Tensor) -> Tensor:
        """SwiGLU (Shazeer 2020, arXiv 2002.05202):  silu(g) u,  of g and u side by side."""

    def turn(self, joined_TE: Tensor, rows: Rows, turns: Turns, cache: Cache) -> None:
        """Turns queries and keys by their places (rotary position embedding, two halves of a head as pairs) in place, and writes
        keys and values to the cache. joined: queries, keys and values of a row side by side."""

    def attend(self, joined_TE: Tensor, rows: Rows, cache: Cache) -> Tensor:
        """Causal attention of turned queries to what stands in their slots, heads side by side: shape (T, query heads x W). Slots
        are the first N."""


def best(narrow: torch.dtype, device: torch.device, heads: Heads) -> Parts:
    """What computes fastest here for hidden states of a format."""
    functions = compiled.load(narrow) if device.type == "cpu" else "it is not the CPU"
    return eager.Eager(heads) if isinstance(functions, str) else compiled.Compiled(functions, narrow, heads)
