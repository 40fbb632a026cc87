"""Whether a stated chance comes true as often as it says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

BINS = 15


def calibration_error(chances: Sequence[float], right: Sequence[float], bins: int = BINS) -> float:
    """The expected calibration error: how far stated chances lie from what came true, over items.

    chances: shape (n,), n of 1 or more, 0 to 1; right: shape (n,), 0 or 1. The items of each of `bins` equal parts of 0 to 1 are
    taken together: |sum of chances - number right|, summed over the parts, over n. It is biased upwards for few items. Naeini,
    Cooper and Hauskrecht (2015), AAAI; with 15 parts as in Guo et al. (2017), arXiv:1706.04599.
    """
    gaps: dict[int, float] = defaultdict(float)
    for chance, came in zip(chances, right, strict=True):
        gaps[min(bins - 1, int(chance * bins))] += chance - came
    return sum(abs(gap) for gap in gaps.values()) / len(chances)
