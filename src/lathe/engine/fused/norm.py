"""Root-mean-square normalisation without its gain (Zhang and Sennrich 2019, arXiv 1910.07467) and its backward pass.

    n = x r,   r = 1 / sqrt(mean(x^2) + epsilon)
    dx = r (dn - n mean(dn n))

The gain belongs to what reads n: `Projection` takes it into its matrix. Shapes: ... any, D normalised width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def normalise(hidden_D: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """n, shape (..., D), and r, shape (..., 1)."""
    length = torch.linalg.vector_norm(hidden_D, dim=-1, keepdim=True)
    inverse = length.square_().div_(hidden_D.shape[-1]).add_(epsilon).rsqrt_()
    return hidden_D * inverse, inverse


def add_normalise_backward(into_D: Tensor, grad_D: Tensor, normed_D: Tensor, inverse: Tensor) -> Tensor:
    """Adds dx to `into_D` in place and returns it. grad_D: dn; normed_D and inverse as `normalise` gave them."""
    along = (grad_D * normed_D).sum(-1, keepdim=True).div_(-grad_D.shape[-1]).mul_(inverse)
    return into_D.addcmul_(grad_D, inverse).addcmul_(normed_D, along)
