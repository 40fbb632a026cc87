"""Rotary position embedding (Su et al. 2021, arXiv 2104.09864) as one complex product.

transformers pairs element j of a head with element j + W/2. `paired_order` puts the two beside each other, in the weights, once;
a head is then W/2 complex numbers, turned by exp(i angle), and the gradient is turned back by exp(-i angle). Scores do not change,
for queries and keys are reordered alike.

Shapes: T tokens, W head width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def paired_order(heads: int, width: int) -> Tensor:
    """Rows of a weight of `heads` heads in the order 0, W/2, 1, W/2 + 1 ... of each head."""
    within = torch.arange(width).view(2, -1).T.flatten()
    return (torch.arange(heads)[:, None] * width + within).flatten()


def turns(cos_TW: Tensor, sin_TW: Tensor) -> Tensor:
    """exp(i angle), shape (T, W/2) complex, from the cosines and sines of transformers."""
    half = cos_TW.shape[1] // 2
    return torch.complex(cos_TW[:, :half].contiguous(), sin_TW[:, :half].contiguous())


def ordered(rows: Tensor, order: Tensor | None) -> Tensor:
    """Rows by the places that they come from; as they are where there is no order."""
    return rows if order is None else rows.index_select(0, order)


def own_order(rows: Tensor, order: Tensor | None) -> Tensor:
    """The inverse of `ordered`."""
    return rows if order is None else torch.empty_like(rows).index_copy_(0, order, rows)
