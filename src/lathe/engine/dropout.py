"""Dropout in front of the adapters, whose mask is a function of seed, step, layer, position and the tokens up to there alone.

    with dropping(net, pack):               # the reference step, around its forward pass
    dropout.kept(rows_of(pack), width)      # the fused step, forward and backward

So a mask is the same in both passes, in whatever pack and process a row is computed, and after a restart; and what rows of a step
begin with alike drops alike in all of them, whether it is computed once for all or for each. For that a row is masked in spans of
`SPAN` positions, each keyed by the tokens in front of it and its own first one: rows that part inside a span have one mask until it
ends. Outside of a pack it is torch's own dropout. The seed of the step is the one that torch was seeded with last.

A mask takes 16 random bits a number, of SFC64 whose state is the BLAKE2 hash of all of these: 1.1 ns a number where torch's own
dropout takes 5.3 (CPU time of one core, beside other work). A share is met within 1 / 131,072. Hinton et al. 2012, arXiv 1207.0580.

Shapes: T tokens of a pack; `width` numbers of each that are read by an adapter.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lathe.engine.packs import Pack, Segment

SPAN = 64
"""Positions that are masked by one key: more would let short rows of a step drop more alike, fewer cost more hashes."""
_LEVELS = 1 << 16
"""Of 16 random bits."""


@dataclass(frozen=True)
class Span:
    """Positions of a pack that lie in one span of their row. key: of the span, with the step's seed in it.

    place: the first of them in the pack; start, end: which of the span's positions they are.
    """

    key: bytes
    place: int
    start: int
    end: int


@dataclass(frozen=True)
class Rows:
    """The rows of a pack, as masks know them.

    num_tokens: positions in all, those behind the rows included. positions: of which the mask is wanted; None = of all.
    """

    spans: tuple[Span, ...]
    num_tokens: int
    positions: Tensor | None = None

    def at(self, positions: Tensor) -> Rows:
        """The same for some positions of the pack."""
        return replace(self, positions=positions)


def rows_of(pack: Pack, num_tokens: int | None = None) -> Rows:
    """A pack's rows in the step that torch was seeded for. num_tokens: where positions without a row follow."""
    ids_T = pack.ids_1T[0].cpu().numpy().astype("<i8")
    seed = torch.initial_seed().to_bytes(8, "little")
    spans = tuple(span for segment in pack.segments for span in _spans(ids_T, segment, seed))
    return Rows(spans, num_tokens or len(ids_T))


def _spans(ids_T: NDArray[np.int64], segment: Segment, seed: bytes) -> Iterator[Span]:
    """The spans that a segment has a part of."""
    row = np.concatenate([ids_T[start:end] for start, end in segment.seen])
    first = segment.before // SPAN * SPAN
    # One hash that goes on from span to span: it has read all that lies in front.
    read = hashlib.blake2b(seed + row[:first].tobytes(), digest_size=32)
    for begin in range(first, len(row), SPAN):
        read.update(row[begin : begin + 1].tobytes())
        start, end = max(segment.before, begin), min(len(row), begin + SPAN)
        yield Span(read.digest(), segment.start + start - segment.before, start - begin, end - begin)
        read.update(row[begin + 1 : begin + SPAN].tobytes())


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
        numbers = np.random.SFC64(0)
        for span in rows.spans:
            own = hashlib.blake2b(span.key + self.number.to_bytes(4, "little"), digest_size=32).digest()
            words = np.frombuffer(own, dtype="<u8").astype(np.uint64)
            numbers.state = {"bit_generator": "SFC64", "state": {"state": words}, "has_uint32": 0, "uinteger": 0}
            drawn = numbers.random_raw(-(-span.end * width // 4)).astype("<u8", copy=False)
            mask = torch.from_numpy(drawn.view("<u2")[span.start * width : span.end * width] >= dropped)
            count = span.end - span.start
            kept_TW[span.place : span.place + count] = mask.view(count, width)
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
