"""What lies between a decoder's products in C++ (`compiled.cpp`).

    functions = load(torch.float32)         # or why there are none
    parts = Compiled(functions, torch.float32, heads)

`parts.Parts` says what each computes.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import torch
from torch import Tensor

from lathe.engine.decoding.cache import Cache, Heads, Rows, Turns
from lathe.engine.own_code import AT, FLOAT, INT, address, library, spaced

_SOURCE = Path(__file__).with_name("compiled.cpp")
_SIGNATURES = {
    "normalise": (INT, INT, AT, AT, FLOAT, AT),
    "gated": (INT, INT, AT, INT, AT),
    "turn": (INT, INT, INT, INT, INT, INT, AT, INT, AT, AT, AT, AT, AT, AT),
    "attend": (INT, INT, INT, INT, INT, INT, AT, INT, AT, AT, AT, AT, FLOAT, AT),
}


@functools.cache
def load(narrow: torch.dtype) -> ctypes.CDLL | str:
    """The functions for a format of numbers, or why they cannot be had."""
    return library(_SOURCE, narrow, _SIGNATURES)


class Compiled:
    """The functions of a library, with tensors in place of addresses."""

    def __init__(self, functions: ctypes.CDLL, narrow: torch.dtype, heads: Heads) -> None:
        self._do, self._narrow, self._heads = functions, narrow, heads

    def normalise(self, hidden_TD: Tensor, gain_D: Tensor, epsilon: float) -> Tensor:
        hidden_TD = hidden_TD.contiguous()
        normed_TD = torch.empty_like(hidden_TD)
        num_rows, width = hidden_TD.numel() // len(gain_D), len(gain_D)
        self._do.normalise(num_rows, width, self._at(hidden_TD), self._at(gain_D), epsilon, address(normed_TD))
        return normed_TD

    def gated(self, gate_up_T2F: Tensor) -> Tensor:
        inner_TF = gate_up_T2F.new_empty(len(gate_up_T2F), gate_up_T2F.shape[1] // 2)
        self._do.gated(*inner_TF.shape, *self._spaced(gate_up_T2F), address(inner_TF))
        return inner_TF

    def turn(self, joined_TE: Tensor, rows: Rows, turns: Turns, cache: Cache) -> None:
        heads = self._heads
        self._do.turn(
            len(joined_TE), heads.queries, heads.keys, heads.width, *_room(cache), *self._spaced(joined_TE),
            self._at(turns.cos_CW), self._at(turns.sin_CW), address(rows.slots_T), address(rows.places_T),
            self._at(cache.keys_SKBWP), self._at(cache.values_SKCW),
        )  # fmt: skip

    def attend(self, joined_TE: Tensor, rows: Rows, cache: Cache) -> Tensor:
        heads = self._heads
        attended_TQ = joined_TE.new_empty(len(joined_TE), heads.queries * heads.width)
        self._do.attend(
            len(rows.starts_N1) - 1, heads.keys, heads.queries // heads.keys, heads.width, *_room(cache), *self._spaced(joined_TE),
            address(rows.starts_N1), address(rows.places_T), self._at(cache.keys_SKBWP), self._at(cache.values_SKCW),
            heads.width**-0.5, address(attended_TQ),
        )  # fmt: skip
        return attended_TQ

    def _at(self, whole: Tensor) -> int:
        assert whole.dtype == self._narrow
        return address(whole)

    def _spaced(self, matrix: Tensor) -> tuple[int, int]:
        assert matrix.dtype == self._narrow
        return spaced(matrix)


def _room(cache: Cache) -> tuple[int, int]:
    """Groups of keys and places of values that a slot has."""
    return cache.keys_SKBWP.shape[2], cache.values_SKCW.shape[2]
