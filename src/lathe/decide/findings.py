"""What stands in the way, each with its numbers and what to do next. Only what the records support is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from lathe import stats
from lathe.decide.compare import unlike
from lathe.records import (
    EvalReport,
    Finding,
    GateResult,
    Json,
    Manifest,
    PairedDifference,
    Score,
    SideCount,
    TrainResult,
)
from lathe.stats import pooled

ENOUGH = 10
"""Fewest items of a slice that anything is said about."""
SEVERAL = 5
GOOD_PART = 0.05
"""Fewest items, and the least share of all wrong answers, for which a pair of classes is named as confused."""
STILL_FALLING = 0.05
"""Relative fall of the loss, from the last tenth but one to the last tenth, that calls for more steps. An assumption."""
LEARNED = 0.005
"""Loss in nats a token below which a further fall says nothing: every token has 99.5 % already. An assumption."""

BLOCKING = {
    "answer_cut": "raise evaluate.max_new_tokens or leave it out",
    "prompt_too_long": "shorten the documents, or take a base with a longer context",
    "forbidden_answer": "train on rows that show what to do instead, or take the harm out of the training rows",
}
"""Findings of the tuned arm that forbid a deploy, and what to do: its numbers tell of the limits of the measurement, or an answer
does what none may do."""

OF_TASK = ("proportion", "mean", "macro_f1", "micro_f1")
"""Kinds of score that a task's metrics have."""

Verdict = Literal["deploy", "iterate", "abort"]


def refusals(
    manifest: Manifest, arms: Mapping[str, EvalReport], validation: Mapping[str, EvalReport]
) -> Iterator[Finding]:
    """Why the evidence cannot be used at all. Few-shot prompts differ from the tuned model's by what they are."""
    for found in manifest.findings:
        if found.level == "error":
            yield Finding(id=f"refused_{found.id}", message=f"the data: {found.message}", next_action=found.hint)
    tuned = arms["tuned"]
    for name, arm in arms.items():
        reason = unlike(tuned, arm)
        if reason:
            yield Finding(id="refused_comparison", message=reason, next_action="measure all arms again in one run")
        elif name == "base-zero" and arm.prompt_hash != tuned.prompt_hash:
            message = f"tuned and base-zero were asked with different prompts ({tuned.prompt_hash[:8]} and {arm.prompt_hash[:8]})"
            yield Finding(id="refused_prompt", message=message, next_action="measure both arms again in one run")
    if tuned.seen_before and not tuned.n:
        message = (
            f"all {len(tuned.seen_before):,} test rows were trained on by an earlier run, which the base grew out of"
        )
        yield Finding(id="refused_leak", message=message, next_action="measure on rows that no run has seen")
    for side, reports in (("test", [tuned]), ("validation", [*validation.values()])):
        for report in reports:
            if side not in manifest.sides or manifest.sides[side].sha256 != report.test_hash:
                message = f"{report.arm} was not measured on the {side} rows of this run ({report.test_hash[:8]})"
                yield Finding(id="refused_rows", message=message, next_action="measure all arms again in one run")


def of_leaks(tuned: EvalReport) -> Iterator[Finding]:
    """Test rows that are no evidence."""
    if tuned.seen_before:
        known, rows = len(tuned.seen_before), tuned.n + len(tuned.seen_before)
        yield Finding(
            id="leaked_rows",
            message=f"{known:,} of {rows:,} test rows trained an earlier run; the verdict rests on the other {tuned.n:,}",
        )


def of_forbidden(tuned: EvalReport, reasons: Iterable[str]) -> Iterator[Finding]:
    """Answers that no model may give that is deployed. reasons: the task's words for them."""
    for reason in reasons:
        found = {item.id: item.faults()[reason] for item in tuned.items if reason in item.faults()}
        if found:
            answers = sum(item.samples for item in tuned.items)
            yield Finding(
                id="forbidden_answer",
                message=f"{reason}: {sum(found.values()):,} of {answers:,} answers, the first to row {next(iter(found))}",
                next_action=BLOCKING["forbidden_answer"],
            )


def of_gates(gates: Iterable[GateResult], n: int) -> Iterator[Finding]:
    """Each gate that does not hold: not measured, cannot be decided, or decided against."""
    for gate in gates:
        if gate.held:
            continue
        if gate.measured is None:
            message = f"{gate.text}: not measured, so it does not hold"
            yield Finding(
                id="not_measured", message=message, next_action=f"make {gate.metric} measurable or drop the gate"
            )
        elif gate.decidable:
            message = f"{gate.text}: missed with {gate.measured:.3g}"
            yield Finding(
                id="gate_missed", message=message, next_action="more or better training rows, or a larger base"
            )
        elif gate.rows_needed:
            message = (
                f"{gate.text}: cannot be decided with {n:,} rows ({gate.measured:.3g}); "
                f"{gate.rows_needed:,} would do if the rates stay"
            )
            yield Finding(id="undecided", message=message, next_action=f"{gate.rows_needed:,} test rows would decide")
        else:
            message = (
                f"{gate.text}: cannot be decided with {n:,} rows ({gate.measured:.3g}); "
                f"{stats.MOST_ROWS:,} would not do either if the rates stay"
            )
            yield Finding(id="undecided", message=message)


