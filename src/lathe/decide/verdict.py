"""The verdict: a pure function of the reports, the gates that were declared, and how often the test rows were looked at.

DEPLOY  json_exact 0.83 [0.78, 0.87] · base 0.02 · rule 0.38 · planned 47 s, took 49 s
ITERATE  json_exact 0.41 [0.35, 0.48] · base 0.02 · rule 0.38 · planned 47 s, took 49 s · next: 210 test rows would decide
ABORT  evidence refused: tuned and rule were scored by different scorers · next: measure all arms again in one run
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lathe import stats
from lathe.decide import findings
from lathe.decide.compare import paired
from lathe.decide.gates import hold, paired_gain
from lathe.records import (
    Decision,
    EvalReport,
    Finding,
    GateResult,
    GateSpec,
    Json,
    Manifest,
    PairedDifference,
    Plan,
    Recipe,
    Score,
    TrainResult,
)

BASES = ("base-zero", "base-few")


@dataclass(frozen=True)
class Evidence:
    """All that a verdict is made from. arms: reports on the test rows by name; validation: the same on the validation rows."""

    arms: Mapping[str, EvalReport]
    manifest: Manifest
    validation: Mapping[str, EvalReport] = field(default_factory=dict)
    plan: Plan | None = None
    train: TrainResult | None = None
    losses: Sequence[float] = ()
    """Training loss of every step, in order."""
    forbidden: Sequence[str] = ()
    """Reasons of failure that forbid a deploy, as the task has them."""


def judge(recipe: Recipe, evidence: Evidence, primary: str, looks: int, inputs: str) -> Decision:
    """The decision. primary: the task's metric for the default gates and the verdict line. looks: this one included, from 1.

    Bounds are held at 1 - spent(alpha, looks), two-sided. All gates must hold for a deploy, so many gates need no correction of
    their own, and over any number of looks at the same rows the chance of a false deploy stays below evaluate.alpha.
    """
    confidence = 1 - stats.spent(recipe.evaluate.alpha, looks)
    refused = tuple(findings.refusals(evidence.manifest, evidence.arms, evidence.validation))
    if refused:
        return Decision(
            inputs=inputs,
            verdict="abort",
            primary=primary,
            line=_line("abort", [f"evidence refused: {refused[0].message}"], refused[0].next_action),
            gates=(),
            findings=refused,
            looks=looks,
            confidence=confidence,
        )
    arms, tuned = evidence.arms, evidence.arms["tuned"]
    base = better_base(arms, evidence.validation, primary)
    gates = _gates(recipe, arms, primary, base, confidence)
    metrics = _compared(recipe, tuned, primary)
    differences = tuple(
        paired(tuned, arms[name], metric, confidence) for metric in metrics for name in _baselines(arms, base)
    )
    hopeless = all(_hopeless(tuned, metric, differences, base, confidence) for metric in metrics)
    forecasts = scored_forecasts(recipe, tuned)
    found = tuple(_findings(evidence, gates, differences, primary, base, looks, confidence, forecasts))
    blocked = any(finding.id in findings.BLOCKING for finding in found)
    verdict: findings.Verdict = "iterate"
    if hopeless:
        verdict = "abort"
        found = (_no_gain(metrics, differences), *found)
    elif all(gate.held for gate in gates) and not blocked:
        verdict = "deploy"
    next_step = None if verdict == "deploy" else next_action(() if hopeless else gates, found)
    return Decision(
        inputs=inputs,
        verdict=verdict,
        primary=primary,
        line=_line(verdict, _numbers(evidence, primary, base), next_step),
        gates=gates,
        differences=differences,
        findings=found,
        looks=looks,
        confidence=confidence,
        forecasts=forecasts,
    )


# ------------------------------------------------------------------------------------------ what is compared


def better_base(arms: Mapping[str, EvalReport], validation: Mapping[str, EvalReport], primary: str) -> str:
    """The base arm that a model has to beat: the better of zero-shot and few-shot, chosen on validation.

    Where validation does not tell, it is chosen on the test rows: the harder one to beat, so nothing is gained by it.
    """
    names = [name for name in BASES if name in arms]
    if not names:
        return BASES[0]
    chosen_on = validation if all(_worth(validation.get(name), primary) is not None for name in names) else arms
    return max(names, key=lambda name: _or_least(_worth(chosen_on.get(name), primary)))


def _worth(report: EvalReport | None, metric: str) -> float | None:
    """The value of a metric, turned so that more is better."""
    score = report.score(metric) if report else None
    if score is None or score.value is None:
        return None
    return score.value if score.higher_is_better else -score.value


def _or_least(value: float | None) -> float:
    return float("-inf") if value is None else value


def _gates(
    recipe: Recipe, arms: Mapping[str, EvalReport], primary: str, base: str, confidence: float
) -> tuple[GateResult, ...]:
    """The two gates that stand by default, then those of the recipe. A task without rules has no second default gate."""
    defaults = [GateSpec(metric=primary, better_than="base")]
    if "rule" in arms:
        defaults.append(GateSpec(metric=primary, better_than="rule"))
    return (
        *(hold(gate, arms, base, confidence, default=True) for gate in defaults),
        *(hold(gate, arms, base, confidence) for gate in recipe.gates),
    )


def _compared(recipe: Recipe, tuned: EvalReport, primary: str) -> list[str]:
    """The gated quantities that training is meant to better: metrics of the task, the primary one first."""
    gated = [gate.metric for gate in recipe.gates]
    of_task = {score.metric for score in tuned.scores if score.kind in findings.OF_TASK} - {"truncated_share"}
    return [primary, *dict.fromkeys(metric for metric in gated if metric in of_task and metric != primary)]


def _baselines(arms: Mapping[str, EvalReport], base: str) -> list[str]:
    """All arms but the tuned one, the base that has to be beaten first."""
    return [base, *(name for name in arms if name not in (base, "tuned"))] if base in arms else []


def _gain_over(
    arm: str, metric: str, tuned: EvalReport, differences: Iterable[PairedDifference], confidence: float
) -> tuple[float, float] | None:
    """Estimate and upper bound of the gain over an arm in one metric; None where it was not measured."""
    difference = next((d for d in differences if d.second == arm and d.metric == metric), None)
    score = tuned.score(metric)
    if difference is None or score is None:
        return None
    gain = paired_gain(difference, score.higher_is_better, score.kind == "proportion", confidence)
    return (gain.value, gain.high) if gain else None


def _hopeless(
    tuned: EvalReport, metric: str, differences: Iterable[PairedDifference], base: str, confidence: float
) -> bool:
    """Whether a quantity gives no reason to go on: not above the base even in the estimate, or decidedly below the rule."""
    over_base = _gain_over(base, metric, tuned, differences, confidence)
    over_rule = _gain_over("rule", metric, tuned, differences, confidence)
    return over_base is None or over_base[0] <= 0 or (over_rule is not None and over_rule[1] < 0)


def scored_forecasts(recipe: Recipe, tuned: EvalReport) -> dict[str, Json]:
    """Each forecast of the recipe with what came out; inside is None where it was not measured."""
    forecasts = {}
    for metric, (low, high) in recipe.expect.items():
        score = tuned.score(metric)
        measured = score.value if score else None
        inside = None if measured is None else low <= measured <= high
        forecasts[metric] = {"expected": [low, high], "measured": measured, "inside": inside}
    return forecasts


# ------------------------------------------------------------------------------------------ what is said


def _findings(
    evidence: Evidence,
    gates: Sequence[GateResult],
    differences: Sequence[PairedDifference],
    primary: str,
    base: str,
    looks: int,
    confidence: float,
    forecasts: Mapping[str, Mapping[str, Json]],
) -> Iterable[Finding]:
    """Everything that the records support, in the order in which a person should read it."""
    tuned = evidence.arms["tuned"]
    score = tuned.score(primary)
    against_rule = next((d for d in differences if d.second == "rule" and d.metric == primary), None)
    yield from findings.of_leaks(tuned)
    yield from findings.of_forbidden(tuned, evidence.forbidden)
    yield from findings.of_gates(gates, tuned.n)
    if score is not None:
        yield from findings.of_rule(against_rule, evidence.arms.get("rule"), score.higher_is_better)
    yield from findings.of_training(evidence.train, evidence.losses)
    yield from findings.of_answers(tuned)
    yield from findings.of_thin_classes(tuned, gates)
    yield from findings.of_confusion(tuned)
    if score is not None:
        yield from findings.of_slices(tuned, score, evidence.manifest.sides.get("train"))
        if base in evidence.arms and score.kind == "proportion":
            alpha = 1 - confidence
            yield from findings.worse_slices(tuned, evidence.arms[base], primary, alpha, score.higher_is_better)
    yield from findings.of_looks(looks, confidence)
    yield from findings.of_forecasts(forecasts)


def _no_gain(metrics: Sequence[str], differences: Sequence[PairedDifference]) -> Finding:
    numbers = "; ".join(
        f"{d.metric} less {d.second}'s {d.difference:+.3f} [{d.low:+.3f}, {d.high:+.3f}]"
        for d in differences
        if d.difference is not None and d.low is not None and d.high is not None
    )
    what = " and ".join(metrics)
    return Finding(
        id="no_gain",
        message=f"{what}: not better than the baselines ({numbers or 'nothing was measured on both arms'})",
        next_action="keep the better baseline, or change data or base before training again",
    )


def next_action(gates: Sequence[GateResult], found: Sequence[Finding]) -> str | None:
    """The one thing to do next.

    What blocks, else more test rows where only they are missing, else the first finding that names something. A missed gate
    by itself says the least and comes last.
    """
    unmet = [gate for gate in gates if not gate.held]
    blocking = next((finding.next_action for finding in found if finding.id in findings.BLOCKING), None)
    if blocking is None and unmet and all(gate.rows_needed for gate in unmet):
        return f"{max(gate.rows_needed or 0 for gate in unmet):,} test rows would decide"
    actions = [finding for finding in found if finding.next_action and finding.id != "undecided"]
    actions.sort(key=lambda finding: finding.id == "gate_missed")
    return blocking or next((finding.next_action for finding in actions), None)


def _numbers(evidence: Evidence, primary: str, base: str) -> list[str]:
    """The figures of the verdict line: tuned with its interval, base, rule, and time as planned and taken."""
    parts = [f"{primary} {_with_interval(evidence.arms['tuned'].score(primary))}"]
    for name, arm in (("base", base), ("rule", "rule")):
        if arm in evidence.arms:
            parts.append(f"{name} {_value(evidence.arms[arm].score(primary))}")
    plan = evidence.plan
    known = plan.train_seconds if plan and plan.rate_source != "catalogue" else None
    early = evidence.train.forecast_seconds if evidence.train else None
    planned = known.value if known else early  # a machine whose rate was not measured yet plans with the first steps
    taken = evidence.train.train_seconds if evidence.train else None
    ended = evidence.train is not None and evidence.train.stop != "done"
    # A plan is about all steps; held against fewer of them it would look too long.
    times = [f"planned {planned:,.0f} s"] if planned and not ended else []
    times += [f"took {taken:,.0f} s" + (", ended early" if ended else "")] if taken is not None else []
    return [*parts, ", ".join(times)] if times else parts


def _value(score: Score | None) -> str:
    return "not measured" if score is None or score.value is None else f"{score.value:.2f}"


def _with_interval(score: Score | None) -> str:
    if score is None or score.low is None or score.high is None:
        return _value(score)
    return f"{_value(score)} [{score.low:.2f}, {score.high:.2f}]"


def _line(verdict: str, parts: Sequence[str], next_step: str | None) -> str:
    """The one line that a person can retell."""
    return f"{verdict.upper()}  {' · '.join([*parts, *([f'next: {next_step}'] if next_step else [])])}"
