"""How attention of the engine's fused step works through a pack: which blocks it computes, which of them together, what it keeps.

    attended, work = of_packs(laid, lengths_N, supervised_N, layers, tiles=False)     batches of each pack, and what is computed
    kept_by_head(start, end, width)                       numbers that it keeps of one head from forward to backward
    alive_in_batches(model, batches)                      numbers that it holds at once on the way backward

Memory follows from that (`plan.fused_step`), and so does time (`plan.pack_work`). Where a processor multiplies in tiles
(`in_tiles`) attention forms no batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, starmap
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from lathe.plan.architecture import Shapes
from lathe.schedule.prefixes import Stretch

QUERIES, MOST_QUERIES, TOGETHER = 64, 512, 1024
"""Queries of a block of attention, filled up; at most, where keys are filled up by more; and of blocks that are computed at once,
whose numbers are powers of two."""
TILES, TILES_QUERIES, TILES_KEYS = 32, 64, 128
"""In tiles heads are a multiple of so many numbers wide, queries and keys are filled up to one, and so many queries of a head are
computed at once, on the way back with so many keys."""
KEPT_KEYS = 1024
"""Attention keeps the weights of blocks that see at most so many keys."""
PRODUCTS, AGAIN = 6, 7
"""Products that a score takes part in, forward and backward; where its weight is not kept."""
Laid = Sequence[tuple[Sequence[int], Sequence[Stretch]]]
"""Rows of each pack, and what is computed of them."""


class Batch(NamedTuple):
    """Blocks of attention that are computed together: keys and queries of each, filled up, and how many they are."""

    keys: int
    queries: int
    blocks: int

    @property
    def scores(self) -> int:
        """Numbers of one head."""
        return self.keys * self.queries * self.blocks


Ends = Sequence[tuple[int, int]]
"""Begin and end of some stretches of rows, in tokens of their row."""
Batches = Sequence[Batch]


class Attending(NamedTuple):
    """The stretches of a pack that attend: in all layers but the last, and in the last one, where the scored positions alone do."""

    everywhere: Ends
    scored: Ends


class Attended(NamedTuple):
    """A pack's batches of attention, likewise."""

    everywhere: Batches
    scored: Batches


class Work(NamedTuple):
    """What attention computes of a pack in all layers."""

    products: int
    """Scores of one head, times the products that each takes part in."""
    groups: int
    """Parts that are set up one by one, however small."""


def filled(num_keys: int) -> int:
    """Keys of a block that sees so many: multiples of 64 up to 512, then of an eighth of the next power of two."""
    return rounded_up(num_keys, _keys_step(num_keys))


def _keys_step(num_keys: int) -> int:
    return max(64, 2 ** ((num_keys - 1).bit_length() - 3))


@cache
def blocks(start: int, end: int) -> tuple[tuple[int, int], ...]:
    """Keys and queries of each block of tokens start .. end - 1 of a row, filled up: as many queries as keys are filled up by,
    where so many are left."""
    found, first = [], start
    while first < end:
        many = min(_keys_step(first + 1), MOST_QUERIES)
        queries = many if many <= end - first else QUERIES
        found.append((filled(min(first + queries, end)), queries))
        first += queries
    return tuple(found)


