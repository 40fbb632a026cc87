"""How a decoder multiplies by a model's matrices: they are taken out of the model and laid as few rows read them fastest.

    lay = laid_for(torch.bfloat16, torch.device("cpu"), model.num_parameters())
    qkv = product(lay, attention.q_proj, attention.k_proj, attention.v_proj)       # side by side: (T, in) -> (T, out)

A pass over a few answers reads every matrix once, so that the time of a product is that of reading. On a CPU oneDNN reads fastest
what lies in the order in which it multiplies; from torch's own order it brings a matrix into that one before each product (bf16),
or reads it with gaps (fp32). SmolLM2-135M's layers and head for 14 rows, one thread of a Xeon: bf16 50 ms, so 27; fp32 145 ms, so
64. To call it takes 15 microseconds, however, which is what a whole fp32 product of the bundled base takes where MKL meets its
matrix transposed.

Shapes: T rows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from lathe.engine.decoding import tiles
from lathe.engine.devices import computes_bf16

Product = Callable[[Tensor], Tensor]
"""Of hidden states, (T, in), with one matrix or several side by side: (T, out)."""
Lay = Callable[[Tensor, Tensor | None], Product]
"""A product of a matrix, shape (out, in), and a bias."""
CACHED = 1 << 24
"""Parameters up to which a model's matrices come from a cache, not from memory."""
STEPS = ((8, 1), (64, 8), (512, 16))
"""Up to so many rows they are filled up to a multiple of so many; beyond, of `COARSE`. oneDNN compiles and keeps code for each
number of rows that it meets."""
COARSE = 64


def product(lay: Lay, *parts: nn.Module) -> Product:
    """By linear layers side by side, which have no matrix any more afterwards. Layers that are quantised or have an adapter beside
    them stay whole and compute by themselves."""
    plain = [part for part in parts if type(part) is nn.Linear]
    if len(plain) < len(parts):
        return parts[0] if len(parts) == 1 else lambda hidden_TD: torch.cat([part(hidden_TD) for part in parts], dim=-1)
    weights = [part.weight.detach() for part in plain]
    # One alone is not copied: an output head may be the embedding too.
    weight = weights[0] if len(weights) == 1 else torch.cat(weights)
    biases = [part.bias.detach() for part in plain if part.bias is not None]
    for part in plain:
        part.register_parameter("weight", None)
    return lay(weight, torch.cat(biases) if biases else None)


def laid_for(dtype: torch.dtype, device: torch.device, parameters: int) -> Lay:
    """What multiplies fastest by the matrices of a model of such a format, place and size."""
    if device.type == "cpu" and dtype == torch.float32 and parameters <= CACHED:
        return Transposed
    multiplies = dtype == torch.float32 or (dtype == torch.bfloat16 and computes_bf16())
    if device.type == "cpu" and multiplies and torch.backends.mkldnn.is_available():
        return InOrder
    return AsTheyAre


class AsTheyAre:
    """A product with a matrix as models hold it. weight: shape (out, in)."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._matrix, self._bias = weight, bias

    def __call__(self, hidden_TD: Tensor) -> Tensor:
        return functional.linear(hidden_TD, self._matrix, self._bias)


class Transposed:
    """A product with a matrix that lies transposed. weight: shape (out, in)."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._matrix, self._bias = weight.t().contiguous(), bias

    def __call__(self, hidden_TD: Tensor) -> Tensor:
        if self._bias is None:
            return hidden_TD @ self._matrix
        return torch.addmm(self._bias, hidden_TD, self._matrix)


class InOrder:
    """A product with a matrix that lies in the order in which oneDNN multiplies, which does so where rows are many; few are
    multiplied by `tiles`, where it can. weight: shape (out, in)."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        # Both operations are those by which models multiply that torch's compiler froze; torch is pinned.
        self._matrix = torch.ops.mkldnn._reorder_linear_weight(weight, None)
        self._bias = bias
        self._few = tiles.product(weight, self._matrix, bias)

    def __call__(self, hidden_TD: Tensor) -> Tensor:
        rows = len(hidden_TD)
        if self._few is not None and rows <= tiles.MOST_ROWS:
            return self._few(hidden_TD)
        if more := filled(rows) - rows:
            hidden_TD = functional.pad(hidden_TD, (0, 0, 0, more))
        found: Tensor = torch.ops.mkldnn._linear_pointwise(hidden_TD, self._matrix, self._bias, "none", [], "")
        return found[:rows]


def filled(rows: int) -> int:
    """Rows of which products are formed in place of so many."""
    step = next((step for most, step in STEPS if rows <= most), COARSE)
    return -(-rows // step) * step
