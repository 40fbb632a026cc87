"""Several arms on the same items, of one run or of many: each held against the first.

    lathe compare runs/A runs/B runs/C:base-few          # the tuned arm where none is named

Paired tests over the same items, so what is not measured alike is refused. Many arms are many chances: p-values are Holm's over all
of them. Where nothing is decided, it is said how large a difference would have been found.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from lathe import stats
from lathe.decide.compare import gaps, kind_of, paired, unlike
from lathe.errors import InputError
from lathe.records import (
    ComparedArm,
    ComparedPair,
    Comparison,
    EvalReport,
    LockedRecipe,
    SeedSpread,
    SliceDifference,
    digest,
)


@dataclass(frozen=True)
class Entry:
    """One arm of a comparison: how it was named, what was measured, the recipe of its run, and whether that is a smoke run."""

    name: str
    report: EvalReport
    locked: LockedRecipe
    smoke: bool = False


def side_by_side(entries: Sequence[Entry], metric: str, slice_key: str | None, confidence: float) -> Comparison:
    """Each later entry minus the first. slice_key: also by the values of this slice.

    Raises InputError where rows, scorer or prompts differ, and where a metric or slice is not there.
    """
    first, *others = entries
    for other in others:
        if reason := _unlike(first, other):
            hint = "Compare arms of one data set, asked and scored by the same version; lathe run measures them again."
            raise InputError(f"{reason}: they cannot be compared", hint=hint)
    _check(first, metric, slice_key)
    differences = [paired(other.report, first.report, metric, confidence) for other in others]
    known = [place for place, one in enumerate(differences) if one.p_value is not None]
    adjusted = dict(zip(known, stats.holm([differences[place].p_value or 0.0 for place in known]), strict=True))
    pairs = tuple(
        ComparedPair(
            name=other.name,
            difference=one,
            adjusted=adjusted.get(place),
            detectable=_detectable(one.n / one.design_effect, one.wins + one.losses, one.n, confidence)
            if "mcnemar" in one.method
            else None,
            slices=_by_slice(other.report, first.report, metric, slice_key, confidence) if slice_key else (),
        )
        for place, (other, one) in enumerate(zip(others, differences, strict=True))
    )
    return Comparison(
        metric=metric,
        reference=first.name,
        n=first.report.n,
        test_hash=first.report.test_hash,
        scorer=first.report.scorer,
        confidence=confidence,
        arms=tuple(_arm(entry, metric) for entry in entries),
        pairs=pairs,
        seeds=tuple(_spreads(entries, metric)),
    )


def _unlike(first: Entry, other: Entry) -> str | None:
    """Why two entries cannot be compared; None where they can.

    Two bases read the same turns in their own words, so only arms of one base are held to the very same tokens. Worked examples
    in front are what makes an arm few-shot, and a rule is asked nothing.
    """
    reason = unlike(first.report, other.report)
    if reason:
        return f"{first.name} and {other.name}: {reason}"
    hashes = {entry.report.prompt_hash for entry in (first, other) if not entry.report.few_shot_ids} - {""}
    if len(hashes) == 2 and first.locked.base_files == other.locked.base_files:
        one, two = (entry.report.prompt_hash[:8] for entry in (first, other))
        return f"{first.name} and {other.name} were asked with different prompts ({one} and {two})"
    return None


def _check(first: Entry, metric: str, slice_key: str | None) -> None:
    metrics = [score.metric for score in first.report.scores]
    if metric not in metrics:
        raise InputError(f"there is no metric {metric!r}", hint=f"Measured were: {', '.join(metrics)}.")
    if slice_key is not None and slice_key not in first.report.slices:
        there = ", ".join(first.report.slices) or "none"
        raise InputError(f"there is no slice {slice_key!r}", hint=f"The slices of these items: {there}.")
    score = first.report.score(metric)
    if slice_key is not None and score is not None and score.kind not in ("proportion", "mean"):
        raise InputError(
            f"{metric} is one number over all items, not a mean over them: it has no slices",
            hint="Leave --by out, or name a metric that each item has a value of.",
        )


def _detectable(n: float, discordant: int, items: int, confidence: float) -> float | None:
    """The difference that four of five tests would find, at the disagreement that was seen."""
    return stats.detectable(round(n), discordant / items, confidence)


def _by_slice(
    first: EvalReport, second: EvalReport, metric: str, key: str, confidence: float
) -> tuple[SliceDifference, ...]:
    """First minus second in each value of a slice; last, under the value None, over all values as if they were equally many."""
    groups = defaultdict(list)
    for gap, item in gaps(first, second, metric):
        groups[item.meta.get(key, "")].append((gap, item.origin()))
    found = []
    for value, pairs in sorted(groups.items()):
        differences, origins = [gap for gap, _ in pairs], [origin for _, origin in pairs]
        n, wins, losses = len(pairs), sum(gap > 0 for gap in differences), sum(gap < 0 for gap in differences)
        bounds: stats.Bounds | None = None
        if kind_of(first, second, metric) == "proportion":
            each = stats.design_effect(differences, origins, confidence)
            bounds = stats.tango(wins / each, losses / each, n / each, confidence)
        elif resampled := stats.bootstrap_clustered(differences, origins, confidence):
            bounds = stats.Bounds(resampled.low, resampled.high)
        found.append(_slice(value, sum(differences) / n, bounds, n))
    strata = [
        stats.Stratum(1.0, one.difference, stats.Bounds(one.low, one.high))
        for one in found
        if one.low is not None and one.high is not None
    ]
    if len(strata) < 2 or len(strata) < len(found):
        return tuple(found)
    return (*found, _slice(None, *stats.stratified(strata), sum(one.n for one in found)))


def _slice(value: str | None, difference: float, bounds: stats.Bounds | None, n: int) -> SliceDifference:
    low, high = bounds if bounds else (None, None)
    return SliceDifference(value=value, difference=difference, low=low, high=high, n=n)


def _arm(entry: Entry, metric: str) -> ComparedArm:
    return ComparedArm(
        name=entry.name,
        arm=entry.report.arm,
        base=entry.locked.recipe.base,
        seed=entry.locked.recipe.seed,
        smoke=entry.smoke,
        precision=entry.report.precision,
        constrained=entry.report.constrained,
        score=entry.report.score(metric),
    )


def _spreads(entries: Sequence[Entry], metric: str) -> list[SeedSpread]:
    """Of each recipe its tuned arms that differ by nothing but the seed of training. A seed that ran twice counts once."""
    alike: dict[str, dict[int, tuple[str, float]]] = defaultdict(dict)
    for entry in entries:
        recipe, score = entry.locked.recipe, entry.report.score(metric)
        if entry.report.arm == "tuned" and score is not None and score.value is not None:
            same = recipe.model_copy(update={"seed": 0, "name": "any"}).model_dump(mode="json", by_alias=True)
            files = sorted(file.sha256 for file in entry.locked.base_files)
            alike[digest([same, files])].setdefault(recipe.seed, (entry.name, score.value))
    return [_spread(list(by_seed.values())) for by_seed in alike.values()]


def _spread(found: Sequence[tuple[str, float]]) -> SeedSpread:
    """found: an arm and its value for each seed."""
    values = [value for _, value in found]
    return SeedSpread(
        names=tuple(name for name, _ in found),
        mean=statistics.fmean(values),
        low=min(values),
        high=max(values),
        standard_deviation=statistics.stdev(values) if len(values) > 1 else None,
    )
