"""Cross-entropy at the supervised positions only, a chunk at a time, with the gradient formed on the way forward.

    loss = supervised_loss(hidden_TD, head_VD, positions_S, targets_S)      # summed over the S positions, in nats
    loss.backward()

Full logits (T x V) never exist: a chunk of C rows costs C x V numbers, is turned into its own gradient in place, and
is multiplied back at once. Two products with the head a chunk (three where the head learns too), against three
(four) for a loss that recomputes.

Shapes: T positions, D hidden width, V vocabulary, S supervised positions, C rows of a chunk.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_CHUNK_ROWS = 512


class _SupervisedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_TD: Tensor,
        head_VD: Tensor,
        positions_S: Tensor,
        targets_S: Tensor,
        weights_S: Tensor | None,
        chunk: int,
    ) -> Tensor:
        needs_hidden, needs_head = ctx.needs_input_grad[:2]
        total = hidden_TD.new_zeros((), dtype=torch.float64 if hidden_TD.dtype == torch.float64 else torch.float32)
        grad_hidden = torch.zeros_like(hidden_TD) if needs_hidden else None
        grad_head = torch.zeros_like(head_VD, dtype=total.dtype) if needs_head else None
        for start in range(0, positions_S.numel(), chunk):
            positions, targets = positions_S[start : start + chunk], targets_S[start : start + chunk]
            rows_CD = hidden_TD.index_select(0, positions)
            logits_CV = (rows_CD @ head_VD.T).to(total.dtype)
            log_probs_CV = torch.log_softmax(logits_CV, dim=-1)
            losses_C = -log_probs_CV.gather(1, targets[:, None]).squeeze(1)
            weights_C = None if weights_S is None else weights_S[start : start + chunk].to(total.dtype)
            total += losses_C.sum() if weights_C is None else (losses_C * weights_C).sum()
            if not (needs_hidden or needs_head):
                continue
            # d loss / d logits = softmax - one_hot, times the row's weight
            grad_CV = log_probs_CV.exp_()
            grad_CV[torch.arange(targets.numel(), device=targets.device), targets] -= 1
            if weights_C is not None:
                grad_CV *= weights_C[:, None]
            grad_CV = grad_CV.to(hidden_TD.dtype)
            if grad_hidden is not None:
                grad_hidden.index_add_(0, positions, grad_CV @ head_VD)
            if grad_head is not None:
                grad_head += grad_CV.T @ rows_CD
        ctx.save_for_backward(*(grad for grad in (grad_hidden, grad_head) if grad is not None))
        ctx.has = (grad_hidden is not None, grad_head is not None)
        ctx.head_dtype = head_VD.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        saved = list(ctx.saved_tensors)
        scale = grads[0]
        grad_hidden = saved.pop(0) if ctx.has[0] else None
        grad_head = saved.pop(0) if ctx.has[1] else None
        return (
            None if grad_hidden is None else grad_hidden * scale.to(grad_hidden.dtype),
            None if grad_head is None else (grad_head * scale).to(ctx.head_dtype),
            None,
            None,
            None,
            None,
        )


def supervised_loss(
    hidden_TD: Tensor,
    head_VD: Tensor,
    positions_S: Tensor,
    targets_S: Tensor,
    weights_S: Tensor | None = None,
    *,
    chunk: int = _CHUNK_ROWS,
) -> Tensor:
    """Summed cross-entropy (nats) of `targets_S` under the logits at `positions_S`, each times its weight.

    hidden_TD: hidden states before the output head, T x D. head_VD: the head's weight, V x D; its gradient is formed
    where it requires one. positions_S: rows of hidden_TD whose logits are scored (the position *before* the
    predicted token). targets_S: the predicted token ids. weights_S: a factor for each position, None for 1. chunk:
    rows scored at once; changes memory, not the result. The sum is a float32 scalar (float64 for float64 input);
    divide it by the step's supervised tokens outside.
    """
    return _SupervisedLoss.apply(hidden_TD, head_VD, positions_S, targets_S, weights_S, chunk)
