"""What the fused step computes between its matrix products: number by number, row by row, and the moving of rows.

    ops, name = best(torch.bfloat16)          # name: "compiled", or "eager: why"
    named("compiled", torch.bfloat16)         # what `best` chose elsewhere

Two modules do this, each within the rounding of its numbers: `eager` with torch's operations, `compiled` with a C++ function for
each, one pass over memory, where a compiler is at hand. Formulas stand here.

Shapes: D normalised width, T tokens, F inner width of the MLP, K key-value heads, G query heads to each, W head width,
B blocks of a batch of attention, Q queries of a block, C its keys, V vocabulary. Narrow numbers are those that go into products,
wide ones are float32 at least; of matrices, rows may lie further apart than they are long.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from lathe.engine.arena import New
from lathe.engine.fused import compiled, eager
from lathe.engine.fused.batches import Batch
from lathe.errors import LatheError


class Elementwise(Protocol):
    """All of it."""

    def normalise(self, hidden_TD: Tensor, epsilon: float, normed_TD: Tensor, inverse_T1: Tensor) -> None:
        """Root-mean-square normalisation without its gain (Zhang and Sennrich 2019, arXiv 1910.07467), which belongs to what
        reads it (`Projection`):  n = x r,  r = 1 / sqrt(mean(x^2) + epsilon).  Writes n, narrow, and r, wide."""

    def add_normalise_backward(self, into_TD: Tensor, grad_TD: Tensor, normed_TD: Tensor, inverse_T1: Tensor) -> Tensor:
        """Adds  dx = r (dn - n mean(dn n))  to wide numbers in place and returns them. grad: dn, narrow as n is."""

    def add(self, into_TD: Tensor, change_TD: Tensor) -> None:
        """Adds narrow numbers to wide ones in place."""

    def gated(self, gate_up_T2F: Tensor, into_TF: Tensor) -> None:
        """Writes SwiGLU (Shazeer 2020, arXiv 2002.05202):  h = silu(g) u,  of g and u side by side."""

    def gated_backward(self, grad_TF: Tensor, gate_up_T2F: Tensor) -> Tensor:
        """Gradient of g and u side by side:  du = dh silu(g),  dg = dh u sigmoid(g) (1 + g (1 - sigmoid(g)))."""

    def turn(
        self, heads_TKGW: Tensor, turns_TC: Tensor, scale: float, into_TKGW: Tensor, *, back: bool = False
    ) -> None:
        """Rotary position embedding (`rotary`): heads, narrow or wide, as complex numbers times exp(i angle) and a factor, written
        to narrow ones; back: times exp(-i angle). into: its heads lie one behind the other, its rows wherever."""

    def gather(
        self, rows: Tensor, places: Tensor, batch: Batch, *, new: New = torch.empty, real_only: bool = False
    ) -> Tensor:
        """Rows at some places, of shape (K, W) or (K, G, W), as matrices: shape (B x K, rows of a block [x G], W). new: where they
        get their memory from; real_only: zeros where a block is filled up, else what stands at the place."""

    def put(self, found: Tensor, into_RKGW: Tensor, batch: Batch) -> None:
        """Writes rows, of shape (B x K, Q x G, W), to their places, but for those that are filled up."""

    def softmax(self, scores: Tensor, batch: Batch) -> Tensor:
        """P of shape (B x K, Q x G, C), of the keys that each query sees, in place of the scores."""

    def softmax_backward(self, grad: Tensor, weights: Tensor) -> Tensor:
        """dS = P (dP - rowsum(P dP)). May overwrite dP."""

    def add_keyed(self, found: Tensor, batch: Batch, into_T2KW: Tensor) -> None:
        """Adds rows of keys and of values, shape (2, B x K, C, W), to wide ones at their places."""

    def residual(self, logits_SV: Tensor, targets_S: Tensor) -> tuple[Tensor, Tensor]:
        """Wide  logsumexp(z) - z[target],  and narrow  softmax(z) - onehot(target).  May overwrite the logits."""


def best(narrow: torch.dtype) -> tuple[Elementwise, str]:
    """What computes fastest here for a format of narrow numbers, and what to call it."""
    found = compiled.load(narrow)
    return (eager, f"eager: {found}") if isinstance(found, str) else (found, "compiled")


def named(name: str, narrow: torch.dtype) -> Elementwise:
    """What another process has chosen. Raises LatheError where this one cannot have it."""
    if name != "compiled":
        return eager
    found = compiled.load(narrow)
    if isinstance(found, str):
        raise LatheError(
            f"the first process computes with compiled code, and this one cannot: {found}",
            hint="Install a C++ compiler on every machine of a training, or on none.",
        )
    return found
