"""Arithmetic of evidence: how far a measured number can be trusted, and whether two arms differ.

    wilson(87, 158, 0.95)            -> Bounds(low=0.473, high=0.626)   one rate, to be read
    clopper_pearson(31, 31, 0.95)    -> Bounds(low=0.888, high=1.0)     one rate, to be judged: never too narrow
    tango(7, 1, 21, 0.95)            -> Bounds(low=0.026, high=0.517)   two rates on the same items
    mcnemar(7, 1)                    -> 0.0703                          do they differ at all?
    careful(7, 1, 21, 0.95)          -> Bounds(low=0.0, high=0.517)     the two together, to be judged
    detectable(213, 0.3, 0.95)       -> 0.104                           what difference would be found, mostly?
    bootstrap_mean(f1, 0.95)         -> Bootstrap(low, high, p_value)   any mean, or a mean of paired differences
    design_effect(values, docs, 0.95) -> 2.4                            items of one document that weigh as much as one
    pooled.score(counts, "macro_f1", 0.95)                              an F1 over a set, which is no mean of its items

All intervals are two-sided. What is random takes a seed and gives the same bounds for the same values for ever.
Coverage is simulated in tests/stats/, at n from 20 to 3,000.
"""

from lathe.stats.budget import MOST_ROWS, holm, rows_needed, spent
from lathe.stats.calibration import calibration_error
from lathe.stats.groups import Stratum, bootstrap_clustered, bounded_mean_clustered, design_effect, stratified
from lathe.stats.means import (
    FEWEST,
    Bootstrap,
    Statistic,
    bootstrap,
    bootstrap_mean,
    bootstrap_ratio,
    bounded_mean,
)
from lathe.stats.pairs import careful, detectable, mcnemar, tango
from lathe.stats.quantiles import Bounds, beta_cdf, beta_quantile, critical, normal_quantile, student_quantile
from lathe.stats.rates import clopper_pearson, wilson

__all__ = [
    "FEWEST", "MOST_ROWS", "Bootstrap", "Bounds", "Statistic", "Stratum", "beta_cdf", "beta_quantile", "bootstrap",
    "bootstrap_clustered", "bootstrap_mean", "bootstrap_ratio", "bounded_mean", "bounded_mean_clustered",
    "calibration_error", "careful", "clopper_pearson", "critical", "design_effect", "detectable", "holm", "mcnemar",
    "normal_quantile", "rows_needed", "spent", "stratified", "student_quantile", "tango", "wilson",
]  # fmt: skip
