"""Runs of five words of a text as 64-bit hashes, by which texts are held against one another.

    shingles(["the cat sat on the mat today"])   ->  three hashes, sorted; and how many each text has, [3]

Many texts at once cost a third of one by one: 5 microseconds for one of 50 words.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lathe.wordless import parted

Hashes = NDArray[np.uint64]

WORDS = 5
"""Words in a shingle. In rows made from a template most runs of five words hold a value, so rows with other values differ."""
_ODD = tuple(
    map(
        np.uint64,
        (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xFF51AFD7ED558CCD),
    )
)
_SHIFT = np.uint64(29)


def shingles(normalised_texts: Sequence[str]) -> tuple[Hashes, NDArray[np.int64]]:
    """Hashes of all runs of five words of each text, each once, sorted, one text after the other; and how many each text has.

    A shorter text is one shingle. Words are parted by white space; in scripts that have none between words, each character is one.
    """
    words = [
        parted(text).encode().split() for text in normalised_texts
    ]  # white space is plain spaces, so that bytes can be parted
    counts = np.fromiter(map(len, words), np.int64, len(words))
    # A text of fewer words is filled up; places of words in what is then one long row.
    lengths = np.maximum(counts, WORDS)
    begins = np.cumsum(lengths) - lengths
    places = np.arange(counts.sum()) + np.repeat(begins - (np.cumsum(counts) - counts), counts)
    hashed = np.full(lengths.sum(), 1 << 40, np.uint64)
    hashed[places] = np.fromiter(map(zlib.crc32, itertools.chain.from_iterable(words)), np.uint64, len(places))
    runs = np.zeros(max(0, len(hashed) - WORDS + 1), np.uint64)
    for k, odd in enumerate(_ODD):
        runs ^= hashed[k : len(runs) + k]
        runs *= odd
        runs ^= runs >> _SHIFT
    own = lengths - WORDS + 1  # runs that begin in a text and end in it
    ends = np.cumsum(own)
    runs = runs[np.arange(own.sum()) + np.repeat(begins - (ends - own), own)]
    for begin, end in zip((ends - own).tolist(), ends.tolist(), strict=True):
        runs[begin:end].sort()
    new = np.ones(len(runs), np.bool_)
    new[1:] = runs[1:] != runs[:-1]
    new[ends - own] = True
    return runs[new], np.add.reduceat(new, ends - own, dtype=np.int64) if len(words) else own
