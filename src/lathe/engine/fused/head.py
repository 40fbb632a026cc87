"""Cross-entropy of the scored positions and its gradient, formed together, some rows of logits at a time.

    loss = sum_s w_s (logsumexp(z_s) - z_s[target_s]),   dz_s = w_s (softmax(z_s) - onehot(target_s)),   z = h E.T
    dh = dz E,   dE = dz.T h

Shapes: S scored positions, D hidden width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lathe.engine.devices import fast_products
from lathe.engine.fused.elementwise import Elementwise

_ROWS = 256


@fast_products()
def scored(
    hidden_SD: Tensor,
    head_VD: Tensor,
    targets_S: Tensor,
    weights_S: Tensor,
    ops: Elementwise,
    grad_head_VD: Tensor | None = None,
) -> tuple[float, Tensor]:
    """The loss, and its gradient with respect to hidden_SD, in the dtype of the weights w.

    grad_head_VD: gets the head's gradient added, where that is trained.
    """
    grad = torch.empty(hidden_SD.shape, dtype=weights_S.dtype)
    losses = torch.empty_like(weights_S)
    logits = hidden_SD.new_empty(min(_ROWS, len(targets_S)), len(head_VD))  # once: its pages are the machine's to clear
    for start in range(0, len(targets_S), _ROWS):
        rows = slice(start, start + _ROWS)
        some = torch.mm(hidden_SD[rows], head_VD.T, out=logits[: len(hidden_SD[rows])])
        losses[rows], residual = ops.residual(some, targets_S[rows])
        grad[rows] = residual @ head_VD
        if grad_head_VD is not None:
            ops.add(grad_head_VD, residual.T @ (hidden_SD[rows] * weights_S[rows, None]).to(hidden_SD.dtype))
    return float(losses @ weights_S), grad.mul_(weights_S[:, None])