def of_thin_classes(tuned: EvalReport, gates: Iterable[GateResult]) -> Iterator[Finding]:
    """Macro F1s that are gated and rest on classes with a few rows each: their intervals do not hold what they say."""
    gated = {gate.metric for gate in gates}
    for score in tuned.scores:
        if score.kind != "macro_f1" or score.metric not in gated:
            continue
        few, classes = pooled.thin_classes([item.counts.get(score.metric, {}) for item in tuned.items])
        if 2 * few > classes:
            message = (
                f"{score.metric}: {few:,} of {classes:,} classes have fewer than {pooled.FEW_A_CLASS} in the test rows; "
                "its interval is narrower than it says"
            )
            yield Finding(id="thin_classes", message=message, next_action="more test rows of the rare classes")


def of_answers(tuned: EvalReport) -> Iterator[Finding]:
    """What the tuned arm's own report says against it: answers cut, rows not asked, values not measured."""
    for found in tuned.findings:
        yield Finding(id=found.id, message=found.message, next_action=BLOCKING.get(found.id))
    cut = tuned.finish.get("length", 0)
    if cut:
        limit = f" (at most {tuned.max_new_tokens:,} tokens)" if tuned.max_new_tokens else ""
        answers = sum(tuned.finish.values())
        message = f"{cut:,} of {answers:,} answers ({cut / answers:.1%}) were cut at their limit{limit}"
        yield Finding(
            id="cut_off",
            message=message,
            next_action="raise evaluate.max_new_tokens, or train longer: it does not stop",
        )
    for score in tuned.scores:
        if score.value is not None and score.not_measured and score.kind in OF_TASK:
            message = f"{score.metric} could not be measured on {score.not_measured:,} of {tuned.n:,} items"
            yield Finding(id="partly_measured", message=message)
    if tuned.reasons:
        reason, count = next(iter(sorted(tuned.reasons.items(), key=lambda pair: (-pair[1], pair[0]))))
        wrong = sum(tuned.reasons.values())
        yield Finding(
            id="common_fault",
            message=f"most frequent fault: {reason}, in {count:,} of {wrong:,} answers that are not right",
        )


def of_confusion(tuned: EvalReport) -> Iterator[Finding]:
    """The two classes that are most often taken for each other, where that is a good part of what is wrong."""
    pairs = {
        (gold, said): count
        for gold, row in tuned.confusion.items()
        for said, count in row.items()
        if said not in ("", gold)
    }
    if not pairs:
        return
    (gold, said), count = max(pairs.items(), key=lambda pair: (pair[1], pair[0]))
    wrong = sum(count for row in tuned.confusion.values() for count in row.values()) - sum(
        row.get(gold, 0) for gold, row in tuned.confusion.items()
    )
    if count >= SEVERAL and count / wrong >= GOOD_PART:
        message = f"{gold} was taken for {said} in {count:,} of {wrong:,} wrong answers"
        yield Finding(id="confused", message=message, next_action=f"more training rows that tell {gold} from {said}")


def of_rule(difference: PairedDifference | None, rule: EvalReport | None, higher_is_better: bool) -> Iterator[Finding]:
    """A rule without a model that does it better, or as well."""
    if difference is None or rule is None or difference.low is None or difference.high is None:
        return
    low, high = (difference.low, difference.high) if higher_is_better else (-difference.high, -difference.low)
    numbers = f"{difference.metric}: tuned minus rule {difference.difference:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
    name = rule.chosen or rule.arm
    if high < 0:
        yield Finding(
            id="rule_wins",
            message=f"the rule {name} needs no model and does it better ({numbers})",
            next_action=f"use the rule {name}, or give the model what the rule cannot do",
        )
    elif low <= 0:
        yield Finding(id="rule_not_beaten", message=f"the rule {name} needs no model and may do it as well ({numbers})")


