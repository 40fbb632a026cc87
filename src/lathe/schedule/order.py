"""In which order the rows of an epoch are seen: a pure function of (seed, epoch), and of how rows begin where they are grouped.

    permutation(5, seed=0, epoch=0) -> the same five numbers on every machine and with every version of NumPy

NumPy promises for ever the raw stream of a bit generator, but not what `Generator.permutation` makes of it. So each row
draws one raw 64-bit number from Philox, keyed by the seed and the epoch, and the rows are sorted by their numbers.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from lathe.schedule.prefixes import Prefixes, stretches

Indices = NDArray[np.int64]


def permutation(num_rows: int, seed: int, epoch: int) -> Indices:
    """The rows 0 .. num_rows - 1 in the order of that epoch. Shape: (num_rows,)."""
    return np.argsort(_draws(num_rows, seed, epoch), kind="stable").astype(np.int64)


def grouped(known: Prefixes, examples_per_step: int, seed: int, epoch: int) -> Indices:
    """The same rows so that those of a step begin alike as far as they can. Shape: (num_rows,).

    The tree of what rows share is walked, at every fork in a random order; steps are cut from the rows as they are met, and then
    come in a random order, but for what is left over at the end. Each row still comes once; which rows meet is less random.
    """
    alike = known.among(np.arange(len(known.lengths_N)))
    num_rows, tree = len(alike.rows), stretches(alike)
    num_steps = num_rows // examples_per_step
    draws = _draws(len(tree) + num_steps, seed, epoch)
    behind: list[list[int]] = [[] for _ in range(len(tree) + 1)]  # of each stretch; the last: of none
    for place in np.argsort(draws[: len(tree)], kind="stable").tolist():
        behind[tree[place].parent].append(place)
    met, todo = [], behind[-1]
    while todo:
        place = todo.pop()
        todo += behind[place]
        if tree[place].last:
            met.append(alike.rows[tree[place].row])
    order = np.array(met, dtype=np.int64)
    whole = num_steps * examples_per_step
    steps = order[:whole].reshape(num_steps, examples_per_step)
    return np.concatenate([steps[np.argsort(draws[len(tree) :], kind="stable")].reshape(-1), order[whole:]])


def _draws(count: int, seed: int, epoch: int) -> NDArray[np.uint64]:
    """Random numbers of that epoch."""
    key = hashlib.sha256(f"lathe.schedule.order/{seed}/{epoch}".encode()).digest()[:16]
    return np.random.Philox(key=np.frombuffer(key, dtype="<u8").astype(np.uint64)).random_raw(count)
