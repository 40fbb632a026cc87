"""Items that are not alike: several of one document, or slices that weigh otherwise than they are frequent.

Questions about one document succeed and fail together. Forty of them from four documents say little more than four, and an
interval that takes them for forty is too narrow. `design_effect` says by how much; an interval of rates is then made from so many
fewer items.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from lathe.stats.means import FEWEST, Bootstrap, bootstrap, bootstrap_mean, bounded_mean
from lathe.stats.quantiles import Bounds, critical, student_quantile


class Stratum(NamedTuple):
    """One slice: its weight (any scale), what was estimated in it, and the bounds of that."""

    weight: float
    estimate: float
    bounds: Bounds


def design_effect(values: Sequence[float], clusters: Sequence[Hashable], confidence: float) -> float:
    """How many items weigh as much as one independent item: 1 where each stands alone, the size of the clusters where they agree.

    values: shape (n,); clusters: shape (n,), what each item comes from. The variance of the mean with K clusters, K / (K - 1) times
    the squared sums of residuals by cluster, over its variance without them; counts divided by it go into an interval of rates.
    Rao and Scott (1992), Biometrics 48:577. It is itself estimated from K clusters, so Student's t with K - 1 degrees takes
    the place of z. Where nothing varies there is nothing to tell it from, and each cluster counts as one item.
    """
    n, k = len(values), len(set(clusters))
    if k == n:
        return 1.0
    mean = sum(values) / n
    alone = sum((value - mean) ** 2 for value in values) * n / (n - 1)
    if k == 1 or alone == 0:
        return n / k
    sums: dict[Hashable, float] = defaultdict(float)
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] += value - mean
    together = k / (k - 1) * sum(part * part for part in sums.values())
    wider = student_quantile((1 + confidence) / 2, k - 1) / critical(confidence)
    return max(1.0, together / alone) * wider**2


def bootstrap_clustered(
    values: Sequence[float], clusters: Sequence[Hashable], confidence: float, seed: int = 0
) -> Bootstrap | None:
    """Interval of a mean over items, by resampling whole clusters; None for fewer than FEWEST of them.

    Davison and Hinkley (1997), section 3.8. values and clusters: shape (n,).
    """
    sums: dict[Hashable, float] = defaultdict(float)
    sizes: dict[Hashable, int] = defaultdict(int)
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] += value
        sizes[cluster] += 1
    if len(sums) < FEWEST:
        return None
    if len(sums) == len(values):
        return bootstrap_mean(values, confidence, seed)
    return bootstrap([list(sums.values()), list(sizes.values())], lambda s: s[0] / s[1], confidence, seed)


def bounded_mean_clustered(
    values: Sequence[float], clusters: Sequence[Hashable], confidence: float, seed: int = 0
) -> Bounds:
    """As `bounded_mean`, wider where items of one cluster go together. values and clusters: shape (n,), n of 1 or more."""
    alone = bounded_mean(values, confidence, seed)
    if len(set(clusters)) == len(clusters):
        return alone
    together = bootstrap_clustered(values, clusters, confidence, seed)
    return alone if together is None else Bounds(min(alone.low, together.low), max(alone.high, together.high))


def stratified(strata: Iterable[Stratum]) -> tuple[float, Bounds]:
    """The weighted mean over slices with its interval, made from the intervals of the slices, whatever these are.

    Slices are independent, so the squared distances to the lower (upper) bounds add up: the method of variance estimates recovery.
    Zou and Donner (2008), Statistics in Medicine 27:1693; for rates Yan and Su (2010), Stat. Biopharm. Research 2:329.
    """
    parts = list(strata)
    total = sum(part.weight for part in parts)
    estimate = sum(part.weight * part.estimate for part in parts) / total
    below = math.sqrt(sum((part.weight * (part.estimate - part.bounds.low)) ** 2 for part in parts)) / total
    above = math.sqrt(sum((part.weight * (part.bounds.high - part.estimate)) ** 2 for part in parts)) / total
    return estimate, Bounds(estimate - below, estimate + above)
