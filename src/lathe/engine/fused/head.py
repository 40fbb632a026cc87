"""Cross-entropy of the scored positions and its gradient, formed together, some rows of logits at a time.

    loss = sum_s w_s (logsumexp(z_s) - z_s[target_s]),   dz_s = w_s (softmax(z_s) - onehot(target_s)),   z = h E.T

Shapes: S scored positions, D hidden width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lathe.engine.devices import fast_products

_ROWS = 256


@fast_products()
def scored(hidden_SD: Tensor, head_VD: Tensor, targets_S: Tensor, weights_S: Tensor) -> tuple[float, Tensor]:
    """The loss, and its gradient with respect to hidden_SD, in the dtype of the weights w."""
    grad = torch.empty(hidden_SD.shape, dtype=weights_S.dtype)
    losses = torch.empty_like(weights_S)
    for start in range(0, len(targets_S), _ROWS):
        rows = slice(start, start + _ROWS)
        log_probs = torch.log_softmax((hidden_SD[rows] @ head_VD.T).to(grad.dtype), dim=-1)
        target = targets_S[rows, None]
        losses[rows] = -log_probs.gather(1, target).squeeze(1)
        residual = log_probs.exp_()
        residual.scatter_add_(1, target, residual.new_full((1, 1), -1.0).expand_as(target))
        grad[rows] = residual.to(head_VD.dtype) @ head_VD
    return float(losses @ weights_S), grad.mul_(weights_S[:, None])
