"""Linear layers that read the same input, all their weights trained, as one matrix product forward and two backward.

Let W stack the weights W_i of the layers and b their biases, and let g be the gain of the norm in front, so that M = W diag(g):

    Y = X M.T + b,    dX = dY M,    dM = dY.T X,    dW = dM diag(g),    dg = sum of the rows of dM * W,    db = sum of those of dY

dM and db are summed up over the packs of a step, in wide numbers; what follows of them is formed once, by `finish`. M is narrow:
in bf16 the weights themselves stay float32, as autocast has it.

Shapes: T tokens; `in` and `out` features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lathe.engine.arena import Arena, New
from lathe.engine.devices import fast_products
from lathe.engine.dropout import Rows
from lathe.engine.fused.elementwise import Elementwise
from lathe.engine.fused.gradient import add_gradient
from lathe.engine.fused.projection import product
from lathe.engine.fused.rotary import ordered, own_order


@dataclass(frozen=True)
class _Part:
    """One of the layers. order: where its output rows come from, where they are not in their own order."""

    rows: slice
    layer: nn.Linear
    order: Tensor | None


class FullProjection:
    """Y = X W.T + bias for some layers side by side. `refresh` begins a step, and `finish` ends it."""

    def __init__(
        self,
        layers: Sequence[nn.Module],
        dtype: torch.dtype,
        gain: nn.Parameter | None = None,
        orders: Sequence[Tensor | None] | None = None,
        *,
        ops: Elementwise,
        sums: Arena,
    ) -> None:
        """ops: what adds up dM; sums: where it lies, and becomes `.grad`."""
        self._parts = []
        out = 0
        for layer, order in zip(layers, orders or [None] * len(layers), strict=True):
            assert isinstance(layer, nn.Linear)
            self._parts.append(_Part(slice(out, out := out + layer.out_features), layer, order))
        self._gain = gain
        self._matrix = torch.empty(out, self._parts[0].layer.in_features, dtype=dtype)
        self._bias = torch.zeros(out, dtype=dtype) if any(part.layer.bias is not None for part in self._parts) else None
        self._wide = torch.promote_types(dtype, torch.float32)
        self._ops, self._sums = ops, sums
        self._grad_matrix: Tensor | None = None
        self._grad_bias: Tensor | None = None

    @property
    def trained(self) -> list[nn.Parameter]:
        """The parameters whose gradients `finish` adds."""
        gain = [] if self._gain is None else [self._gain]
        return [parameter for part in self._parts for parameter in part.layer.parameters()] + gain

    def refresh(self) -> None:
        """Takes the weights as they are now into M, and forgets what was learned of a step that did not end."""
        self._grad_matrix = self._grad_bias = None
        for part in self._parts:
            weight = ordered(part.layer.weight, part.order)
            self._matrix[part.rows] = weight if self._gain is None else weight * self._gain
            if self._bias is not None and part.layer.bias is not None:
                self._bias[part.rows] = ordered(part.layer.bias, part.order)

    @fast_products()
    def forward(self, input_TI: Tensor, rows: Rows, arena: Arena, *, new: New = torch.empty) -> tuple[Tensor, Tensor]:
        """Y, shape (T, out), and nothing: there is no adapter. new: what gives memory to Y."""
        return product(input_TI, self._matrix, self._bias, new), input_TI.new_empty(0)

    @fast_products()
    def backward(self, grad_TO: Tensor, input_TI: Tensor, inner_TR: Tensor, rows: Rows) -> Tensor:
        """dX, shape (T, in); learns dM and db. input_TI: X."""
        self.learn(grad_TO, input_TI, inner_TR, rows)
        return grad_TO @ self._matrix

    @fast_products()
    def learn(self, grad_TO: Tensor, input_TI: Tensor, inner_TR: Tensor, rows: Rows) -> None:
        """As `backward`, where nobody needs dX."""
        grad_OI = grad_TO.T @ input_TI
        if self._grad_matrix is None:
            self._grad_matrix = self._sums.empty(grad_OI.shape, dtype=self._wide).copy_(grad_OI)
        else:
            self._ops.add(self._grad_matrix, grad_OI)
        if self._bias is not None:
            of_pack = grad_TO.sum(0, dtype=self._wide)
            self._grad_bias = of_pack if self._grad_bias is None else self._grad_bias.add_(of_pack)

    def finish(self) -> None:
        """Adds the step's gradients to `.grad`."""
        for part in self._parts:
            if self._grad_matrix is not None:
                grad_OI = self._grad_matrix[part.rows]
                if part.order is not None:
                    grad_OI.copy_(own_order(grad_OI, part.order))
                if self._gain is not None:
                    add_gradient(self._gain, (grad_OI * part.layer.weight).sum(0))
                    grad_OI.mul_(self._gain)
                add_gradient(part.layer.weight, grad_OI)
            if self._grad_bias is not None and part.layer.bias is not None:
                add_gradient(part.layer.bias, own_order(self._grad_bias[part.rows], part.order))
        self._grad_matrix = self._grad_bias = None
