"""How often the interval of macro F1 holds that of the population, by how many rows its classes have. Simulated; a minute.

    python bench/macro_f1_coverage.py [SAMPLES]

Populations: a class for each share, right at a rate of its own, wrong answers spread over all classes. Expected at 0.95: 0.95.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from lathe.stats import pooled, wilson
from lathe.stats.pooled import Counts

Numbers = NDArray[np.float64]


def zipf(classes: int) -> Numbers:
    """Shares as 1, 1/2, 1/3 ..."""
    return 1 / np.arange(1, classes + 1)


def one_common(classes: int) -> Numbers:
    """Half of all rows are of one class."""
    return np.array([classes - 1.0, *[1.0] * (classes - 1)])


POPULATIONS: dict[str, tuple[Numbers, int]] = {
    "4 uneven classes, 200 rows": (np.array([4.0, 3.0, 2.0, 1.0]), 200),
    "20 even classes, 200 rows": (np.ones(20), 200),
    "20 even classes, 100 rows": (np.ones(20), 100),
    "77 even classes, 2,000 rows": (np.ones(77), 2000),
    "77 even classes, 300 rows": (np.ones(77), 300),
    "30 classes as 1, 1/2, 1/3 ..., 150 rows": (zipf(30), 150),
    "77 classes as 1, 1/2, 1/3 ..., 300 rows": (zipf(77), 300),
    "30 classes, one of them half of all, 100 rows": (one_common(30), 100),
    "60 classes, one of them half of all, 150 rows": (one_common(60), 150),
}


def truth(share_C: Numbers, rate_C: Numbers) -> float:
    """Macro F1 of the population."""
    wrong_C = share_C * (1 - rate_C)
    matched_C = share_C * rate_C + wrong_C / len(share_C)
    said_C = share_C * rate_C + wrong_C.sum() / len(share_C)
    return float((2 * matched_C / (share_C + said_C)).mean())


def drawn(generator: np.random.Generator, share_C: Numbers, rate_C: Numbers, n: int) -> list[Counts]:
    """Items as a task counts them."""
    gold_N = generator.choice(len(share_C), n, p=share_C)
    other_N = generator.integers(0, len(share_C), n)
    said_N = np.where(generator.random(n) < rate_C[gold_N], gold_N, other_N)
    return [
        {str(gold): (1, 1, 1)} if gold == said else {str(gold): (0, 1, 0), str(said): (0, 0, 1)}
        for gold, said in zip(gold_N.tolist(), said_N.tolist(), strict=True)
    ]


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for name, (share_C, n) in POPULATIONS.items():
        share_C, rate_C = share_C / share_C.sum(), np.random.default_rng(7).uniform(0.4, 0.95, len(share_C))
        right, generator, held, thin = truth(share_C, rate_C), np.random.default_rng(1), 0, 0
        for _ in range(samples):
            counts = drawn(generator, share_C, rate_C, n)
            bounds = pooled.score(counts, "macro_f1", 0.95).bounds
            held += bounds is not None and bounds.low <= right <= bounds.high
            few, classes = pooled.thin_classes(counts)
            thin += 2 * few > classes
        low, high = wilson(held, samples, 0.95)
        print(
            f"{name:<48} {held / samples:.2f} [{low:.2f}, {high:.2f}]   said to be too narrow in {thin / samples:.2f}"
        )


if __name__ == "__main__":
    main()
