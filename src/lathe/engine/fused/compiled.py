"""The element-wise parts of the fused step in C++ (`compiled.cpp`); `elementwise.Elementwise` says what each function computes.

ops = load(torch.bfloat16)        # Compiled, or why there is none
"""

from __future__ import annotations

import ctypes
import functools
import math
from pathlib import Path

import torch
from torch import Tensor

from lathe.engine.arena import New
from lathe.engine.fused.batches import Batch
from lathe.engine.own_code import AT, FLOAT, INT, address, library, spaced

_SOURCE = Path(__file__).with_name("compiled.cpp")
_SIGNATURES = {
    "normalise": (INT, INT, AT, FLOAT, AT, AT),
    "add_normalise_backward": (INT, INT, AT, AT, INT, AT, AT),
    "add": (INT, INT, AT, AT, INT),
    "turn": (INT, INT, INT, AT, INT, AT, FLOAT, INT, AT, INT),
    "turn_wide": (INT, INT, INT, AT, INT, AT, FLOAT, INT, AT, INT),
    "gated": (INT, INT, AT, INT, AT),
    "gated_backward": (INT, INT, AT, INT, AT, INT, AT),
    "gather": (INT, INT, INT, INT, AT, INT, AT, AT, AT),
    "put": (INT, INT, INT, INT, AT, AT, AT, AT),
    "add_keyed": (INT, INT, INT, INT, AT, AT, AT),
    "softmax": (INT, INT, INT, INT, INT, AT, AT),
    "softmax_backward": (INT, INT, AT, AT),
    "residual": (INT, INT, AT, AT, AT),
}


@functools.cache
def load(narrow: torch.dtype) -> Compiled | str:
    """The functions for a format of narrow numbers, or why they cannot be had."""
    found = library(_SOURCE, narrow, _SIGNATURES)
    return found if isinstance(found, str) else Compiled(found)


class Compiled:
    """The functions of a library, with tensors in place of addresses."""

    def __init__(self, functions: ctypes.CDLL) -> None:
        self._do = functions

    def normalise(self, hidden_TD: Tensor, epsilon: float, normed_TD: Tensor, inverse_T1: Tensor) -> None:
        self._do.normalise(*hidden_TD.shape, address(hidden_TD), epsilon, address(normed_TD), address(inverse_T1))

    def add_normalise_backward(self, into_TD: Tensor, grad_TD: Tensor, normed_TD: Tensor, inverse_T1: Tensor) -> Tensor:
        self._do.add_normalise_backward(
            *into_TD.shape, address(into_TD), *spaced(grad_TD), address(normed_TD), address(inverse_T1)
        )
        return into_TD

    def add(self, into_TD: Tensor, change_TD: Tensor) -> None:
        self._do.add(*into_TD.shape, address(into_TD), *spaced(change_TD))

    def gated(self, gate_up_T2F: Tensor, into_TF: Tensor) -> None:
        self._do.gated(*into_TF.shape, *spaced(gate_up_T2F), address(into_TF))

    def gated_backward(self, grad_TF: Tensor, gate_up_T2F: Tensor) -> Tensor:
        grad = grad_TF.new_empty(gate_up_T2F.shape)
        self._do.gated_backward(*grad_TF.shape, *spaced(grad_TF), *spaced(gate_up_T2F), address(grad))
        return grad

    def turn(
        self, heads_TKGW: Tensor, turns_TC: Tensor, scale: float, into_TKGW: Tensor, *, back: bool = False
    ) -> None:
        tokens, *heads, width = heads_TKGW.shape
        turn = self._do.turn if heads_TKGW.dtype == into_TKGW.dtype else self._do.turn_wide
        turn(tokens, math.prod(heads), width, *spaced(heads_TKGW), address(turns_TC), scale, back, *spaced(into_TKGW))

    def gather(
        self, rows: Tensor, places: Tensor, batch: Batch, *, new: New = torch.empty, real_only: bool = False
    ) -> Tensor:
        blocks, heads, width = len(batch.written), rows.shape[1], rows.shape[-1]
        of_one, together = len(places) // blocks, math.prod(rows.shape[2:])
        picked = new((blocks * heads, of_one * together // width, width), dtype=rows.dtype)
        real = address(batch.real_B) if real_only else None
        self._do.gather(blocks, heads, of_one, together, *spaced(rows), address(places), real, address(picked))
        return picked

    def put(self, found: Tensor, into_RKGW: Tensor, batch: Batch) -> None:
        _, heads, groups, width = into_RKGW.shape
        self._do.put(
            len(batch.written), heads, batch.num_queries, groups * width, address(found), address(batch.rows_BQ),
            address(batch.real_B), address(into_RKGW),
        )  # fmt: skip

    def softmax(self, scores: Tensor, batch: Batch) -> Tensor:
        blocks = len(batch.written)
        (both, rows, keys), queries = scores.shape, batch.num_queries
        self._do.softmax(
            blocks, both // blocks, queries, rows // queries, keys, address(batch.seen_BQ), address(scores)
        )
        return scores

    def softmax_backward(self, grad: Tensor, weights: Tensor) -> Tensor:
        self._do.softmax_backward(grad.shape[0] * grad.shape[1], grad.shape[2], address(grad), address(weights))
        return grad

    def add_keyed(self, found: Tensor, batch: Batch, into_T2KW: Tensor) -> None:
        _, _, heads, width = into_T2KW.shape
        self._do.add_keyed(
            len(batch.written), heads, batch.num_keys, width, address(found), address(batch.keys_BC), address(into_T2KW)
        )

    def residual(self, logits_SV: Tensor, targets_S: Tensor) -> tuple[Tensor, Tensor]:
        losses = logits_SV.new_empty(len(targets_S), dtype=torch.float32)
        self._do.residual(*logits_SV.shape, address(logits_SV), address(targets_S), address(losses))
        return losses, logits_SV
