"""In which order the rows of an epoch are seen: a pure function of (seed, epoch).

    permutation(5, seed=0, epoch=0) -> the same five numbers on every machine and with every version of NumPy

NumPy promises for ever the raw stream of a bit generator, but not what `Generator.permutation` makes of it. So each row
draws one raw 64-bit number from Philox, keyed by the seed and the epoch, and the rows are sorted by their numbers.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def permutation(num_rows: int, seed: int, epoch: int) -> Indices:
    """The rows 0 .. num_rows - 1 in the order of that epoch. Shape: (num_rows,)."""
    key = hashlib.sha256(f"lathe.schedule.order/{seed}/{epoch}".encode()).digest()[:16]
    draws = np.random.Philox(key=np.frombuffer(key, dtype="<u8").astype(np.uint64)).random_raw(num_rows)
    return np.argsort(draws, kind="stable").astype(np.int64)
