"""What lies between a decoder's products with torch's operations; `parts.Parts` says what each computes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lathe.engine.decoding.cache import GROUP, Cache, Heads, Rows, Turns, groups_of


class Eager:
    """Attention is padded to the answer that has most rows and to the longest; what is padded is hidden."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads

    def normalise(self, hidden_TD: Tensor, gain_D: Tensor, epsilon: float) -> Tensor:
        return functional.rms_norm(hidden_TD, gain_D.shape, gain_D, epsilon)

    def gated(self, gate_up_T2F: Tensor) -> Tensor:
        gate, up = gate_up_T2F.chunk(2, dim=1)
        return functional.silu(gate).mul_(up)

    def turn(self, joined_TE: Tensor, rows: Rows, turns: Turns, cache: Cache) -> None:
        heads, width = self._heads, self._heads.width
        joined_THW = joined_TE.view(len(joined_TE), -1, width)
        turned_THW, values_TKW = joined_THW.split((heads.queries + heads.keys, heads.keys), dim=1)
        cos, sin = turns.cos_CW[rows.places_T, None], turns.sin_CW[rows.places_T, None]
        turned_THW.copy_(turned_THW * cos + torch.roll(turned_THW, width // 2, dims=-1) * sin)
        cache.keys_SKBWP[rows.slots_T, :, rows.places_T // GROUP, :, rows.places_T % GROUP] = turned_THW[
            :, heads.queries :
        ]
        cache.values_SKCW[rows.slots_T, :, rows.places_T] = values_TKW

    def attend(self, joined_TE: Tensor, rows: Rows, cache: Cache) -> Tensor:
        heads, width = self._heads, self._heads.width
        count, most, longest = rows.unseen_NML.shape
        query_NMHW = joined_TE.new_zeros(count, most, heads.queries, width)
        query_NMHW[rows.slots_T, rows.columns_T] = joined_TE[:, : heads.queries * width].view(-1, heads.queries, width)
        # The groups of a head in turn, R = groups x M: one product with its keys for all of them.
        query_NKRW = query_NMHW.unflatten(2, (heads.keys, -1)).permute(0, 2, 3, 1, 4).flatten(2, 3)
        scores_NKBRP = query_NKRW[:, :, None] @ cache.keys_SKBWP[:count, :, : groups_of(longest)]
        scores_NKRL = scores_NKBRP.transpose(2, 3).flatten(3)[..., :longest] * width**-0.5
        unseen_NRL = rows.unseen_NML.repeat(1, heads.queries // heads.keys, 1)
        scores_NKRL.masked_fill_(unseen_NRL[:, None], float("-inf"))
        shares_NKRL = torch.softmax(scores_NKRL, dim=-1, dtype=torch.float32).to(scores_NKRL.dtype)
        attended_NKRW = shares_NKRL @ cache.values_SKCW[:count, :, :longest]
        attended_NMKGW = attended_NKRW.unflatten(2, (-1, most)).permute(0, 3, 1, 2, 4)
        return attended_NMKGW[rows.slots_T, rows.columns_T].flatten(1)
