"""Attention of a pack in bf16 with the matrix units of Intel's processors (AMX): `tiles.cpp`, compiled on this machine.

    functions = load()                                             # or why there are none
    attention = InTiles(segments, None, rows, functions)           # an `attention.Attention`

A stretch of 64 queries of a head at a time: scores, softmax and their gradients stay in the processor's cache and in float32. On
the way back P is computed again from the logarithm of its sum, some keys at a time, for rowsum(P dP) is rowsum(dO O) (Dao et al.
2022, arXiv 2205.14135, section 3.1 and appendix B.2). Keys are laid out once for a segment.

Shapes: T tokens of a pack, R rows that attend, N segments, K key-value heads, G query heads to each, W head width.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lathe.engine.arena import New
from lathe.engine.fused.attention import Kept
from lathe.engine.own_code import AT, INT, address, in_tiles, spaced
from lathe.engine.packs import Segment

_SOURCE = Path(__file__).with_name("tiles.cpp")
_PACK = (INT, AT, AT, AT, AT, AT, INT, INT, INT, AT, INT, AT, INT, AT, INT)
_SIGNATURES = {
    "attend": (*_PACK, AT, AT),
    "attend_backward": (*_PACK, AT, INT, AT, AT, AT, AT),
}
WIDTHS = 32
"""Heads are a multiple of so many numbers wide."""


@functools.cache
def load() -> ctypes.CDLL | str:
    """The functions, or why they cannot be had."""
    return in_tiles(_SOURCE, _SIGNATURES)


def usable(narrow: torch.dtype, width: int) -> ctypes.CDLL | None:
    """The functions, where they are for numbers and heads as these."""
    found = load() if narrow == torch.bfloat16 and width % WIDTHS == 0 else "not for these"
    return None if isinstance(found, str) else found


class InTiles:
    """Attention in the segments of one pack. attending: positions of the rows that attend, ascending; None = all."""

    def __init__(
        self, segments: Sequence[Segment], attending: NDArray[np.int64] | None, rows: int, functions: ctypes.CDLL
    ) -> None:
        self._do, self._count = functions, len(segments)
        ends_N2 = np.array([(segment.start, segment.end) for segment in segments])
        places_R = np.arange(rows) if attending is None else attending
        rows_N2 = np.searchsorted(places_R, ends_N2)
        seen_R = np.zeros(rows, np.int64)
        for segment, (first, end) in zip(segments, rows_N2, strict=True):
            seen_R[first:end] = segment.before + 1 + places_R[first:end] - segment.start
        ranges = [[place for ends in (*one.front, (one.start, one.end)) for place in ends] for one in segments]
        starts = np.cumsum([0, *map(len, ranges)])
        arrays = (rows_N2[:, 0], rows_N2[:, 1], starts, np.concatenate(ranges), seen_R)
        self._attending = int(
            rows_N2[:, 1].max(initial=0)
        )  # segments follow on one another: behind them rows only fill up
        self._pack = [torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)) for array in arrays]

    def forward(self, query_RKGW: Tensor, key_TKW: Tensor, value_TKW: Tensor, new: New) -> tuple[Tensor, Kept]:
        query = new(query_RKGW.shape, dtype=query_RKGW.dtype).copy_(query_RKGW)
        output = new(query.shape, dtype=query.dtype)
        output[self._attending :].zero_()
        logsums = new((len(query), query[0, ..., 0].numel()), dtype=torch.float32)
        self._do.attend(*self._common(query, key_TKW, value_TKW), address(output), address(logsums))
        return output, Kept(key_TKW, value_TKW, [query], [output, logsums])

    def backward(self, grad_RKGW: Tensor, kept: Kept) -> tuple[Tensor, Tensor]:
        (query,), (output, logsums) = kept.queries, kept.weights
        assert output is not None
        assert logsums is not None
        grad_query = torch.empty_like(query)
        grad_query[self._attending :].zero_()
        tokens, *heads = kept.key_TKW.shape
        grad_keyed = torch.zeros(tokens, 2, *heads)
        self._do.attend_backward(
            *self._common(query, kept.key_TKW, kept.value_TKW), *spaced(grad_RKGW),
            *map(address, (output, logsums, grad_query, grad_keyed)),
        )  # fmt: skip
        return grad_query, grad_keyed

    def _common(self, query_RKGW: Tensor, key_TKW: Tensor, value_TKW: Tensor) -> tuple[int, ...]:
        """What both functions take first."""
        of_pack = (self._count, *map(address, self._pack), *query_RKGW.shape[1:])
        return (*of_pack, *spaced(query_RKGW), *spaced(key_TKW), *spaced(value_TKW))
