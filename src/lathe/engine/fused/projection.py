"""Linear layers that read the same input, with their LoRA, as one matrix product forward and one backward.

For layers with weights W_i and adapters A_i (rank x in) and B_i (out x rank), scaled by s, let W stack the W_i, A stack the A_i,
and sB hold the s B_i as blocks on its diagonal. One matrix

    M = [[W + sB A, sB],      Y | V  = X M[:, :in].T        V = X A.T, the adapters' inner values
         [A,         0]]      dX | U = dY M[:out]           U = dY sB

serves both directions, and what is left are the small gradients dA = U.T X and s dY_i.T V_i = dB_i (Hu et al. 2021,
arXiv 2106.09685, equation 3, differentiated).

In bf16 the sum W + sB A would round small updates away, so there M holds W alone, and Y += V sB.T and dX += U A follow.

With dropout an adapter reads X * D_i / (1 - p) instead of X, D_i being 0 where a number is dropped and else 1. No W can stand for
that, and each adapter has a mask of its own, so then M holds W and A / (1 - p) alone and

    V_i = (X * D_i) A_i.T,   Y_i += V_i sB_i.T,   dX += sum_i (U_i A_i) * D_i,   dA_i = U_i.T (X * D_i)

with the masks drawn again in the backward pass, since drawing is cheaper than keeping (`engine.dropout`).

The gain g of the norm in front is part of M: X is normalised but not scaled, W and A stand for W diag(g) and A diag(g).

Shapes: T tokens; `in` and `out` features; R ranks of all adapters together, rounded up to a multiple of 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lathe.engine.adapters import LoraLinear
from lathe.engine.arena import Arena, New
from lathe.engine.devices import fast_products
from lathe.engine.dropout import RowDropout, Rows
from lathe.engine.fused.gradient import add_gradient
from lathe.engine.fused.rotary import ordered, own_order

ADAPTER = "default"
"""peft's name of the only adapter there is."""
_RANKS = 16
"""Rows of M stay aligned, and the pairs of rotary position embedding stay even."""


@dataclass(frozen=True)
class _Part:
    """One of the layers. order: where its output rows come from, where they are not in their own order."""

    rows: slice
    base: nn.Linear
    order: Tensor | None
    ranks: slice
    down: nn.Parameter | None = None
    """A, shape (rank, in)."""
    up: nn.Parameter | None = None
    """B, shape (out, rank)."""
    scale: float = 0.0
    dropout: RowDropout | None = None

    @property
    def kept_scale(self) -> float:
        """Factor of the numbers that dropout keeps."""
        return 1.0 if self.dropout is None else self.dropout.scale


