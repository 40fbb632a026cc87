"""Quantiles and the beta function: what intervals are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple


class Bounds(NamedTuple):
    """Both ends of an interval, in the unit of what was estimated."""

    low: float
    high: float


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
    return root(lambda x: beta_cdf(x, a, b) - p, 0.0, 1.0)


def student_quantile(p: float, degrees: float) -> float:
    """The quantile of Student's t for p of 0.5 or more, through its identity with the beta distribution."""
    x = beta_quantile(2 * (1 - p), degrees / 2, 0.5)
    return math.sqrt(degrees * (1 - x) / x)


def student_tail(t: float, degrees: float) -> float:
    """The chance that Student's t is above t, which is 0 or more, through the same identity."""
    return beta_cdf(degrees / (degrees + t * t), degrees / 2, 0.5) / 2


def root(rising: Callable[[float], float], low: float, high: float) -> float:
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
