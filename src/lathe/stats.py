"""Arithmetic of evidence: how far a measured number can be trusted, and whether two arms differ.

    wilson(87, 158, 0.95)            -> Bounds(low=0.473, high=0.626)   one rate, to be read
    clopper_pearson(31, 31, 0.95)    -> Bounds(low=0.888, high=1.0)     one rate, to be judged: never too narrow
    tango(7, 1, 21, 0.95)            -> Bounds(low=0.026, high=0.517)   two rates on the same items
    mcnemar(7, 1)                    -> 0.0703                          do they differ at all?
    bootstrap_mean(f1, 0.95)         -> Bootstrap(low, high, p_value)   any mean, or a mean of paired differences

All intervals are two-sided. What is random takes a seed and gives the same bounds for the same values for ever.
Coverage is simulated in tests/test_stats.py, at n from 20 to 3,000.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
"""Fewest bootstrap resamples; enough for a 95 % percentile interval (Efron and Tibshirani 1993, section 13.3)."""
TAIL_RESAMPLES = 100
"""Resamples wanted beyond each bound; a bound far out in the tail gets more resamples instead of a guess."""
FEWEST = 5
"""Fewest items that are resampled: of four, no resample reaches as far as Student's t asks."""
CELLS = 4_000_000
"""Most numbers drawn at once (32 MB of float64)."""
FEW_COLUMNS = 8
"""Up to so many columns are summed one by one; more of them by counting how often each item was drawn."""
MOST_ROWS = 1_000_000
"""Beyond so many rows `rows_needed` says None: nobody will collect them."""


Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Sums of shape (columns, resamples) to values of shape (resamples,)."""


class Bounds(NamedTuple):
    """Both ends of an interval, in the unit of what was estimated."""

    low: float
    high: float


class Bootstrap(NamedTuple):
    """Bounds of a mean, and the two-sided p-value of the mean being zero."""

    low: float
    high: float
    p_value: float


# ------------------------------------------------------------------------------------------ quantiles


def normal_quantile(p: float) -> float:
    """The z below which a share p (0 to 1, exclusive) of the standard normal distribution lies. Wichura (1988), AS 241."""
    return NormalDist().inv_cdf(p)


def critical(confidence: float) -> float:
    """The z of a two-sided normal interval: 1.96 for 0.95."""
    return normal_quantile((1 + confidence) / 2)


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), for x in 0 to 1 and a, b above 0.

    Continued fraction by the modified Lentz method (Numerical Recipes, 3rd ed., section 6.4).
    P(X >= k) = I_p(k, n - k + 1) for a binomial X of n trials with rate p.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    tiny = 1e-300
    d = 1 / (1 - (a + b) * x / (a + 1) or tiny)
    c, fraction = 1.0, d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / (1 + term * d or tiny)
            c = 1 + term / c or tiny
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * fraction


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x at which I_x(a, b) = p, by bisection down to neighbouring floats."""
    return _root(lambda x: beta_cdf(x, a, b) - p, 0.0, 1.0)


