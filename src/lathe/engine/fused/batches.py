"""Blocks of queries that attention computes at a time, and which of them together.

A block multiplies only the keys that its last query sees: those of its own segment and, where rows share what they begin with,
those in front of it, wherever in the pack they lie. Blocks with as many queries and keys are computed together, as a batch.

oneDNN (`devices.fast_products`) makes code for every shape that it meets and keeps it, two thirds of a megabyte each. So there are
few shapes, whatever the lengths of the rows: queries and keys of a block are filled up, and blocks go together by powers of two.
What is filled up repeats what is there, and is hidden or has no gradient.

Shapes: B blocks of a batch, Q queries of a block, C its keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lathe.engine.packs import Segment, joined

QUERIES, MOST_QUERIES = 64, 512
"""Queries of a block: large enough for the matrix units, small enough that little of the square above the diagonal is computed.
Where keys are filled up by more, as many: nothing is computed that was not, and keys are brought together once for all of them."""
_TOGETHER = 1024
"""Queries of a batch, at most."""


@dataclass(frozen=True)
class _Block:
    """Queries of one segment, filled up to so many. keys: positions that its last query sees, from the row's first, as ranges;
    seen_Q: how many keys each of its queries sees."""

    queries: int
    first: int
    keys: tuple[tuple[int, int], ...]
    seen_Q: NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Blocks that are computed together."""

    rows_BQ: Tensor
    """Which of the rows that attend its queries are, flat; where a block is filled up, its last."""
    keys_BC: Tensor
    """Positions of its keys, flat."""
    seen_BQ: Tensor
    """How many of the keys each query sees, the first ones."""
    real_B: Tensor
    """How many queries of each block are not filled up."""
    written: tuple[slice, ...]
    """Rows of each block that are not filled up."""
    columns: tuple[tuple[tuple[slice, slice], ...], ...]
    """Of each block, where in the pack its keys lie, and their columns of P."""

    @property
    def num_keys(self) -> int:
        """C."""
        return len(self.keys_BC) // len(self.written)

    @property
    def num_queries(self) -> int:
        """Q."""
        return len(self.rows_BQ) // len(self.written)

    @cached_property
    def hidden_BQH(self) -> Tensor:
        """Whether a query does not see one of the last H keys, shape (B, 1, Q, 1, H). All see those before."""
        seen = self.seen_BQ.view(len(self.written), 1, -1, 1, 1)
        return torch.arange(int(seen.min()), self.num_keys) >= seen

    @cached_property
    def filled_up(self) -> Tensor | None:
        """Which queries are filled up, shape (B, Q, 1, 1, 1). None where none is."""
        if int(self.real_B.min()) == self.num_queries:
            return None
        return (torch.arange(self.num_queries) >= self.real_B[:, None])[:, :, None, None, None]


def batches(segments: Sequence[Segment], attending: NDArray[np.int64] | None) -> list[Batch]:
    """What is computed for the queries at positions `attending` of a pack (ascending; None = at every position)."""
    alike: dict[tuple[int, int], list[_Block]] = defaultdict(list)
    for segment in segments:
        for block in _blocks(segment, attending):
            alike[_filled(int(block.seen_Q[-1])), block.queries].append(block)
    return [_batch(some, num_keys) for (num_keys, _), blocks in alike.items() for some in _by_powers_of_two(blocks)]


def _blocks(segment: Segment, attending: NDArray[np.int64] | None) -> Iterator[_Block]:
    if attending is None:
        first, places = segment.start, np.arange(segment.end - segment.start)
    else:
        first, last = (int(place) for place in np.searchsorted(attending, (segment.start, segment.end)))
        places = attending[first:last] - segment.start
    begin = 0
    while begin < len(places):
        queries = _queries(segment.before + 1 + int(places[begin]), len(places) - begin)
        seen = segment.before + 1 + places[begin : begin + queries]
        own_end = segment.start + int(seen[-1]) - segment.before
        yield _Block(queries, first + begin, joined(*segment.front, (segment.start, own_end)), seen)
        begin += queries


def _queries(seen: int, left: int) -> int:
    """Queries of a block whose first one sees so many keys: as many as keys are filled up by, if there are so many left."""
    many = min(_step(seen), MOST_QUERIES)
    return many if many <= left else QUERIES


def _filled(num_keys: int) -> int:
    step = _step(num_keys)
    return -(-num_keys // step) * step


def _step(num_keys: int) -> int:
    """Keys are filled up to multiples of 64 up to 512, then of an eighth of the next power of two."""
    return max(64, 2 ** ((num_keys - 1).bit_length() - 3))


def _by_powers_of_two(blocks: Sequence[_Block]) -> Iterator[Sequence[_Block]]:
    begin, most = 0, _TOGETHER // blocks[0].queries
    while begin < len(blocks):
        count = min(most, 2 ** ((len(blocks) - begin).bit_length() - 1))
        yield blocks[begin : begin + count]
        begin += count


def _batch(blocks: Sequence[_Block], num_keys: int) -> Batch:
    queries = blocks[0].queries
    rows_BQ = np.stack([block.first + np.minimum(np.arange(queries), len(block.seen_Q) - 1) for block in blocks])
    seen_BQ = np.stack([np.pad(block.seen_Q, (0, queries - len(block.seen_Q)), mode="edge") for block in blocks])
    keys = [np.concatenate([np.arange(*ends) for ends in block.keys]) for block in blocks]
    keys_BC = np.stack([np.pad(places, (0, num_keys - len(places)), mode="edge") for places in keys])
    return Batch(
        rows_BQ=torch.from_numpy(rows_BQ.reshape(-1)),
        keys_BC=torch.from_numpy(keys_BC.reshape(-1)),
        seen_BQ=torch.from_numpy(seen_BQ.reshape(-1)),
        real_B=torch.tensor([len(block.seen_Q) for block in blocks]),
        written=tuple(slice(block.first, block.first + len(block.seen_Q)) for block in blocks),
        columns=tuple(_columns(block.keys) for block in blocks),
    )


def _columns(ranges: Sequence[tuple[int, int]]) -> tuple[tuple[slice, slice], ...]:
    ends = list(accumulate(end - start for start, end in ranges))
    return tuple(
        (slice(start, end), slice(column - (end - start), column))
        for (start, end), column in zip(ranges, ends, strict=True)
    )
