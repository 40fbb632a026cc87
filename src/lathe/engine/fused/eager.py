"""The element-wise parts of the fused step with torch's operations; `elementwise.Elementwise` says what each computes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lathe.engine.arena import New
from lathe.engine.fused.batches import Batch


def normalise(hidden_TD: Tensor, epsilon: float, normed_TD: Tensor, inverse_T1: Tensor) -> None:
    torch.linalg.vector_norm(hidden_TD, dim=-1, keepdim=True, out=inverse_T1)
    inverse_T1.square_().div_(hidden_TD.shape[-1]).add_(epsilon).rsqrt_()
    torch.mul(hidden_TD, inverse_T1, out=normed_TD)


def add_normalise_backward(into_TD: Tensor, grad_TD: Tensor, normed_TD: Tensor, inverse_T1: Tensor) -> Tensor:
    grad, normed = grad_TD.to(into_TD.dtype), normed_TD.to(into_TD.dtype)
    along = (grad * normed).sum(-1, keepdim=True).div_(-grad.shape[-1]).mul_(inverse_T1)
    return into_TD.addcmul_(grad, inverse_T1).addcmul_(normed, along)


def add(into_TD: Tensor, change_TD: Tensor) -> None:
    into_TD += change_TD


def gated(gate_up_T2F: Tensor, into_TF: Tensor) -> None:
    gate, up = gate_up_T2F.chunk(2, dim=1)
    torch.mul(functional.silu(gate), up, out=into_TF)


def gated_backward(grad_TF: Tensor, gate_up_T2F: Tensor) -> Tensor:
    gate, up = gate_up_T2F.chunk(2, dim=1)
    grad = torch.empty(gate_up_T2F.shape, dtype=grad_TF.dtype)
    grad_gate, grad_up = grad.chunk(2, dim=1)
    torch.mul(functional.silu(gate), grad_TF, out=grad_up)
    torch.ops.aten.silu_backward.grad_input(grad_TF * up, gate, grad_input=grad_gate)
    return grad


def turn(heads_TKGW: Tensor, turns_TC: Tensor, scale: float, into_TKGW: Tensor, *, back: bool = False) -> None:
    between = (1,) * (heads_TKGW.dim() - 2)
    factors = (turns_TC.conj() if back else turns_TC) * scale
    wide = heads_TKGW.to(factors.real.dtype)
    turned = torch.view_as_complex(wide.unflatten(-1, (-1, 2))) * factors.view(len(factors), *between, -1)
    into_TKGW.copy_(torch.view_as_real(turned).flatten(-2))


def gather(rows: Tensor, places: Tensor, batch: Batch, *, new: New = torch.empty, real_only: bool = False) -> Tensor:
    picked = rows.index_select(0, places).unflatten(0, (len(batch.written), -1))
    if real_only and batch.filled_up is not None:
        picked.masked_fill_(batch.filled_up, 0)
    by_head = picked.transpose(1, 2)
    return (
        new(by_head.shape, dtype=rows.dtype).copy_(by_head).view(len(batch.written) * rows.shape[1], -1, rows.shape[-1])
    )


def put(found: Tensor, into_RKGW: Tensor, batch: Batch) -> None:
    _, heads, groups, width = into_RKGW.shape
    found_BQKGW = found.view(-1, heads, batch.num_queries, groups, width).transpose(1, 2)
    for rows, written in zip(found_BQKGW, batch.written, strict=True):
        into_RKGW[written] = rows[: written.stop - written.start]


def softmax(scores: Tensor, batch: Batch) -> Tensor:
    scores_BKQGC = scores.view(
        len(batch.written), -1, batch.num_queries, scores.shape[1] // batch.num_queries, batch.num_keys
    )
    scores_BKQGC[..., batch.num_keys - batch.hidden_BQH.shape[-1] :].masked_fill_(batch.hidden_BQH, float("-inf"))
    return torch.softmax(scores, dim=-1, out=scores)


def softmax_backward(grad: Tensor, weights: Tensor) -> Tensor:
    return torch._softmax_backward_data(grad, weights, -1, weights.dtype)


def add_keyed(found: Tensor, batch: Batch, into_T2KW: Tensor) -> None:
    found_BC2KW = found.unflatten(1, (-1, into_T2KW.shape[2])).permute(1, 3, 0, 2, 4)
    for block, columns in zip(found_BC2KW, batch.columns, strict=True):
        for places, of_block in columns:
            into_T2KW[places] += block[of_block]


def residual(logits_SV: Tensor, targets_S: Tensor) -> tuple[Tensor, Tensor]:
    log_probs = torch.log_softmax(logits_SV.to(torch.promote_types(logits_SV.dtype, torch.float32)), dim=-1)
    target = targets_S[:, None]
    losses = -log_probs.gather(1, target).squeeze(1)
    found = log_probs.exp_()
    found.scatter_add_(1, target, found.new_full((1, 1), -1.0).expand_as(target))
    return losses, found.to(logits_SV.dtype)
