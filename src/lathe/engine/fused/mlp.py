"""The gate of the feed-forward block: h = silu(g) u, SwiGLU (Shazeer 2020, arXiv 2002.05202), and its backward pass.

    dg = dh u silu'(g),   du = dh silu(g),   silu'(g) = sigmoid(g) (1 + g (1 - sigmoid(g)))

Shapes: T tokens, F inner width; gate and up lie side by side as one product gives them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def gated(gate_up_T2F: Tensor) -> tuple[Tensor, Tensor]:
    """h and silu(g), shape (T, F) each."""
    gate, up = gate_up_T2F.chunk(2, dim=1)
    opened = functional.silu(gate)
    return opened * up, opened


def gated_backward(grad_TF: Tensor, gate_up_T2F: Tensor, opened_TF: Tensor) -> Tensor:
    """Gradient of gate and up side by side, shape (T, 2F). grad_TF: dh; opened_TF: silu(g)."""
    gate, up = gate_up_T2F.chunk(2, dim=1)
    grad = torch.empty(gate_up_T2F.shape, dtype=grad_TF.dtype)
    grad_gate, grad_up = grad.chunk(2, dim=1)
    torch.mul(grad_TF, opened_TF, out=grad_up)
    torch.ops.aten.silu_backward.grad_input(grad_TF * up, gate, grad_input=grad_gate)
    return grad
