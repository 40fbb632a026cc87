"""Packs: rows of a step laid end to end, as the engine computes them.

    pack = build_pack([tokens.row(0), tokens.row(1)])
    pack = build_pack([tokens.row(0), tokens.row(1)], shared=True)          # what both begin with is laid down once
    pack = pack_of_windows(ids_BT, positions_BT, weights_BT)                # pretraining's

Shapes: T tokens of a pack, S supervised positions of it; B windows of T tokens each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lathe.schedule.prefixes import Alike, prefixes, stretches
from lathe.text.render import Encoded


@dataclass(frozen=True)
class Segment:
    """Positions start .. end - 1 of a pack, which follow on one another in one row or in several.

    front: where in the pack the tokens in front of them lie, as (start, end) in their order; before: how many those are.
    """

    start: int
    end: int
    front: tuple[tuple[int, int], ...] = ()
    before: int = 0

    @property
    def seen(self) -> tuple[tuple[int, int], ...]:
        """Where the keys lie that its last position sees."""
        return joined(*self.front, (self.start, self.end))


@dataclass(frozen=True)
class Pack:
    """Rows laid end to end, those that share something behind what they share. Positions count from 0 in each row."""

    ids_1T: Tensor
    positions_1T: Tensor
    segments: tuple[Segment, ...]
    """They cover the pack in order."""
    scored_S: Tensor
    """Positions whose logits are scored, ascending: each stands one before a supervised token."""
    targets_S: Tensor
    weights_S: Tensor | None = None
    """Factors of their losses, above 0; None = 1."""

    @property
    def bounds(self) -> list[int]:
        """Where each segment begins, and T."""
        return [0, *(segment.end for segment in self.segments)]

    def to(self, device: torch.device) -> Pack:
        """The same pack on a device."""
        tensors = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)


def joined(*ranges: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Ranges of positions, those that adjoin as one."""
    found: list[tuple[int, int]] = []
    for start, end in ranges:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(found)


def build_pack(rows: Sequence[Encoded], device: torch.device | None = None, *, shared: bool = False) -> Pack:
    """Lays rows end to end. A row's first token is never supervised (`text.render`), so no row is scored on another's end.

    shared: whether what rows begin with alike is laid down once (`schedule.prefixes`); else they keep their order.
    """
    alike = (
        _alike(rows) if shared else Alike([*range(len(rows))], [len(row.ids) for row in rows], [0] * (len(rows) - 1))
    )
    ids, supervised, positions = [], [], []
    segments: list[Segment] = []
    place = 0
    for stretch in stretches(alike):
        # Of a stretch that several rows share any of them has the tokens.
        row = rows[alike.rows[stretch.row]]
        tokens = slice(stretch.start, stretch.end)
        ids.append(row.ids[tokens])
        supervised.append(row.supervised[tokens])
        positions.append(np.arange(stretch.start, stretch.end))
        front = segments[stretch.parent].seen if stretch.parent >= 0 else ()
        segments.append(Segment(place, place := place + len(ids[-1]), front, stretch.start))
    ids_T = np.concatenate(ids).astype(np.int64)
    targets = np.flatnonzero(np.concatenate(supervised))
    return Pack(
        ids_1T=torch.from_numpy(ids_T)[None].to(device),
        positions_1T=torch.from_numpy(np.concatenate(positions))[None].to(device),
        segments=tuple(segments),
        scored_S=torch.from_numpy(targets - 1).to(device),
        targets_S=torch.from_numpy(ids_T[targets]).to(device),
    )


def pack_of_windows(
    ids_BT: NDArray[np.integer], positions_BT: NDArray[np.integer], weights_BT: NDArray[np.floating]
) -> Pack:
    """Windows of one length laid end to end. weights: of predicting each token; those of weight 0, and the first of a window, are
    not scored."""
    count, length = ids_BT.shape
    scored = weights_BT != 0
    scored[:, 0] = False
    targets = np.flatnonzero(scored)
    ids_T = ids_BT.astype(np.int64).ravel()
    return Pack(
        ids_1T=torch.from_numpy(ids_T)[None],
        positions_1T=torch.from_numpy(positions_BT.astype(np.int64).ravel())[None],
        segments=tuple(Segment(place * length, (place + 1) * length) for place in range(count)),
        scored_S=torch.from_numpy(targets - 1),
        targets_S=torch.from_numpy(ids_T[targets]),
        weights_S=torch.from_numpy(weights_BT.ravel()[targets].astype(np.float32)),
    )


def _alike(rows: Sequence[Encoded]) -> Alike:
    offsets = np.cumsum([0, *(len(row.ids) for row in rows)])
    known = prefixes(
        np.concatenate([row.ids for row in rows]), offsets, np.concatenate([row.supervised for row in rows])
    )
    return known.among(range(len(rows)))
