"""Two arms on the same items. Refuses to compare what was not measured alike."""

from __future__ import annotations

from lathe import stats
from lathe.errors import InputError
from lathe.records import EvalReport, ItemScore, PairedDifference
from lathe.stats import pooled


def unlike(first: EvalReport, second: EvalReport) -> str | None:
    """Why two arms cannot be compared, in words; None where they can."""
    names = f"{first.arm} and {second.arm}"
    if first.test_hash != second.test_hash:
        return f"{names} were measured on different rows ({first.test_hash[:8]} and {second.test_hash[:8]})"
    if first.scorer != second.scorer:
        return f"{names} were scored by different scorers ({first.scorer} and {second.scorer})"
    if [item.id for item in first.items] != [item.id for item in second.items]:
        return f"{names} answered different items ({len(first.items)} and {len(second.items)})"
    one, other = first.temperature, second.temperature
    if one is not None and other is not None and one != other:
        return f"{names} answered at different temperatures ({one:g} and {other:g})"
    return None


def paired(first: EvalReport, second: EvalReport, metric: str, confidence: float) -> PairedDifference:
    """First arm minus second in one metric, over the items that both have a value for.

    Yes/no metrics: Tango's score interval and exact McNemar. Others, among them the means of several answers to an item: paired
    bootstrap, of an F1 over the whole set. Items of one document go together: counts are divided by their design effect, and
    documents are resampled whole. `difference` is None where
    nothing was measured on both; the bounds are None where too few items have a value.
    Raises InputError where rows, items or scorer differ.
    """
    reason = unlike(first, second)
    if reason:
        raise InputError(f"{reason}: they cannot be compared", hint="Measure both arms again in the same run.")
    kind = kind_of(first, second, metric)
    if kind == "single":
        return _of_single_numbers(first, second, metric)
    if kind == "ratio":
        return _of_ratios(first, second, metric, confidence)
    if pooled.is_pooled(kind):
        return _of_pooled(first, second, metric, kind, confidence)
    pairs = gaps(first, second, metric)
    n, wins, losses = len(pairs), sum(gap > 0 for gap, _ in pairs), sum(gap < 0 for gap, _ in pairs)
    differences, origins = [gap for gap, _ in pairs], [item.origin() for _, item in pairs]
    low, high, p_value, method, each = None, None, None, "", 1.0
    if n and kind == "proportion":
        each = stats.design_effect(differences, origins, confidence)
        low, high = stats.tango(wins / each, losses / each, n / each, confidence)
        p_value, method = stats.mcnemar(wins / each, losses / each), "tango and exact mcnemar"
    elif found := stats.bootstrap_clustered(differences, origins, confidence):
        low, high, p_value = found
        method = "paired bootstrap"
    return PairedDifference(
        metric=metric,
        first=first.arm,
        second=second.arm,
        difference=sum(differences) / n if n else None,
        low=low,
        high=high,
        p_value=p_value,
        n=n,
        wins=wins,
        losses=losses,
        design_effect=each,
        method=method,
    )


def _of_single_numbers(first: EvalReport, second: EvalReport, metric: str) -> PairedDifference:
    """One number an arm, such as peak_bytes: there is nothing to resample, the bounds are the difference itself."""
    a, b = first.score(metric), second.score(metric)
    known = a is not None and b is not None and a.value is not None and b.value is not None
    difference = a.value - b.value if known else None  # type: ignore[union-attr, operator]
    return PairedDifference(
        metric=metric,
        first=first.arm,
        second=second.arm,
        difference=difference,
        low=difference,
        high=difference,
        n=int(known),
        method="single numbers" if known else "",
    )


def _of_ratios(first: EvalReport, second: EvalReport, metric: str, confidence: float) -> PairedDifference:
    """Tokens per second: sums over the same items of both arms, resampled together."""
    columns = [
        [item.values.get(part) for item in report.items]
        for report in (first, second)
        for part in ("new_tokens", "latency_seconds")
    ]
    rows = [row for row in zip(*columns, strict=True) if all(row)]
    difference, low, high, p_value = None, None, None, None
    if len(rows) >= stats.FEWEST:
        tokens, seconds, other_tokens, other_seconds = (list(column) for column in zip(*rows, strict=True))
        difference = sum(tokens) / sum(seconds) - sum(other_tokens) / sum(other_seconds)
        low, high, p_value = stats.bootstrap(
            [tokens, seconds, other_tokens, other_seconds], lambda s: s[0] / s[1] - s[2] / s[3], confidence
        )
    return PairedDifference(
        metric=metric,
        first=first.arm,
        second=second.arm,
        difference=difference,
        low=low,
        high=high,
        p_value=p_value,
        n=len(rows),
        method="paired bootstrap" if difference is not None else "",
    )


def _of_pooled(
    first: EvalReport, second: EvalReport, metric: str, average: pooled.Average, confidence: float
) -> PairedDifference:
    """An F1 over the set: the items that both arms have counts for, resampled together."""
    pairs = [
        (a.counts[metric], b.counts[metric])
        for a, b in zip(first.items, second.items, strict=True)
        if metric in a.counts and metric in b.counts
    ]
    found = pooled.difference([a for a, _ in pairs], [b for _, b in pairs], average, confidence) if pairs else None
    bounds = found.bounds if found else None
    differences = [gap for gap, _ in gaps(first, second, metric)]
    return PairedDifference(
        metric=metric,
        first=first.arm,
        second=second.arm,
        difference=found.value if found else None,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        p_value=bounds.p_value if bounds else None,
        n=len(pairs),
        wins=sum(gap > 0 for gap in differences),
        losses=sum(gap < 0 for gap in differences),
        method="paired bootstrap" if bounds else "",
    )


def gaps(first: EvalReport, second: EvalReport, metric: str) -> list[tuple[float, ItemScore]]:
    """First minus second and the item, for each item that both arms have a value for."""
    both = ((a, a.values.get(metric), b.values.get(metric)) for a, b in zip(first.items, second.items, strict=True))
    return [(one - other, item) for item, one, other in both if one is not None and other is not None]


def kind_of(first: EvalReport, second: EvalReport, metric: str) -> str:
    """What a metric is in both arms: right or wrong in one and a mean over several answers in the other is a mean in both."""
    score, other = first.score(metric), second.score(metric)
    if score is None:
        return ""
    return "mean" if other is not None and {score.kind, other.kind} == {"proportion", "mean"} else score.kind
