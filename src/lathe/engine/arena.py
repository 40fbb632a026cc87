"""Memory for what a pack keeps from its way forward to its way backward; the next pack writes over it.

    arena = Arena()
    normed_TD = arena.empty((tokens, hidden), dtype=torch.bfloat16)      # until
    arena.clear()

What is kept lives long and is large, all else is short-lived. From one heap, small blocks settle beside what is kept and then hold
a hole apart that glibc 2.36 puts no aligned block of the same size into: with AMX, whose products leave many, packs of 2,048 tokens
of SmolLM2-135M's shape took 0.6 GB more than one of them has.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

New = Callable[..., Tensor]
"""What gives memory to a tensor of a shape and a dtype: torch.empty, or an arena's."""
_BLOCK = 2**28
"""Bytes of a block; what of it was never written to takes no memory."""
_ALIGNED = 64


class Arena:
    """Tensors that end together."""

    def __init__(self) -> None:
        self._blocks: list[Tensor] = []
        self._block = self._used = 0
        _ARENAS.add(self)

    def empty(self, shape: Sequence[int], *, dtype: torch.dtype) -> Tensor:
        """As torch.empty, until `clear`."""
        size = math.prod(shape) * dtype.itemsize
        while self._block < len(self._blocks) and self._used + size > len(self._blocks[self._block]):
            self._block, self._used = self._block + 1, 0
        if self._block == len(self._blocks):
            self._blocks.append(torch.empty(max(size, _BLOCK), dtype=torch.uint8))
        start = self._used
        self._used += -(-size // _ALIGNED) * _ALIGNED
        return self._blocks[self._block][start : start + size].view(dtype).view(*shape)

    def clear(self) -> None:
        """What was taken is free for others."""
        self._block = self._used = 0

    def give_back(self) -> None:
        """Lets go of all memory; tensors in use keep theirs."""
        self._blocks.clear()
        self.clear()


_ARENAS: weakref.WeakSet[Arena] = weakref.WeakSet()


def give_back() -> None:
    """What all arenas hold."""
    for arena in _ARENAS:
        arena.give_back()
