"""Near-duplicate texts: all pairs whose own runs of five words overlap by a Jaccard of at least a threshold. Exact.

    pairs(sets, left, right, 0.7)   ->  [(left row, right row, jaccard)], one for each left row that has a partner

Method: prefix filtering (Chaudhuri, Ganti, Kaushik 2006; Bayardo, Ma, Srikant 2007). Put the shingles of every text in one
common order, rarest first. Two sets x, y with |x ∩ y| / |x ∪ y| >= t share at least one shingle among the first
|x| - ceil(t |x|) + 1 of x and the like of y. So only texts that share a *rare* shingle are compared; a phrase of a template
stands in thousands of rows, is never rare, and costs nothing. Unlike MinHash it misses no pair.

Boilerplate does not make two texts alike: a shingle that stands in more than 1 % of the texts (and more than 20) is left out of
the sets, or a long instruction in front of every question would make all of them duplicates of one another.

Measured by bench/near_duplicates.py on 20,000 rows of lathe:edge_json and 1,400 planted copies with changed words: 447 of 447 found
and none wrong, against brute force; none of the corpus' own rows, all from the same templates, is taken for another's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lathe.data.duplicates.sets import Rows, Sets
from lathe.data.duplicates.shingles import Hashes

THRESHOLD = 0.7
COMMON_SHARE, COMMON_ROWS = 0.01, 20
"""A shingle in more texts than this share, and this number, is boilerplate."""
KEPT_SETS = 16_384
"""Sets kept for comparing: about 50 MB."""
CHUNK = 1 << 20
"""Candidate pairs held at once."""
PARTS = 16
"""Parts into which shingles are put by their hash, a power of two; one at a time is searched."""
_PART = np.uint64(64 - PARTS.bit_length() + 1)


def jaccard(x: frozenset[int], y: frozenset[int]) -> float:
    """|x ∩ y| / |x ∪ y|; 0 where both are empty."""
    both = len(x & y)
    return both / max(1, len(x) + len(y) - both)


@dataclass(frozen=True)
class Rarity:
    """In how many texts each shingle stands, counted in buckets, and above how many it counts as boilerplate.

    Two shingles in one bucket only make both look less rare: the common order stays one order.
    """

    table: NDArray[np.uint32]
    shift: np.uint64
    limit: int

    def of(self, hashes: Hashes) -> NDArray[np.uint32]:
        """The count of each shingle."""
        return self.table[(hashes >> self.shift).astype(np.int64)]

    def own(self, hashes: Hashes) -> Hashes:
        """Those that are no boilerplate."""
        return hashes[self.of(hashes) <= self.limit]


def rarity(sets: Sets) -> Rarity:
    """Counts all shingles of all texts."""
    bits = min(24, max(10, math.ceil(math.log2(int(sets.starts()[-1]) + 1)) + 2))
    table, shift = np.zeros(1 << bits, np.uint32), np.uint64(64 - bits)
    for begin, end in sets.chunks():
        buckets, found = np.unique(sets.read(begin, end) >> shift, return_counts=True)
        table[buckets.astype(np.int64)] += found.astype(np.uint32)
    return Rarity(table, shift, max(COMMON_ROWS, int(COMMON_SHARE * len(sets))))


def own_shingles(sets: Sets, rare: Rarity) -> Callable[[int], frozenset[int]]:
    """A function from a row to its shingles without boilerplate; the last few thousand answers are kept."""

    @lru_cache(maxsize=KEPT_SETS)
    def own(row: int) -> frozenset[int]:
        return frozenset(rare.own(sets.of(row)).tolist())

    return own


@dataclass(frozen=True)
class Rarest:
    """The rarest shingles of the texts that are compared, in parts by their hash: equal ones are in the same part.

    12 bytes for each; at a million texts of 50 words, of which 14 shingles count, 170 MB.
    """

    parts: list[tuple[Hashes, Rows]]
    """(shingles, sorted; the text of each)"""
    sizes: NDArray[np.int64]
    """own shingles of each text"""


def rarest(sets: Sets, wanted: NDArray[np.bool_], rare: Rarity, threshold: float) -> Rarest:
    """Gathers them, chunk after chunk. A shingle that stands in one text only is no use and left out."""
    starts = sets.starts()
    sizes = np.zeros(len(sets), np.int64)
    gathered: list[list[tuple[Hashes, Rows]]] = [[] for _ in range(PARTS)]
    for begin, end in sets.chunks():
        owner = np.repeat(np.arange(end - begin), starts[begin + 1 : end + 1] - starts[begin:end])
        hashes = sets.read(begin, end)
        count = rare.of(hashes)
        kept = (count <= rare.limit) & wanted[begin:end][owner]
        hashes, owner, count = hashes[kept], owner[kept], count[kept]
        n = np.bincount(owner, minlength=end - begin)
        sizes[begin:end] = n
        # Those that stand in one text only come first, and need no order among themselves.
        shared = np.flatnonzero(count > 1)
        order = shared[np.lexsort((hashes[shared], count[shared], owner[shared]))]
        num_shared = np.bincount(owner[order], minlength=end - begin)
        position = np.arange(len(order)) - (np.cumsum(num_shared) - n)[owner[order]]
        most = n - np.ceil(threshold * n - 1e-9).astype(np.int64) + 1
        used = order[position < most[owner[order]]]
        used = used[np.argsort(hashes[used])]
        bounds = np.searchsorted(hashes[used] >> _PART, np.arange(PARTS + 1, dtype=np.uint64))
        rows = (owner[used] + begin).astype(np.uint32)
        for part, (one, other) in enumerate(pairwise(bounds.tolist())):
            gathered[part].append((hashes[used[one:other]], rows[one:other]))
    return Rarest([in_order(part) for part in gathered], sizes)


def in_order(part: list[tuple[Hashes, Rows]]) -> tuple[Hashes, Rows]:
    """The pieces of a part as one, sorted by hash. Empties the list, so that little is held twice."""
    hashes, rows = (np.concatenate(pieces) for pieces in zip(*part, strict=True))
    part.clear()
    order = np.argsort(hashes, kind="stable")
    return hashes[order], rows[order]


def pairs(
    sets: Sets, left: NDArray[np.bool_], right: NDArray[np.bool_], threshold: float = THRESHOLD
) -> list[tuple[int, int, float]]:
    """For each left text with a near-duplicate among the right ones: (left, right, jaccard), the first found. Sorted by left.

    left, right: which texts are on each side, as masks of len(sets); a text on both is not held against itself.
    """
    if not left.any() or not right.any():
        return []
    rare = rarity(sets)
    own = own_shingles(sets, rare)
    held = rarest(sets, left | right, rare, threshold)
    found: dict[int, tuple[int, float]] = {}
    for hashes, rows in held.parts:
        on_left, on_right = left[rows], right[rows]
        some, others = (hashes[on_left], rows[on_left]), (hashes[on_right], rows[on_right])
        for a, b in candidates(some, others, held.sizes, threshold):
            if a not in found:
                overlap = jaccard(own(a), own(b))
                if overlap >= threshold:
                    found[a] = (b, overlap)
    return [(a, *found[a]) for a in sorted(found)]


def candidates(
    left: tuple[Hashes, Rows], right: tuple[Hashes, Rows], sizes: NDArray[np.int64], threshold: float
) -> Iterator[tuple[int, int]]:
    """Pairs that share a rare shingle and whose sizes allow the threshold, each once within a slice of the work.

    left, right: shingles, sorted, and the text of each. sizes: own shingles by text.
    """
    first, last = (np.searchsorted(right[0], left[0], side) for side in ("left", "right"))
    shared = np.flatnonzero(last - first)
    first, hits, rows = first[shared], (last - first)[shared], left[1][shared].astype(np.int64)
    before = np.cumsum(hits) - hits
    begin = 0
    while begin < len(rows):
        end = max(begin + 1, int(np.searchsorted(before, before[begin] + CHUNK)))
        n = hits[begin:end]
        at = np.repeat(first[begin:end] - (np.cumsum(n) - n), n) + np.arange(int(n.sum()))
        a, b = np.repeat(rows[begin:end], n), right[1][at].astype(np.int64)
        smaller, larger = np.minimum(sizes[a], sizes[b]), np.maximum(sizes[a], sizes[b])
        fits = (a != b) & (smaller >= threshold * larger - 1e-9)
        for code in np.unique(a[fits] << 32 | b[fits]).tolist():
            yield code >> 32, code & 0xFFFFFFFF
        begin = end
