"""Where a gradient goes that was formed by hand."""

from __future__ import annotations

from torch import Tensor, nn


def add_gradient(parameter: nn.Parameter, gradient: Tensor) -> None:
    """Adds to `.grad`, which is None before the first. The gradient is given away: it may become `.grad` itself."""
    if parameter.grad is None:
        parameter.grad = gradient.to(parameter.dtype)
    else:
        parameter.grad += gradient