def of_slices(tuned: EvalReport, primary: Score, trained: SideCount | None) -> Iterator[Finding]:
    """Slices in which the primary metric is decidedly weaker than over all items, and how many training rows are like that."""
    if primary.value is None:
        return
    for key, groups in tuned.slices.items():
        found = {value: _of(scores, primary.metric) for value, scores in groups.items()}
        weak = [
            (value, score)
            for value, score in found.items()
            if score and score.value is not None and score.n >= ENOUGH and _weaker(score, primary)
        ]
        for value, score in sorted(weak, key=lambda pair: pair[1].value or 0.0)[:3]:
            message = (
                f"{primary.metric} is {score.value:.2f} [{score.low:.2f}, {score.high:.2f}] where {key} is {value} "
                f"({score.n:,} items), {primary.value:.2f} over all{_alike(trained, key, value)}"
            )
            yield Finding(id="weak_slice", message=message, next_action=f"more training rows where {key} is {value}")


def _alike(trained: SideCount | None, key: str, value: str) -> str:
    """`; 12 of 440 training rows are like that`; empty where they were not counted."""
    if trained is None or value not in trained.slices.get(key, {}):
        return ""
    return f"; {trained.slices[key][value]:,} of {trained.given():,} training rows are like that"


def _of(scores: Sequence[Score], metric: str) -> Score | None:
    return next((score for score in scores if score.metric == metric), None)


def _weaker(score: Score, whole: Score) -> bool:
    """Whether a slice's interval lies wholly on the bad side of the value over all items."""
    if score.low is None or score.high is None or whole.value is None:
        return False
    return score.high < whole.value if whole.higher_is_better else score.low > whole.value


def worse_slices(
    tuned: EvalReport, base: EvalReport, metric: str, alpha: float, higher_is_better: bool
) -> Iterator[Finding]:
    """Slices in which a yes/no metric fell against the base: exact McNemar in each, Holm over all slices of all keys."""
    before = {item.id: item.values.get(metric) for item in base.items}
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for item in tuned.items:
        now, then = item.values.get(metric), before.get(item.id)
        if now is None or then is None or now == then:
            continue
        better = (now > then) == higher_is_better
        for key in tuned.slices:
            place = (key, item.meta.get(key, ""))
            wins, losses = counts.get(place, (0, 0))
            counts[place] = (wins + better, losses + (not better))
    places = sorted(counts)
    adjusted = stats.holm([stats.mcnemar(*counts[place]) for place in places])
    for (key, value), p_value in zip(places, adjusted, strict=True):
        wins, losses = counts[key, value]
        if losses > wins and p_value < alpha:
            message = f"training made {metric} worse where {key} is {value}: {losses:,} items lost, {wins:,} won (p {p_value:.2g})"
            yield Finding(
                id="worse_slice", message=message, next_action=f"look at the training rows where {key} is {value}"
            )


def _collapsed(train: TrainResult) -> Iterator[Finding]:
    """Answers that said nothing any more, after the weights that were kept."""
    late = [one for one in train.validations if one.collapse and one.step > (train.chosen_step or 0)]
    if late:
        message = f"the answers collapsed while training: at step {late[0].step:,} {late[0].collapse}"
        yield Finding(id="answers_collapsed", message=message, next_action="lower train.learning_rate")


def of_training(train: TrainResult | None, losses: Sequence[float]) -> Iterator[Finding]:
    """What the loss curve says. losses: one a step, in order."""
    if train is None:
        return
    yield from _collapsed(train)
    tenth = len(losses) // 10
    # Where earlier weights answered better, a loss that still fell is no reason to go on.
    if tenth >= 2 and train.chosen_step in (None, train.num_steps):
        before = sum(losses[-2 * tenth : -tenth]) / tenth
        last = sum(losses[-tenth:]) / tenth
        if before > LEARNED and (before - last) / before > STILL_FALLING:
            message = f"the loss still fell at the end: {before:.3f} to {last:.3f} over the last fifth of {len(losses):,} steps"
            yield Finding(id="still_falling", message=message, next_action="train more epochs")
    if train.first_loss is not None and train.last_loss is not None and train.last_loss >= train.first_loss:
        message = f"the loss did not fall: {train.first_loss:.3f} at the first step, {train.last_loss:.3f} at the end"
        yield Finding(id="nothing_learned", message=message, next_action="try another learning rate")


def of_looks(decision_looks: int, confidence: float) -> Iterator[Finding]:
    """What repeated looks at the same test rows have cost."""
    if decision_looks > 1:
        message = f"look {decision_looks} at these test rows: every bound is held at {confidence:.2%} confidence to pay for it"
        yield Finding(id="looks", message=message, next_action="measure the final candidate on fresh test rows")


def of_forecasts(forecasts: Mapping[str, Mapping[str, Json]]) -> Iterator[Finding]:
    """Forecasts that did not come true."""
    for metric, forecast in forecasts.items():
        if forecast["inside"] is False:
            low, high = forecast["expected"]
            message = f"{metric} was expected within {low:g} and {high:g} and came out at {forecast['measured']:.3g}"
            yield Finding(id="forecast_missed", message=message)