def student_quantile(p: float, degrees: float) -> float:
    """The quantile of Student's t for p of 0.5 or more, through its identity with the beta distribution."""
    x = beta_quantile(2 * (1 - p), degrees / 2, 0.5)
    return math.sqrt(degrees * (1 - x) / x)


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a non-decreasing function crosses zero between low and high."""
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


# ------------------------------------------------------------------------------------------ one rate


def wilson(k: float, n: int, confidence: float) -> Bounds:
    """Interval of a rate: k right of n, for reading. Its coverage is near `confidence` on average over rates.

    Wilson (1927), JASA 22:209; recommended by Brown, Cai and DasGupta (2001), Statistical Science 16:101.
    """
    z = critical(confidence)
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(max(k * (n - k) / n, 0.0) + z * z / 4)
    return Bounds(0.0 if k <= 0 else centre - half, 1.0 if k >= n else centre + half)


def clopper_pearson(k: float, n: int, confidence: float) -> Bounds:
    """Interval of a rate, for judging: covers with at least `confidence` whatever the rate is.

    Clopper and Pearson (1934), Biometrika 26:404, as beta quantiles; k may be a fraction in forecasts of more rows.
    """
    tail = (1 - confidence) / 2
    low = beta_quantile(tail, k, n - k + 1) if k > 0 else 0.0
    high = beta_quantile(1 - tail, k + 1, n - k) if k < n else 1.0
    return Bounds(low, high)


# ------------------------------------------------------------------------------------------ two rates, same items


def mcnemar(wins: float, losses: float) -> float:
    """Exact two-sided p-value that two arms are right equally often, from the items where only one of them is.

    McNemar (1947) with the binomial distribution instead of chi-squared: 2 P(X >= max(wins, losses)), at most 1.
    """
    most, both = max(wins, losses), wins + losses
    return min(1.0, 2 * beta_cdf(0.5, most, both - most + 1)) if both else 1.0


def tango(wins: float, losses: float, n: int, confidence: float) -> Bounds:
    """Score interval of the difference of two rates measured on the same n items.

    wins: items that only the first arm got right; losses: only the second. The bounds are the differences that a score test
    would just not reject, with the nuisance rate at its restricted maximum likelihood estimate.
    Tango (1998), Statistics in Medicine 17:891; among the recommended of Fagerland, Lydersen and Laake (2014), 33:2850.
    """
    z = critical(confidence)

    def score(difference: float) -> float:
        """The score statistic at a hypothetical difference; falls as the difference rises."""
        linear = -wins - losses + (2 * n - wins + losses) * difference
        constant = -losses * difference * (1 - difference)
        only_second = (math.sqrt(max(linear * linear - 8 * n * constant, 0.0)) - linear) / (4 * n)
        variance = n * (2 * only_second + difference * (1 - difference))
        gap = wins - losses - n * difference
        return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap) if gap else 0.0

    estimate = (wins - losses) / n
    low = _root(lambda d: z - score(d), -1.0, estimate) if estimate > -1 else -1.0
    high = _root(lambda d: -z - score(d), estimate, 1.0) if estimate < 1 else 1.0
    return Bounds(low, high)


# ------------------------------------------------------------------------------------------ means


def bootstrap(
    columns: Sequence[Sequence[float]] | NDArray[np.float64], statistic: Statistic, confidence: float, seed: int = 0
) -> Bootstrap:
    """Interval of a function of sums over items, by resampling items: all columns of an item stay together.

    columns: shape (m, n), n of FEWEST or more; more than FEW_COLUMNS of them are whole numbers, whose sums are exact in any order.
    Percentile bootstrap with percentiles widened by Student's t and sqrt(n / (n - 1)), since the plain one is too narrow
    for few items (the expanded percentile interval of Hesterberg 2015, The American Statistician 69:371, section 5.3).
    p_value: twice the smaller share of resampled values on one side of zero, with the sample itself counted in (Davison and
    Hinkley 1997, section 4.4), so that it is never 0.
    """
    table = np.asarray(columns, dtype=np.float64)
    n = table.shape[1]
    generator = np.random.default_rng(seed)
    chosen = (generator.integers(0, n, size=(size, n)) for size in _chunks(n, (1 - confidence) / 2))
    values = statistic(np.concatenate([_sums(table, rows) for rows in chosen], axis=1))
    t = student_quantile((1 + confidence) / 2, n - 1)
    tail = NormalDist().cdf(-t * math.sqrt(n / (n - 1)))
    low, high = np.quantile(values, (tail, 1 - tail))
    rarer = min(int((values <= 0).sum()), int((values >= 0).sum()))
    return Bootstrap(float(low), float(high), min(1.0, 2 * (rarer + 1) / (len(values) + 1)))


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


# ------------------------------------------------------------------------------------------ many looks, many tests, more rows


def spent(alpha: float, look: int) -> float:
    """The part of an error budget that look number `look` (from 1) at the same test rows may spend: 6 alpha / (pi look)^2.

    The parts of all looks, however many, sum to alpha, because the reciprocal squares sum to pi^2 / 6 (Basel problem);
    so nobody has to say beforehand how often they will look. An alpha-spending rule in the sense of Lan and DeMets (1983),
    Biometrika 70:659; these weights are those of Ramdas et al. (2017), arXiv:1710.00499, for testing without an end.
    """
    return alpha * 6 / (math.pi * look) ** 2


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for being many, in the order given. Holm (1979), Scandinavian Journal of Statistics 6:65."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def rows_needed(decides: Callable[[int], bool], n: int) -> int | None:
    """The fewest rows, above the n there are, at which `decides` holds and keeps holding; None beyond a million.

    decides: says whether so many rows would decide if every rate stayed as it was measured. It is taken to hold for all larger
    numbers once it holds, which is true of intervals that shrink around an estimate.
    """
    few, many = n, 2 * n
    while not decides(many):
        few, many = many, 2 * many
        if many > MOST_ROWS:
            return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if decides(middle) else (middle, many)
    return many
