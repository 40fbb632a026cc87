"""One gate held against what was measured. What was not measured never holds.

A gate is judged on the end of an interval that is harder to hold, at the confidence that is left after paying for the looks at the
test rows. The intervals never assume a normal distribution of scores between 0 and 1: thirty-one right answers out of
thirty-one do not show a rate of 0.98 (Clopper-Pearson: 0.89), and the gate then says how many rows would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lathe import stats
from lathe.decide.compare import paired
from lathe.records import EvalReport, GateResult, GateSpec, PairedDifference
from lathe.stats import pooled


@dataclass(frozen=True)
class Judged:
    """A measured number with the bounds that gates are held against, and the bounds that m rows would give."""

    value: float
    low: float
    high: float
    with_rows: Callable[[int], stats.Bounds] | None
    n: int

    def turned(self) -> Judged:
        """The same upside down."""
        again = self.with_rows
        mirrored = None if again is None else (lambda m: stats.Bounds(-again(m).high, -again(m).low))
        return Judged(-self.value, -self.high, -self.low, mirrored, self.n)


def judged(report: EvalReport, metric: str, confidence: float) -> Judged | None:
    """A quantity of one arm with bounds for judging. None where it was not measured, or an interval cannot be had."""
    score = report.score(metric)
    if score is None or score.value is None:
        return None
    value, n = score.value, score.n
    if score.kind == "single":
        return Judged(value, value, value, None, n)
    if pooled.is_pooled(score.kind):
        counts = [item.counts[metric] for item in report.items if metric in item.counts]
        bounds = pooled.score(counts, score.kind, confidence).bounds
        if bounds is None:
            return None
        low, high, _ = bounds
        return Judged(value, low, high, shrinking(value, low, high, n), n)
    pairs = [(v, item.origin()) for item in report.items if (v := item.values.get(metric)) is not None]
    measured, origins = [v for v, _ in pairs], [origin for _, origin in pairs]
    if score.kind == "proportion":
        each = stats.design_effect(measured, origins, confidence)

        def with_rows(m: float) -> stats.Bounds:
            return stats.clopper_pearson(value * m / each, m / each, confidence)

        return Judged(value, *with_rows(n), with_rows, n)
    if score.kind == "mean" and min(measured) >= 0 and max(measured) <= 1:
        low, high = stats.bounded_mean_clustered(measured, origins, confidence)
    elif n < stats.FEWEST:
        return None
    elif score.kind == "ratio":
        both = [(item.values.get("new_tokens"), item.values.get("latency_seconds")) for item in report.items]
        above, below = zip(*((a, b) for a, b in both if a and b), strict=True)
        low, high = stats.bootstrap_ratio(above, below, confidence)
    else:
        low, high, _ = stats.bootstrap_mean(measured, confidence)
    return Judged(value, low, high, shrinking(value, low, high, n), n)


def shrinking(value: float, low: float, high: float, n: int) -> Callable[[int], stats.Bounds]:
    """The bounds that m rows would give if the spread stayed: their distance falls with the square root of the rows."""
    return lambda m: stats.Bounds(value - (value - low) * math.sqrt(n / m), value + (high - value) * math.sqrt(n / m))


def hold(
    gate: GateSpec, arms: Mapping[str, EvalReport], base: str, confidence: float, *, default: bool = False
) -> GateResult:
    """Holds one gate against the tuned arm. base: the arm that `better_than: base` means."""
    if gate.better_than is not None:
        return _better(gate, arms, base, confidence, default)
    rising = gate.at_least is not None
    limit = gate.at_least if gate.at_least is not None else gate.at_most or 0.0
    end = {"bound": "lower bound" if rising else "upper bound"}.get(gate.judge, gate.judge.replace("_", " "))
    text = f"{gate.metric} at {'least' if rising else 'most'} {limit:g} (on its {end})"
    found = judged(arms["tuned"], gate.metric, confidence)
    if found is None:
        return GateResult(text=text, held=False, measured=None, limit=limit, metric=gate.metric, default=default)
    number = {"value": found.value, "lower bound": found.low, "upper bound": found.high}[end]

    def passes(measured: float) -> bool:
        return measured >= limit if rising else measured <= limit

    held = passes(number)
    decided = held or gate.judge == "value" or not (passes(found.low) or passes(found.high))
    needed = None if decided else rows_to_decide(found, limit)
    return GateResult(
        text=text, held=held, measured=number, limit=limit, metric=gate.metric, default=default, decidable=decided,
        rows_needed=needed,
    )  # fmt: skip


def _better(gate: GateSpec, arms: Mapping[str, EvalReport], base: str, confidence: float, default: bool) -> GateResult:
    """The paired gate: the tuned arm minus the other one, turned so that more is better."""
    name = base if gate.better_than == "base" else str(gate.better_than)
    by = f" by {gate.by:g}" if gate.by else ""
    text = f"{gate.metric} better than {name}{by} (on the paired lower bound)"
    other = arms.get(name)
    score = arms["tuned"].score(gate.metric)
    gain = None
    if other is not None and score is not None:
        difference = paired(arms["tuned"], other, gate.metric, confidence)
        gain = paired_gain(difference, score.higher_is_better, score.kind == "proportion", confidence)
    if gain is None:
        return GateResult(text=text, held=False, measured=None, limit=gate.by, metric=gate.metric, default=default)
    if gate.judge == "value":
        held, number, decided = gain.value > gate.by, gain.value, True
    else:
        held, number = gain.low > gate.by, gain.low
        decided = held or gain.high <= gate.by
    needed = None if decided else rows_to_decide(gain, gate.by)
    return GateResult(
        text=text, held=held, measured=number, limit=gate.by, metric=gate.metric, default=default, decidable=decided,
        rows_needed=needed,
    )  # fmt: skip


def paired_gain(
    difference: PairedDifference, higher_is_better: bool, yes_or_no: bool, confidence: float
) -> Judged | None:
    """A paired difference as a gain (more is better) with bounds for judging; None where it has no interval.

    An interval can lie wholly above zero after five items that speak one way. Where the test does not agree that the arms differ,
    the bounds are opened to zero.
    """
    if difference.difference is None or difference.low is None or difference.high is None:
        return None
    value, n = difference.difference, difference.n
    if yes_or_no:
        wins, losses, each = difference.wins / n, difference.losses / n, difference.design_effect

        def with_rows(m: float) -> stats.Bounds:
            return stats.careful(wins * m / each, losses * m / each, m / each, confidence)

        found = Judged(value, *with_rows(n), with_rows, n)
    else:
        low, high = difference.low, difference.high
        if difference.p_value is not None and difference.p_value >= 1 - confidence:
            low, high = min(low, 0.0), max(high, 0.0)
        found = Judged(value, low, high, shrinking(value, low, high, n), n)
    return found if higher_is_better else found.turned()


def rows_to_decide(found: Judged, limit: float) -> int | None:
    """The rows at which the interval would leave the limit on one side, if all rates stayed as measured; None = never."""
    again = found.with_rows
    if again is None or found.value == limit:
        return None

    def decides(m: int) -> bool:
        low, high = again(m)
        return low > limit or high < limit

    return stats.rows_needed(decides, found.n)
