"""Is the tuned model as able as its base at what it was not tuned for? By paired intervals, on the same items.

Where several figures are compared, their intervals are wider, so that all of them hold together with the stated confidence
(Bonferroni): of fifty-seven tasks one would otherwise seem to have fallen by chance alone.
"""

from __future__ import annotations

from lathe import stats
from lathe.decide.compare import paired
from lathe.records import EvalReport, Finding, GeneralCheck, GeneralFigure, PairedDifference, Score


def general_check(base: EvalReport, tuned: EvalReport, confidence: float) -> GeneralCheck:
    """Tuned minus base in every figure that both have. Raises InputError where they were not measured alike."""
    both = [(before, after) for after in tuned.scores if (before := base.score(after.metric)) is not None]
    each = 1 - (1 - confidence) / max(1, len(both))
    figures = tuple(_figure(before, after, paired(tuned, base, after.metric, each), each) for before, after in both)
    return GeneralCheck(
        package=tuned.scorer,
        n=tuned.n,
        confidence=confidence,
        each=each,
        figures=figures,
        findings=tuple(_fallen(one) for one in figures if one.judged == "worse"),
        notes=tuned.findings,
    )


def _figure(before: Score, after: Score, gap: PairedDifference, confidence: float) -> GeneralFigure:
    way = 1 if after.higher_is_better else -1
    judged = "undecided"
    if gap.low is not None and gap.high is not None:
        low, high = sorted((way * gap.low, way * gap.high))
        judged = "worse" if high < 0 else "better" if low > 0 else "undecided"
    rates = after.kind == "proportion" and gap.n > 0
    detectable = stats.detectable(gap.n, (gap.wins + gap.losses) / gap.n, confidence) if rates else None
    return GeneralFigure(base=before, tuned=after, difference=gap, judged=judged, detectable=detectable)


def _fallen(one: GeneralFigure) -> Finding:
    gap = one.difference
    assert gap.difference is not None
    assert gap.low is not None
    assert gap.high is not None
    return Finding(
        id="general_ability_fell",
        message=f"{gap.metric} went from {one.base.value:.2f} to {one.tuned.value:.2f} by tuning: "
        f"{gap.difference:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}] on the same {gap.n:,} items",
        next_action="fewer epochs, a lower learning rate or a smaller rank; or rows of other kinds among the training rows",
    )