def in_tiles(model: Shapes, precision: str, *, compiled: bool, has_tiles: bool) -> bool:
    """Whether the engine attends in the processor's matrix units (`engine.fused.tiles`)."""
    return precision == "bf16" and compiled and has_tiles and (model.queries // model.heads) % TILES == 0


@cache
def kept_by_head(start: int, end: int, width: int) -> int:
    """Numbers that attention keeps of one head, `width` wide, for tokens start .. end - 1 of a row: of each block its queries and,
    unless it sees too many keys, their weights."""
    return sum(queries * (width + keys * (keys <= KEPT_KEYS)) for keys, queries in blocks(start, end))


def batches(ends: Iterable[tuple[int, int]]) -> Batches:
    """The batches of a pack that has these stretches of rows, in the engine's order: blocks with as many keys and queries go
    together by powers of two."""
    counts = Counter(chain.from_iterable(starmap(blocks, ends)))
    return [
        Batch(keys, queries, size)
        for (keys, queries), count in counts.items()
        for size in _powers(count, TOGETHER // queries)
    ]


@cache
def _powers(count: int, most: int) -> tuple[int, ...]:
    """The powers of two, `most` at most, that so many blocks go together by, the largest first."""
    rest = count % most
    return (*[most] * (count // most), *(part for part in (8, 4, 2, 1) if rest & part))


def attending(laid: Laid, lengths_N: NDArray[np.int64], supervised_N: NDArray[np.int64]) -> list[Attending]:
    """What attends in each pack."""
    return [
        Attending(
            [(one.start, one.end) for one in stretches],
            list(scored_ends(lengths_N[rows], supervised_N[rows])),
        )
        for rows, stretches in laid
    ]


def of_packs(
    laid: Laid, lengths_N: NDArray[np.int64], supervised_N: NDArray[np.int64], layers: int, *, tiles: bool
) -> tuple[list[Attended], list[Work]]:
    """The batches of attention of each pack, none in tiles, and what is computed of it. layers: all but the last."""
    if tiles:
        return [], work_in_tiles(laid, lengths_N, supervised_N, layers)
    ends = attending(laid, lengths_N, supervised_N)
    attended = [Attended(batches(one.everywhere), batches(one.scored)) for one in ends]
    return attended, [work_in_batches(one, layers) for one in attended]


def work_in_batches(attended: Attended, layers: int) -> Work:
    """What is computed of a pack. layers: all but the last."""
    everywhere, scored = (sum(_products(batch) for batch in some) for some in attended)
    return Work(layers * everywhere + scored, layers * len(attended.everywhere) + len(attended.scored))


def _products(batch: Batch) -> int:
    return batch.scores * (PRODUCTS if batch.keys <= KEPT_KEYS else AGAIN)


def work_in_tiles(laid: Laid, lengths_N: NDArray[np.int64], supervised_N: NDArray[np.int64], layers: int) -> list[Work]:
    """The same of each pack in tiles, where a stretch's keys are laid out together and no weights are kept. layers: all but the
    last."""
    num_rows, num_stretches = [len(rows) for rows, _ in laid], [len(stretches) for _, stretches in laid]
    ends = chain.from_iterable((one.start, one.end) for _, stretches in laid for one in stretches)
    rows = np.fromiter(chain.from_iterable(rows for rows, _ in laid), np.int64)
    everywhere = _scores_in_tiles(*np.fromiter(ends, np.int64).reshape(-1, 2).T)
    scored = _scores_in_tiles(*_scored(lengths_N[rows], supervised_N[rows]))
    products = AGAIN * (layers * _of_each(num_stretches, everywhere) + _of_each(num_rows, scored))
    groups = layers * np.array(num_stretches, np.int64) + num_rows
    return list(starmap(Work, zip(products.tolist(), groups.tolist(), strict=True)))


def _of_each(counts: Sequence[int], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of the first `counts[0]` numbers, of the next `counts[1]`, and so on."""
    sums = np.concatenate([[0], np.cumsum(numbers)])
    return np.diff(sums[np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])])


def _scores_in_tiles(start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """Scores of one head for tokens start .. end - 1 of rows: queries from the first on, filled up, times the keys that the last
    of them sees, filled up."""
    whole, rest = np.divmod(end - start, TILES_QUERIES)
    # Keys of the whole blocks: an arithmetic series, since a block's queries are a multiple of what keys are filled up to.
    keys = whole * rounded_up(start, TILES) + TILES_QUERIES * whole * (whole + 1) // 2
    return TILES_QUERIES * keys + rounded_up(rest, TILES) * rounded_up(end, TILES)


def scored_ends(lengths: NDArray[np.int64], supervised: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """The stretches of rows that are scored."""
    starts, ends = _scored(lengths, supervised)
    return zip(starts.tolist(), ends.tolist(), strict=True)


def _scored(lengths: NDArray[np.int64], supervised: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where they begin and end, taken to be the last of their rows: a position is scored by the token behind it."""
    return np.maximum(lengths - supervised - 1, 0), lengths - 1


def batches_at_most(longest_row: int, tokens: int, *, shared: bool) -> frozenset[Batch]:
    """All batches that a pack of so many tokens can have. shared: where a row's first tokens may lie elsewhere, and short ends of
    many rows see many keys."""
    found = set()
    for keys in {filled(seen) for seen in range(1, longest_row + 1, QUERIES)}:
        step = _keys_step(keys)
        # Blocks of scored positions begin anywhere: the first query of one may see fewer keys, filled up by half as many.
        for queries in {QUERIES, max(QUERIES, min(step // 2, MOST_QUERIES)), min(step, MOST_QUERIES)}:
            most = TOGETHER // queries
            if not shared:
                most = min(most, tokens // (keys - step + 1) * (step // queries + 1))
            found |= {Batch(keys, queries, 2**power) for power in range(most.bit_length())}
    return frozenset(found)


def alive_in_tiles(model: Shapes, keys: int) -> int:
    """Numbers of 2 bytes that a thread holds while a row of so many keys goes backward in tiles: keys and values laid out, and
    their gradients; of some keys at a time scores, their gradients, and both rounded."""
    width = model.queries // model.heads
    return keys * width * (3 + 2 * 2) + TILES_QUERIES * TILES_KEYS * (2 + 2 + 1 + 1 + 1)


def alive_in_batches(model: Shapes, batches: Iterable[Batch], *, compiled: bool) -> int:
    """Numbers that attention holds at most while these batches go backward one after the other, P that was kept aside.

    A batch has the gradients of its weights and its scores, compiled one in the place of the other, and where P is computed again P
    as well, in the place of the scores. What the batch before has of both goes when it is formed anew. Beside them keys and values
    as gathered, and their gradients; the output's gradient as gathered, and that of the queries.
    """
    most = before = before_again = 0
    each = 1 if compiled else 2
    for batch in batches:
        size, again = model.heads * batch.scores, batch.keys > KEPT_KEYS
        alive = max((before + before_again + size) * again, before + (each + again) * size)
        gathered = batch.blocks * (4 * batch.keys * model.keys + 2 * batch.queries * model.queries)
        most = max(most, alive + gathered)
        before, before_again = size, size * again
    return most


Counts = TypeVar("Counts", int, NDArray[np.int64])


def rounded_up(count: Counts, step: int) -> Counts:
    """The next multiple of `step`, of one count or of several."""
    return -(-count // step) * step
