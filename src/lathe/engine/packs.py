"""Packs: rows of a step laid end to end, as the engine computes them.

    pack = build_pack([tokens.row(0), tokens.row(1)])

Shapes: T tokens of a pack, S supervised positions of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lathe.text.render import Encoded


@dataclass(frozen=True)
class Pack:
    """Rows laid end to end. bounds: where each begins, and T; positions count from 0 in each row."""

    ids_1T: Tensor
    positions_1T: Tensor
    bounds: list[int]
    scored_S: Tensor
    """Positions whose logits are scored: each stands one before a supervised token."""
    targets_S: Tensor


def build_pack(rows: Sequence[Encoded], device: torch.device | None = None) -> Pack:
    """Lays rows end to end. A row's first token is never supervised (`text.render`), so no row is scored on another's end."""
    ids = np.concatenate([row.ids for row in rows]).astype(np.int64)
    targets = np.flatnonzero(np.concatenate([row.supervised for row in rows]))
    bounds = np.cumsum([0, *(len(row.ids) for row in rows)])
    positions = np.concatenate([np.arange(len(row.ids)) for row in rows])
    return Pack(
        ids_1T=torch.from_numpy(ids)[None].to(device),
        positions_1T=torch.from_numpy(positions)[None].to(device),
        bounds=bounds.tolist(),
        scored_S=torch.from_numpy(targets - 1).to(device),
        targets_S=torch.from_numpy(ids[targets]).to(device),
    )
