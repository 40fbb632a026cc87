"""Dropout in front of the adapters, whose mask is a function of seed, step, row, layer and position alone.

    with dropping(net, pack):               # the reference step, around its forward pass
    dropout.kept(rows_of(pack), width)      # the fused step, forward and backward

So a mask is the same in both passes, in whatever pack and process a row is computed, and after a restart; equal rows of one step
have equal masks. Outside of a pack it is torch's own dropout. The seed of the step is the one that torch was seeded with last.

A mask takes 16 random bits a number, of SFC64 keyed by all of these through BLAKE2: 1.1 ns a number where torch's own dropout takes
5.3 (CPU time of one core, beside other work). A share is met within 1 / 131,072. Hinton et al. 2012, arXiv 1207.0580.

Shapes: T tokens of a pack; `width` numbers of each that are read by an adapter.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lathe.engine.packs import Pack

_LEVELS = 1 << 16
"""Of 16 random bits."""


@dataclass(frozen=True)
class Rows:
    """The rows of a pack, as masks know them.

    keys: of each row, with the step's seed in it. bounds: where each begins, and the end of the last. num_tokens: positions in all,
    those behind the rows included. positions: of which the mask is wanted; None = of all.
    """

    keys: tuple[bytes, ...]
    bounds: tuple[int, ...]
    num_tokens: int
    positions: Tensor | None = None

    def at(self, positions: Tensor) -> Rows:
        """The same for some positions of the pack."""
        return replace(self, positions=positions)


def rows_of(pack: Pack, num_tokens: int | None = None) -> Rows:
    """A pack's rows in the step that torch was seeded for. num_tokens: where positions without a row follow."""
    ids_T = pack.ids_1T[0].cpu().numpy()
    seed = torch.initial_seed().to_bytes(8, "little")
    keys = tuple(
        hashlib.blake2b(seed + ids_T[start:end].astype("<i8").tobytes(), digest_size=16).digest()
        for start, end in pairwise(pack.bounds)
    )
    return Rows(keys, tuple(pack.bounds), num_tokens or len(ids_T))


class RowDropout(nn.Module):
    """share: of the numbers that are dropped; number: which adapter of the model it stands in front of."""

    def __init__(self, share: float, number: int) -> None:
        super().__init__()
        self.share, self.number = share, number
        self.rows: Rows | None = None

    @property
    def scale(self) -> float:
        """Factor of what is kept, so that the mean stays."""
        return 1 / (1 - self.share)

    def kept(self, rows: Rows, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """1 where a number is kept, else 0, as shape (T or positions, width)."""
        dropped = np.uint16(min(_LEVELS - 1, round(self.share * _LEVELS)))
        kept_TW = torch.zeros(rows.num_tokens, width, dtype=dtype)
        for key, (start, end) in zip(rows.keys, pairwise(rows.bounds), strict=True):
            own = hashlib.blake2b(key + self.number.to_bytes(4, "little"), digest_size=16).digest()
            count = (end - start) * width
            drawn = np.random.SFC64(int.from_bytes(own, "little")).random_raw(-(-count // 4)).astype("<u8", copy=False)
            mask = torch.from_numpy(drawn.view("<u2")[:count] >= dropped)
            kept_TW[start:end] = mask.view(end - start, width)
        return kept_TW if rows.positions is None else kept_TW[rows.positions]

    def forward(self, hidden_1TW: Tensor) -> Tensor:
        if self.rows is None or not self.training:
            return functional.dropout(hidden_1TW, self.share, self.training)
        kept_TW = self.kept(self.rows, hidden_1TW.shape[-1], hidden_1TW.dtype)
        return hidden_1TW * kept_TW.mul_(self.scale).to(hidden_1TW.device)


@contextlib.contextmanager
def dropping(net: nn.Module, pack: Pack) -> Iterator[None]:
    """Inside the block the model's dropouts drop what this pack's rows drop in this step."""
    dropouts = [part for part in net.modules() if isinstance(part, RowDropout)]
    rows = rows_of(pack) if dropouts else None
    for part in dropouts:
        part.rows = rows
    try:
        yield
    finally:
        for part in dropouts:
            part.rows = None
