"""One rate: k right of n."""

from __future__ import annotations

import math

from lathe.stats.quantiles import Bounds, beta_quantile, critical


def wilson(k: float, n: float, confidence: float) -> Bounds:
    """Interval of a rate: k right of n, for reading. Its coverage is near `confidence` on average over rates.

    Wilson (1927), JASA 22:209; recommended by Brown, Cai and DasGupta (2001), Statistical Science 16:101.
    """
    z = critical(confidence)
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(max(k * (n - k) / n, 0.0) + z * z / 4)
    return Bounds(0.0 if k <= 0 else centre - half, 1.0 if k >= n else centre + half)


def clopper_pearson(k: float, n: float, confidence: float) -> Bounds:
    """Interval of a rate, for judging: covers with at least `confidence` whatever the rate is.

    Clopper and Pearson (1934), Biometrika 26:404, as beta quantiles; k may be a fraction in forecasts of more rows.
    """
    tail = (1 - confidence) / 2
    low = beta_quantile(tail, k, n - k + 1) if k > 0 else 0.0
    high = beta_quantile(1 - tail, k + 1, n - k) if k < n else 1.0
    return Bounds(low, high)
