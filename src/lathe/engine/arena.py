"""Memory for what lives as long as a pack, from its way forward to its way backward, or as a step; the next one writes over it.

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
        self._used: list[int] = []
        _ARENAS.add(self)

    def empty(self, shape: Sequence[int], *, dtype: torch.dtype) -> Tensor:
        """As torch.empty, until `clear`."""
        size = math.prod(shape) * dtype.itemsize
        # In the first block with room: the ends of those that are too short for a wide tensor are filled by narrow ones.
        room = (number for number, block in enumerate(self._blocks) if self._used[number] + size <= len(block))
        number = next(room, len(self._blocks))
        if number == len(self._blocks):
            self._blocks.append(torch.empty(max(size, _BLOCK), dtype=torch.uint8))
            self._used.append(0)
        start = self._used[number]
        self._used[number] += -(-size // _ALIGNED) * _ALIGNED
        return self._blocks[number][start : start + size].view(dtype).view(*shape)

    def clear(self) -> None:
        """What was taken is free for others."""
        self._used = [0] * len(self._blocks)

    def give_back(self) -> None:
        """Lets go of all memory; tensors in use keep theirs."""
        self._blocks.clear()
        self._used.clear()


_ARENAS: weakref.WeakSet[Arena] = weakref.WeakSet()


def give_back() -> None:
    """What all arenas hold."""
    for arena in _ARENAS:
        arena.give_back()
