"""What a decoder holds of the answers under way, and which rows a pass adds to it.

    rows = Rows.after(lengths_N, added=[1, 3])      # one token more in the first slot, three in the second
    cache = Cache(keys_SKBWP, values_SKCW)          # of one layer

Shapes: T rows (tokens of a pass, answer after answer), N answers, M rows of one answer, S slots, C capacity of a slot, L places
that are looked at, K key heads, W head width, B groups of P = GROUP places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Heads:
    """How many heads of queries and of keys (as many of values) a layer has, and how wide they are."""

    queries: int
    keys: int
    width: int


@dataclass(frozen=True)
class Read:
    """A prompt that is read into a slot. start: tokens of it whose keys and values stand there already; below len(ids)."""

    slot: int
    ids: NDArray[np.int64]
    start: int = 0

    @property
    def unread(self) -> int:
        """Tokens that are read."""
        return len(self.ids) - self.start


@dataclass(frozen=True)
class Rows:
    """Tokens that a pass appends to slots, answer after answer.

    starts_N1: first row of each answer, and the end of the last; slots_T, places_T: where in the cache each row goes.
    """

    starts_N1: Tensor
    slots_T: Tensor
    places_T: Tensor

    def __len__(self) -> int:
        return len(self.slots_T)

    @staticmethod
    def of(slots: Sequence[int], lengths: Sequence[int], added: Sequence[int], device: torch.device) -> Rows:
        """So many tokens more in each of some slots, which hold so many already."""
        # numpy, since a call of it takes a quarter of the time that one of torch takes: a pass of a small model is a millisecond.
        slots_N, lengths_N, added_N = (np.asarray(numbers, dtype=np.int64) for numbers in (slots, lengths, added))
        starts_N1 = np.concatenate(([0], added_N.cumsum()))
        places_T = np.arange(starts_N1[-1]) + np.repeat(lengths_N - starts_N1[:-1], added_N)
        arrays = (starts_N1, np.repeat(slots_N, added_N), places_T)
        return Rows(*(torch.from_numpy(array).to(device) for array in arrays))

    def first(self, answers: int) -> Rows:
        """Those of the first answers."""
        end = int(self.starts_N1[answers])
        return Rows(self.starts_N1[: answers + 1], self.slots_T[:end], self.places_T[:end])

    @cached_property
    def columns_T(self) -> Tensor:
        """Which of its answer's rows each is."""
        return torch.arange(len(self.slots_T), device=self.slots_T.device) - self.starts_N1[self.slots_T]

    @cached_property
    def unseen_NML(self) -> Tensor:
        """By answer, row of it (M: of the one that has most) and place (L: up to the last written): whether it is beyond what
        the row sees."""
        added_N = self.starts_N1.diff()
        first_N = self.places_T[self.starts_N1[:-1]]
        seen_NM = first_N[:, None] + torch.arange(int(added_N.max()), device=added_N.device)
        return torch.arange(int((first_N + added_N).max()), device=added_N.device) > seen_NM[:, :, None]


@dataclass(frozen=True)
class Turns:
    """Rotary position embedding by place; the sine has the sign of the half that it multiplies folded in."""

    cos_CW: Tensor
    sin_CW: Tensor


GROUP = 32
"""Places whose keys lie number by number beside one another, so that a query meets them all at once."""


def groups_of(places: int) -> int:
    """B that hold so many places."""
    return -(-places // GROUP)


@dataclass(frozen=True)
class Cache:
    """Keys and values of one layer."""

    keys_SKBWP: Tensor
    values_SKCW: Tensor

    def copy_to(self, other: Cache, source: slice, target: slice, places: int) -> None:
        """Gives some slots of another the first keys and values of as many slots."""
        if places:
            groups = groups_of(places)
            other.keys_SKBWP[target, :, :groups] = self.keys_SKBWP[source, :, :groups]
            other.values_SKCW[target, :, :places] = self.values_SKCW[source, :, :places]

    def keys_KLW(self, slot: int, places: int) -> Tensor:
        """The first keys of a slot, copied."""
        keys_KBPW = self.keys_SKBWP[slot, :, : groups_of(places)].transpose(2, 3)
        return keys_KBPW.flatten(1, 2)[:, :places]
