"""How hard a model finds the answer of each row: the mean loss over the answer's tokens, its end token included.

    row_losses(Model(base, adapter), tokens, rows)      ->  one number a row, in nats a token

Computed in fp32, packs of rows end to end, as in training; no gradient. Shapes: R rows asked for, S supervised positions of a pack,
V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lathe.contracts import Model
from lathe.engine import devices
from lathe.engine.attention import register_attention
from lathe.engine.model import head, load
from lathe.engine.packs import build_pack
from lathe.engine.step import ATTENTION, hidden
from lathe.schedule.packing import pack
from lathe.text.tokens import TokenSet

CHUNK = 512
"""Positions whose logits are held at once."""


def row_losses(
    model: Model,
    tokens: TokenSet,
    rows: Sequence[int],
    *,
    token_budget: int = 4096,
    threads: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float64]:
    """Mean nats a supervised token of each row, shape (R,); nan for a row without any. progress: rows done, rows in all.

    Raises InputError on a folder that is no sound model or adapter, Refused where one holds pickles or code.
    """
    register_attention()
    device = devices.pick_device()
    network = load(model, attention=ATTENTION).to(device)
    weights_VD = head(network)
    losses_R = np.full(len(rows), np.nan)
    done = 0
    with devices.threads(threads), torch.inference_mode():
        for chosen in pack(tokens.lengths[list(rows)], token_budget):
            encoded = [tokens.row(rows[place]) for place in chosen]
            laid = build_pack(encoded, device)
            rows_SD = hidden(network, laid)[laid.scored_S]
            found = [
                torch.nn.functional.cross_entropy((part @ weights_VD.T).float(), targets, reduction="none").double()
                for part, targets in zip(rows_SD.split(CHUNK), laid.targets_S.split(CHUNK), strict=True)
            ]
            each = torch.cat(found).split([int(row.supervised.sum()) for row in encoded]) if found else ()
            for place, losses in zip(chosen, each):
                losses_R[place] = float(losses.mean())
            done += len(chosen)
            progress(done, len(rows))
    return losses_R
