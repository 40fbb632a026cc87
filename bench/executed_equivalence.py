"""What executed equivalence is worth: its precision and recall on a hundred pairs labelled by hand, and commands a second.

    python bench/executed_equivalence.py

Precision: of the pairs that it calls the same, how many are; recall: of those that are, how many it calls so. Pairs of which it
says nothing (the right command did nothing in any folder) are counted apart. Needs a sandbox; every command passes its gate.
Seconds are of the wall clock and mean something on an idle machine only. Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from equivalence_pairs import PAIRS
from lathe.sandbox import Box, prove
from lathe.sandbox.equivalence import Equivalence
from lathe.stats import wilson

RUNS = 100


def line(name: str, count: int, of: int) -> None:
    low, high = wilson(count, of, 0.95) if of else (0.0, 1.0)
    print(f"{name:<34} {count:>4} of {of:<4} {count / max(of, 1):6.3f}  [{low:.3f}, {high:.3f}]")


def pairs(box: Box) -> None:
    equivalence = Equivalence(box, time.time())
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        judged = list(executor.map(lambda pair: equivalence.of(pair[0], pair[1]), PAIRS))
    both = [(pair, one) for pair, one in zip(PAIRS, judged, strict=True) if one.value is not None]
    said, true = [pair for pair, one in both if one.value], [pair for pair, _ in both if pair[2]]
    line("measured", len(both), len(PAIRS))
    line("precision", sum(pair[2] for pair in said), len(said))
    line("recall", sum(one.value == 1 for pair, one in both if pair[2]), len(true))
    for (gold, answer, same, reason), one in zip(PAIRS, judged, strict=True):
        if one.value is None or bool(one.value) != same:
            print(f"    {one.why}, labelled {'the same' if same else 'other'} ({reason}): {gold!r} {answer!r}")
    print(f"reasons: {dict(Counter(one.why for one in judged))}")


def throughput(box: Box) -> None:
    began = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        list(executor.map(lambda _: box.run("ls"), range(RUNS)))
    seconds = time.perf_counter() - began
    print(f"{RUNS / seconds:.1f} commands a second, {os.cpu_count()} at a time")


if __name__ == "__main__":
    proved = prove()
    pairs(proved)
    throughput(proved)
