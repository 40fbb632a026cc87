"""Means of any numbers, by resampling."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lathe.stats.quantiles import Bounds, student_quantile, student_tail

RESAMPLES = 2000
"""Fewest bootstrap resamples; enough for a 95 % percentile interval (Efron and Tibshirani 1993, section 13.3)."""
TAIL_RESAMPLES = 100
"""Resamples wanted beyond each bound; a bound far out in the tail gets more resamples instead of a guess."""
FEWEST = 5
"""Fewest items that are resampled: of four, no resample reaches as far as Student's t asks."""
CELLS = 500_000
"""Most numbers drawn at once (4 MB of float64). It changes no bound; with more of them, many items would cost memory."""
FEW_COLUMNS = 8
"""Up to so many columns are summed one by one; more of them by counting how often each item was drawn."""

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Sums of shape (columns, resamples) to values of shape (resamples,)."""


class Bootstrap(NamedTuple):
    """Bounds of a mean, and the two-sided p-value of the mean being zero."""

    low: float
    high: float
    p_value: float


def bootstrap(
    columns: Sequence[Sequence[float]] | NDArray[np.float64],
    statistic: Statistic,
    confidence: float,
    seed: int = 0,
    about: float | None = None,
) -> Bootstrap:
    """Interval of a function of sums over items, by resampling items: all columns of an item stay together.

    columns: shape (m, n), n of FEWEST or more; more than FEW_COLUMNS of them are whole numbers, whose sums are exact in any order.
    Percentile bootstrap with percentiles widened by Student's t and sqrt(n / (n - 1)), since the plain one is too narrow
    for few items (the expanded percentile interval of Hesterberg 2015, The American Statistician 69:371, section 5.3).
    p_value: twice the smaller share of resampled values on one side of zero, with the sample itself counted in (Davison and
    Hinkley 1997, section 4.4), so that it is never 0; widened as the interval is, so that the two agree: without that, eight
    items that differ by chance gave a p-value below 0.05 in one of ten trials. about: value of the sample, for a statistic whose
    resamples lie to one side of it; they are moved until their mean is that value (its bias as the bootstrap estimates it, ibid.,
    section 2.1.2).
    """
    table = np.asarray(columns, dtype=np.float64)
    n = table.shape[1]
    generator = np.random.default_rng(seed)
    chosen = (generator.integers(0, n, size=(size, n)) for size in _chunks(n, (1 - confidence) / 2))
    values = statistic(np.concatenate([_sums(table, rows) for rows in chosen], axis=1))
    if about is not None:
        values = values - (values.mean() - about)
    t, wider = student_quantile((1 + confidence) / 2, n - 1), math.sqrt(n / (n - 1))
    tail = NormalDist().cdf(-t * wider)
    low, high = np.quantile(values, (tail, 1 - tail))
    rarer = min(int((values <= 0).sum()), int((values >= 0).sum()))
    share = min(0.5, (rarer + 1) / (len(values) + 1))
    return Bootstrap(float(low), float(high), 2 * student_tail(-NormalDist().inv_cdf(share) / wider, n - 1))


def _sums(table: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """The columns of `table`, shape (m, n), summed over drawn rows, shape (resamples, n): shape (m, resamples)."""
    if len(table) <= FEW_COLUMNS:
        return table[:, rows].sum(axis=2)
    resamples, n = rows.shape
    times = np.bincount((rows + n * np.arange(resamples)[:, None]).ravel(), minlength=resamples * n)
    return table @ times.reshape(resamples, n).T.astype(np.float64)


def bootstrap_mean(values: Sequence[float], confidence: float, seed: int = 0) -> Bootstrap:
    """Interval of a mean, shape (n,), n of FEWEST or more; give it the differences of the same items for a paired comparison."""
    n = len(values)
    return bootstrap([values], lambda sums: sums[0] / n, confidence, seed)


def bootstrap_ratio(above: Sequence[float], below: Sequence[float], confidence: float, seed: int = 0) -> Bounds:
    """Interval of sum(above) / sum(below), each of shape (n,), n of FEWEST or more, below positive: tokens per second, for one."""
    found = bootstrap([above, below], lambda sums: sums[0] / sums[1], confidence, seed)
    return Bounds(found.low, found.high)


def bounded_mean(values: Sequence[float], confidence: float, seed: int = 0) -> Bounds:
    """Interval of the mean of scores that lie between 0 and 1, for judging: thirty-one perfect scores do not prove 0.98.

    values: shape (n,). Each bound is a quantile of the mean under Dirichlet weights after one more item at the far end (0 for the
    lower, 1 for the upper) is added. For yes/no values it *is* Clopper-Pearson; for others no failure of its coverage is known,
    though it is not proved. Gaffke (2005), Three test statistics for a nonparametric one-sided hypothesis on the mean of a
    nonnegative variable; Learned-Miller and Thomas (2019), arXiv:1905.06208.
    """
    sample = np.asarray(values, dtype=np.float64)
    tail = (1 - confidence) / 2
    generator = np.random.default_rng(seed)
    lows, highs = [], []
    for size in _chunks(len(sample) + 1, tail):
        weights = generator.standard_exponential((size, len(sample) + 1))
        weights /= weights.sum(axis=1, keepdims=True)
        lows.append(weights[:, :-1] @ sample)
        highs.append(lows[-1] + weights[:, -1])
    low, high = np.quantile(np.concatenate(lows), tail), np.quantile(np.concatenate(highs), 1 - tail)
    return Bounds(max(0.0, float(low)), min(1.0, float(high)))


def _chunks(width: int, tail: float) -> Iterator[int]:
    """How many resamples of `width` numbers to draw at once, until there are enough for a bound with `tail` beyond it."""
    left = max(RESAMPLES, math.ceil(TAIL_RESAMPLES / tail))
    while left > 0:
        size = min(left, max(1, CELLS // width))
        yield size
        left -= size
