"""How well near-duplicates are found, on generated rows: prints one table.

    python bench/near_duplicates.py

Recall against brute force: every training row is compared with every held-out row, by counting all shingles that they share.
Planted: copies of held-out rows with some words changed, put into train; a copy must be found exactly where its Jaccard is 0.7 or
more. False alarms: rows of the generated corpus, all made from the same few templates with other values, that are taken for
near-duplicates of one another.
"""

from __future__ import annotations

import argparse
import random
import time

import numpy as np

from lathe import plugins
from lathe.data.duplicates.near import THRESHOLD, pairs, rarity
from lathe.data.duplicates.sets import Sets
from lathe.data.preparing.split import normalised, side_of


def changed(text: str, words: int, rng: random.Random) -> str:
    """The text with so many of its words replaced."""
    parts = text.split()
    for place in rng.sample(range(len(parts)), min(words, len(parts))):
        parts[place] = f"changed{rng.randrange(10**6)}"
    return " ".join(parts)


def best_overlaps(sets: Sets, left: np.ndarray, right: np.ndarray) -> dict[int, float]:
    """For each left text the highest Jaccard with any right one, over all pairs; 0 with those that share nothing."""
    rare = rarity(sets)
    own = [rare.own(sets.of(row)) for row in range(len(sets))]
    sizes = np.array([len(one) for one in own])
    rows = np.flatnonzero(right)
    keys, owners = np.concatenate([own[row] for row in rows]), np.repeat(rows, sizes[rows])
    order = np.argsort(keys, kind="stable")
    keys, owners = keys[order], owners[order]
    best = {}
    for row in np.flatnonzero(left).tolist():
        first, last = np.searchsorted(keys, own[row], "left"), np.searchsorted(keys, own[row], "right")
        sharing = np.concatenate([owners[a:b] for a, b in zip(first, last)]) if len(first) else owners[:0]
        others, shared = np.unique(sharing, return_counts=True)
        best[row] = float((shared / (sizes[row] + sizes[others] - shared)).max(initial=0.0))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the corpus")
    parser.add_argument("--corpus", default="edge_json")
    parser.add_argument("--planted", type=int, default=200, help="planted copies for each number of changed words")
    asked = parser.parse_args()
    rng = random.Random(0)
    texts = [normalised(row["input"]) for row in plugins.load("corpora", asked.corpus).rows(0, asked.rows)]
    held_out = [text for text in texts if side_of(text, 0.1, 0.2) != "train"]
    train = [text for text in texts if side_of(text, 0.1, 0.2) == "train"]
    changes = (0, 1, 2, 3, 4, 6, 8)
    planted = [(words, changed(rng.choice(held_out), words, rng)) for words in changes for _ in range(asked.planted)]

    sets = Sets()
    start = time.perf_counter()
    for text in [*train, *(text for _, text in planted), *held_out]:
        sets.add(text)
    number = np.arange(len(sets))
    left = number < len(train) + len(planted)
    shingled = time.perf_counter()
    found = {row for row, _, _ in pairs(sets, left, ~left)}
    searched = time.perf_counter()
    best = best_overlaps(sets, left, ~left)
    compared = time.perf_counter()

    true = {row for row, overlap in best.items() if overlap >= THRESHOLD}
    print(f"{len(train)} training rows, {len(planted)} planted, {len(held_out)} held out; threshold {THRESHOLD}")
    print(
        f"shingles {shingled - start:.1f} s, search {searched - shingled:.1f} s, brute force {compared - searched:.1f} s"
    )
    print(f"recall against brute force    {len(found & true)} of {len(true)}")
    print(f"precision against brute force {len(found & true)} of {len(found)}")
    print(f"false alarms among rows of the corpus: {sum(row < len(train) for row in found)} of {len(train)}")
    print("changed words   found   with Jaccard >= threshold")
    for index, words in enumerate(changes):
        rows = range(len(train) + index * asked.planted, len(train) + (index + 1) * asked.planted)
        print(
            f"{words:>13}   {sum(row in found for row in rows):>5}   {sum(row in true for row in rows):>5} of {asked.planted}"
        )


if __name__ == "__main__":
    main()
