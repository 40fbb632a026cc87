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

from lathe.stats.means import FEWEST, Bootstrap, bootstrap
from lathe.stats.pairs import tango
from lathe.stats.quantiles import Bounds, critical, student_quantile


class Stratum(NamedTuple):
    """One slice: its weight (any scale), what was estimated in it, and the bounds of that."""

    weight: float
    estimate: float
    bounds: Bounds


def design_effect(values: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """How many items weigh as much as one independent item, from 1 to the mean size of a cluster and beyond.

    values: shape (n,); clusters: shape (n,), what each item comes from. The variance of the mean with clusters, K / (K - 1) times
    the squared sums of residuals by cluster, over its variance without them. Where nothing varies there is nothing to tell it
    from, and each cluster counts as one item. Rao and Scott (1992), Biometrics 48:577.
    """
    n = len(values)
    mean = sum(values) / n
    sums: dict[Hashable, float] = defaultdict(float)
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] += value - mean
    k = len(sums)
    alone = sum((value - mean) ** 2 for value in values) * n / max(n - 1, 1)
    if k == 1 or alone == 0:
        return n / k
    return max(1.0, k / (k - 1) * sum(part * part for part in sums.values()) / alone)


def tango_clustered(differences: Sequence[float], clusters: Sequence[Hashable], confidence: float) -> Bounds:
    """Tango's interval of two rates on the same items, where items of a cluster go together.

    differences: shape (n,), 1 where only the first arm is right, -1 where only the second. All counts are divided by the design
    effect (Rao and Scott 1992), which is itself estimated from K clusters: Student's t with K - 1 degrees takes the place of z.
    """
    k = len(set(clusters))
    if k == 1:
        return Bounds(-1.0, 1.0)
    wider = (student_quantile((1 + confidence) / 2, k - 1) / critical(confidence)) ** 2 if k < len(clusters) else 1.0
    each = design_effect(differences, clusters) * wider
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    return tango(wins / each, losses / each, len(differences) / each, confidence)


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
    return bootstrap([list(sums.values()), list(sizes.values())], lambda s: s[0] / s[1], confidence, seed)


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