class Projection:
    """Y = X W.T + bias for some layers side by side. `refresh` must follow every change of the adapters."""

    def __init__(
        self,
        layers: Sequence[nn.Module],
        dtype: torch.dtype,
        gain: Tensor | None = None,
        orders: Sequence[Tensor | None] | None = None,
    ) -> None:
        self._parts = []
        out = ranks = 0
        for layer, order in zip(layers, orders or [None] * len(layers), strict=True):
            base = layer.base_layer if isinstance(layer, LoraLinear) else layer
            assert isinstance(base, nn.Linear)
            rows = slice(out, out := out + base.out_features)
            if isinstance(layer, LoraLinear):
                down, up = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
                held = slice(ranks, ranks := ranks + len(down))
                dropout = layer.lora_dropout[ADAPTER]
                dropout = dropout if isinstance(dropout, RowDropout) else None
                part = _Part(rows, base, order, held, down, up, layer.scaling[ADAPTER], dropout)
            else:
                part = _Part(rows, base, order, slice(ranks, ranks))
            self._parts.append(part)
        self.inner, self.out = self._parts[0].base.in_features, out
        self._adapted = ranks > 0
        ranks = -(-ranks // _RANKS) * _RANKS
        self._gain = None if gain is None else gain.to(torch.promote_types(dtype, torch.float32))
        self._drops = any(part.dropout is not None for part in self._parts)
        self._merged = dtype != torch.bfloat16 and not self._drops
        self._matrix = torch.zeros(out + ranks, self.inner + ranks, dtype=dtype)
        self._bias = self._joined_bias(out + ranks)
        if not self._merged or not self._adapted:
            for part in self._parts:
                self._matrix[part.rows, : self.inner] = self._scaled(ordered(part.base.weight, part.order))

    @property
    def trained(self) -> list[nn.Parameter]:
        """The A and B matrices whose gradients `backward` forms."""
        return [matrix for part in self._parts for matrix in (part.down, part.up) if matrix is not None]

    def refresh(self) -> None:
        """Takes the adapters as they are now into M."""
        for part in self._parts if self._adapted else ():
            into = self._matrix[part.rows, : self.inner]
            if self._merged:
                torch.mul(ordered(part.base.weight, part.order), 1 if self._gain is None else self._gain, out=into)
            if part.down is None or part.up is None:
                continue
            down, up = self._scaled(part.down * part.kept_scale), ordered(part.up, part.order) * part.scale
            inner = slice(self.inner + part.ranks.start, self.inner + part.ranks.stop)
            self._down(part).copy_(down)
            self._matrix[part.rows, inner] = up.to(self._matrix.dtype)
            if self._merged:
                into.addmm_(up.to(into.dtype), down.to(into.dtype))

    @fast_products()
    def forward(self, input_TI: Tensor, rows: Rows, arena: Arena, *, new: New = torch.empty) -> tuple[Tensor, Tensor]:
        """Y, shape (T, out), and V, shape (T, R), for `backward`. rows: whose masks dropout takes; arena: where V lies; new: what
        gives memory to Y."""
        inner = arena.empty((len(input_TI), self._matrix.shape[1] - self.inner), dtype=input_TI.dtype)
        if self._drops:
            output = self._product(input_TI, self.out, new)
            inner.zero_()
            for part in self._parts:
                if part.down is not None:
                    torch.mm(self._dropped(part, input_TI, rows), self._down(part).T, out=inner[:, part.ranks])
        else:
            both = self._product(input_TI, len(self._matrix), new)
            output = both[:, : self.out]
            inner.copy_(both[:, self.out :])
        for part in self._parts:
            if part.down is not None and not self._merged:
                # Each by itself: of all together, as many products would be with zeros as there are layers.
                scaled_up = self._matrix[part.rows, self.inner + part.ranks.start : self.inner + part.ranks.stop]
                output[:, part.rows].addmm_(inner[:, part.ranks], scaled_up.T)
        return output, inner

    @fast_products()
    def backward(self, grad_TO: Tensor, input_TI: Tensor, inner_TR: Tensor, rows: Rows) -> Tensor:
        """dX, shape (T, in); adds the adapters' gradients to `.grad`. input_TI: X; inner_TR: V."""
        both = grad_TO @ self._matrix[: self.out]
        grad_input, grad_inner = both[:, : self.inner], both[:, self.inner :]
        if self._adapted:
            self._add_gradients(grad_TO, input_TI, grad_inner, inner_TR, rows)
            if self._drops:
                for part in self._parts:
                    if part.down is not None:
                        grad_input += self._dropped(part, grad_inner[:, part.ranks] @ self._down(part), rows)
            elif not self._merged:
                grad_input.addmm_(grad_inner, self._matrix[self.out :, : self.inner])
        return grad_input

    def _product(self, input_TI: Tensor, features: int, new: New) -> Tensor:
        """The first so many features of X M[:, :in].T, with their bias."""
        return product(
            input_TI, self._matrix[:features, : self.inner], None if self._bias is None else self._bias[:features], new
        )

    def finish(self) -> None:
        """Nothing is left to do: each pack's gradients are in `.grad`."""

    @fast_products()
    def learn(self, grad_TO: Tensor, input_TI: Tensor, inner_TR: Tensor, rows: Rows) -> None:
        """As `backward`, where nobody needs dX."""
        if self._adapted:
            self._add_gradients(grad_TO, input_TI, grad_TO @ self._matrix[: self.out, self.inner :], inner_TR, rows)

    def _add_gradients(
        self, grad_TO: Tensor, input_TI: Tensor, grad_inner_TR: Tensor, inner_TR: Tensor, rows: Rows
    ) -> None:
        if self._drops:
            grad_down = input_TI.new_empty(grad_inner_TR.shape[1], self.inner)
            for part in self._parts:
                dropped = self._dropped(part, input_TI, rows)
                torch.mm(grad_inner_TR[:, part.ranks].T, dropped, out=grad_down[part.ranks])
        else:
            grad_down = grad_inner_TR.T @ input_TI
        grad_down = grad_down.to(torch.promote_types(input_TI.dtype, torch.float32))
        if self._gain is not None:
            grad_down *= self._gain
        for part in self._parts:
            if part.down is None or part.up is None:
                continue
            add_gradient(part.down, grad_down[part.ranks] * part.kept_scale)
            grad_up = (grad_TO[:, part.rows].T @ inner_TR[:, part.ranks]).to(part.up.dtype).mul_(part.scale)
            add_gradient(part.up, own_order(grad_up, part.order))

    def _down(self, part: _Part) -> Tensor:
        """A of a layer as it stands in M, shape (rank, in)."""
        return self._matrix[self.out + part.ranks.start : self.out + part.ranks.stop, : self.inner]

    def _dropped(self, part: _Part, input_TI: Tensor, rows: Rows) -> Tensor:
        """X * D of a layer's adapter."""
        if part.dropout is None:
            return input_TI
        return part.dropout.kept(rows, self.inner, input_TI.dtype).mul_(input_TI)

    def _scaled(self, matrix_OI: Tensor) -> Tensor:
        scaled = matrix_OI if self._gain is None else matrix_OI * self._gain
        return scaled.to(self._matrix.dtype)

    def _joined_bias(self, rows: int) -> Tensor | None:
        if all(part.base.bias is None for part in self._parts):
            return None
        bias = torch.zeros(rows, dtype=self._matrix.dtype)
        for part in self._parts:
            if part.base.bias is not None:
                bias[part.rows] = ordered(part.base.bias, part.order)
        return bias


def product(input_TI: Tensor, matrix_OI: Tensor, bias_O: Tensor | None, new: New) -> Tensor:
    """X M.T + b, shape (T, out). new: what gives memory to it."""
    into = new((len(input_TI), len(matrix_OI)), dtype=input_TI.dtype)
    if bias_O is None:
        return torch.mm(input_TI, matrix_OI.T, out=into)
    return torch.addmm(bias_O, input_TI, matrix_OI.T, out=into)
