"""The report: one HTML file with everything in it, made from a Story. Pure: story in, text out.

No script, no network: the page's policy allows one style sheet, by its hash, and nothing else. Text of rows and answers is
escaped by the template, and control characters are made visible before that.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from lathe.records import Interval, ItemScore, ValidationPlan
from lathe.report import data_section, diff, faults, figures, form_effect, samples, svg
from lathe.report.story import ARM_TITLES, Story
from lathe.safe_text import redact, visible

MOST_FAILURES = 20
MOST_SLICES = 30

MEANING = {
    "deploy": "Every gate holds on its judged bound.",
    "iterate": "The evidence is sound, but not every gate holds, or this many items cannot tell.",
    "abort": "The evidence is refused, or nothing that is gated is better than its baselines.",
}


def page(story: Story, secrets: Collection[str] = ()) -> str:
    """The whole report as text. secrets: values that must not appear in it."""
    style = _resource("page.css")
    style_hash = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = _environment(tuple(secrets)).from_string(_resource("page.html.j2"))
    return template.render(
        story=story,
        style=Markup(style),
        style_hash=style_hash,
        meaning=MEANING.get(story.decision.verdict, "") if story.decision else "",
        line=verdict_line(story),
        arms_picture=arms_picture(story),
        metric_groups=metric_groups(story),
        differences_picture=differences_picture(story),
        loss_picture=svg.curve("Loss by step", story.losses, "optimiser step", "nats per supervised token"),
        validation_picture=validation_picture(story),
        slices=list(slices(story)),
        reasons_picture=reasons_picture(story),
        failures=[failure(story, item, secrets) for item in chosen(story)],
        num_failed=len(story.failed()),
        faults=_faults(story),
        classes=_classes(story),
        masked=data_section.shown(story.masked, secrets),
        plan_rows=list(plan_rows(story)),
        machine_rows=list(machine_rows(story)),
        arm_titles=ARM_TITLES,
        form_rows=list(form_effect.rows(story.form_effect)) if story.form_effect else [],
        form_words=form_effect.words,
        drawn={arm: said for arm, one in story.arms.items() if (said := samples.over_samples(one, story.primary))},
        held=[ARM_TITLES.get(arm, arm) for arm, one in story.arms.items() if one.constrained],
        one_seed=samples.ONE_SEED,
    )


def _resource(name: str) -> str:
    return files("lathe.report").joinpath(name).read_text(encoding="utf-8")


def _environment(secrets: tuple[str, ...]) -> Environment:
    """Jinja with escaping on; every string that is not a picture of ours loses secrets and control characters first."""

    def clean(value: Any) -> Any:
        return visible(redact(value, secrets)) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        autoescape=True, finalize=clean, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    for name in (
        "count",
        "counted",
        "seconds",
        "size",
        "score",
        "bounds",
        "signed",
        "p_value",
        "plain",
        "short_hash",
        "percent",
    ):
        environment.filters[name] = getattr(figures, name)
    environment.globals.update(quantity=figures.quantity, quantity_bounds=figures.quantity_bounds)
    return environment


# ------------------------------------------------------------------------------------------ verdict and arms


def verdict_line(story: Story) -> str:
    """The decision's line without the word that stands above it in large letters."""
    if story.decision is None:
        return ""
    return story.decision.line.removeprefix(story.decision.verdict.upper()).strip()


def _scored(label: str, score: Any, strong: bool) -> svg.Whisker:
    if score is None:
        return svg.Whisker(label, None)
    note = figures.estimated(score)
    return svg.Whisker(label, score.value, score.low, score.high, note, strong)


def metric_groups(story: Story) -> list[tuple[str, list[str]]]:
    """The measured metrics under two headings: what the task says about the answers, and what the answers cost."""
    names = list(dict.fromkeys(score.metric for report in story.arms.values() for score in report.scores))
    answers = [name for name in names if name in story.metrics] or names
    groups = [("answers", answers), ("running", [name for name in names if name not in answers])]
    return [(title, metrics) for title, metrics in groups if metrics]


def arms_picture(story: Story) -> Markup:
    """The primary metric of every arm with its interval, and the limits of the gates on it."""
    rows = [_scored(ARM_TITLES.get(arm, arm), story.score(arm), arm == "tuned") for arm in story.arms]
    marks = [
        svg.Mark(limit, f"gate {figures.score(limit)}")
        for gate in story.locked.recipe.gates
        if gate.metric == story.primary
        and (limit := gate.at_least if gate.at_least is not None else gate.at_most) is not None
    ]
    return svg.whiskers(f"{story.primary} of each arm", rows, marks) if rows else Markup("")


def differences_picture(story: Story) -> Markup:
    """What tuning gained over each arm, on the same items."""
    rows = []
    for difference in story.decision.differences if story.decision else ():
        if difference.metric != story.primary:
            continue
        label = f"{ARM_TITLES.get(difference.first, difference.first)} − {ARM_TITLES.get(difference.second, difference.second)}"
        note = figures.gained(difference.difference, difference)
        rows.append(svg.Whisker(label, difference.difference, difference.low, difference.high, note, True))
    return svg.whiskers("Paired differences", rows, zero=True) if rows else Markup("")


@dataclass(frozen=True)
class SliceView:
    """One key by which results are cut, as a picture. left_out: values beyond MOST_SLICES, the best ones."""

    key: str
    picture: Markup
    left_out: int


def slices(story: Story) -> Iterator[SliceView]:
    """The tuned arm by every slice key, worst first."""
    tuned = story.arms.get("tuned")
    if tuned is None:
        return
    for key, values in tuned.slices.items():
        found = []
        for value, scores in values.items():
            score = next((s for s in scores if s.metric == story.primary), None)
            if score is not None:
                found.append((value, score))
        found.sort(key=lambda pair: (pair[1].value if pair[1].value is not None else 2.0, pair[0]))
        rows = []
        for value, score in found[:MOST_SLICES]:
            note = f"{figures.score(score.value)} {figures.bounds(score)} · {score.n}"
            rows.append(svg.Whisker(diff.cut(value, 34), score.value, score.low, score.high, note))
        if rows:
            yield SliceView(key, svg.whiskers(f"{story.primary} by {key}", rows), max(0, len(found) - MOST_SLICES))


# ------------------------------------------------------------------------------------------ failures


@dataclass(frozen=True)
class FailureView:
    """One item that went wrong, ready to be shown."""

    id: str
    reason: str
    meta: dict[str, str]
    question: str
    answer: str
    finish: str
    score: float | None
    difference: diff.AnswerDiff


def reasons_picture(story: Story) -> Markup:
    """Why answers were wrong, most frequent first."""
    tuned = story.arms.get("tuned")
    reasons = sorted((tuned.reasons if tuned else {}).items(), key=lambda pair: (-pair[1], pair[0]))
    return (
        svg.bars("Reasons of failure", [(diff.cut(name, 36), n) for name, n in reasons[:12]]) if reasons else Markup("")
    )


def _classes(story: Story) -> dict[str, list[faults.ClassRow]]:
    """The classes of every metric of the tuned arm that averages over classes."""
    tuned = story.arms.get("tuned")
    averaged = [score.metric for score in tuned.scores if score.kind == "macro_f1"] if tuned else []
    return faults.by_class(tuned.items, averaged) if tuned else {}


def _faults(story: Story) -> dict[str, list[faults.Row]]:
    """The tuned model's failures by every slice key."""
    tuned, manifest = story.arms.get("tuned"), story.manifest
    if tuned is None:
        return {}
    return faults.by_slice(
        tuned.items, story.failed(), list(tuned.slices), manifest.sides.get("train") if manifest else None
    )


def chosen(story: Story) -> list[ItemScore]:
    """Up to twenty failed items: one of each reason in turn, in the order of the test file, so that no reason goes unseen."""
    by_reason: dict[str, list[ItemScore]] = {}
    for item in story.failed():
        by_reason.setdefault(item.reason, []).append(item)
    queues = sorted(by_reason.values(), key=len, reverse=True)
    turns = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(turns) for queue in queues if turn < len(queue)][:MOST_FAILURES]


def failure(story: Story, item: ItemScore, secrets: Collection[str]) -> FailureView:
    """A failed item with its difference. Secrets go before the texts are compared: a cut could split one in two."""
    example, prediction = story.examples.get(item.id), story.predictions.get(item.id)
    answer = redact(prediction.text if prediction else "", secrets)
    target = example.target if example else None
    return FailureView(
        id=item.id,
        reason=item.reason or "wrong",
        meta=item.meta,
        question=diff.cut(redact(example.input if example else "", secrets), 4000),
        answer=diff.cut(answer, 4000),
        finish=prediction.finish if prediction else "none",
        score=item.values.get(story.primary),
        difference=diff.compare(target, redact(example.completion if example else "", secrets), answer),
    )


# ------------------------------------------------------------------------------------------ training


def validation_picture(story: Story) -> Markup:
    """The primary metric on validation rows over the steps of the loss curve, the weights that were kept in strong."""
    train = story.train
    if train is None or not train.validations:
        return Markup("")
    points = [
        svg.Measured(one.step, one.score.value, one.score.low, one.score.high, one.step == train.chosen_step)
        for one in train.validations
        if one.score.value is not None
    ]
    ends = (story.losses[0][0], story.losses[-1][0]) if story.losses else (1, train.num_steps)
    metric = train.validations[0].score.metric
    return svg.measurements(f"{metric} on validation rows by step", points, ends, "optimiser step", metric)


# ------------------------------------------------------------------------------------------ plan and machine


@dataclass(frozen=True)
class PlanRow:
    """One planned quantity beside its measurement. kind: exact must be equal; estimate must lie within its ends."""

    name: str
    planned: str
    measured: str
    held: bool
    remark: str


def plan_rows(story: Story) -> Iterator[PlanRow]:
    """Everything that was both planned and measured. A plan is about all steps; a training that ended early did less."""
    plan, train = story.plan, story.train
    if plan is None or train is None:
        return
    ended = train.stop != "done"
    exact = [
        ("trainable parameters", plan.parameters.trainable, train.trainable_parameters),
        ("optimiser steps", plan.schedule.num_steps, train.num_steps),
        ("tokens of the rows", plan.schedule.num_tokens, train.num_tokens),
        ("tokens with loss", plan.schedule.num_supervised, train.num_supervised),
    ]
    if plan.schedule.num_computed is not None and train.num_computed is not None:
        exact.append(("tokens computed", plan.schedule.num_computed, train.num_computed))
    if plan.validation is not None:
        exact.append(("validations", plan.validation.times, len(train.validations)))
    for name, planned, measured in exact:
        less = ended and measured < planned
        remark = "exact" if measured == planned else f"{measured - planned:+,}" + (", ended early" if less else "")
        yield PlanRow(name, figures.count(planned), figures.count(measured), measured == planned or less, remark)
    estimates: list[tuple[str, Interval, float, Callable[[float], str]]] = [
        ("peak memory", plan.measurable_bytes, train.peak_bytes, figures.size)
    ]
    if plan.train_seconds is not None and not ended:
        estimates.append(("training time", plan.train_seconds, train.train_seconds, figures.seconds))
    if plan.validation is not None:
        yield _validation_tokens(plan.validation, sum(one.new_tokens for one in train.validations))
        if plan.validation.seconds is not None and not ended:
            taken = sum(one.seconds for one in train.validations)
            estimates.append(("validation time", plan.validation.seconds, taken, figures.seconds))
    for name, interval, found, words in estimates:
        planned_words = f"{words(interval.value)}  ({words(interval.low)} to {words(interval.high)})"
        held = interval.low <= found <= interval.high
        off = f", {found / interval.value - 1:+.0%}" if interval.value else ""
        yield PlanRow(name, planned_words, words(found), held, ("within" if held else "outside") + off)


def _validation_tokens(planned: ValidationPlan, written: int) -> PlanRow:
    """Tokens of the answers to validation rows; a model that is not right writes more or less than the right ones."""
    held = written <= planned.most_tokens
    words = f"{figures.count(planned.right_tokens)}  (at most {figures.count(planned.most_tokens)})"
    return PlanRow("tokens of validation answers", words, figures.count(written), held, "within" if held else "outside")


def machine_rows(story: Story) -> Iterator[tuple[str, str]]:
    """The machine as found, in words."""
    for name, value in (story.doctor.machine if story.doctor else {}).items():
        if name.endswith("_bytes") and isinstance(value, (int, float)):
            yield name.removesuffix("_bytes").replace("_", " "), figures.size(value)
        elif isinstance(value, (list, tuple)):
            yield name.replace("_", " "), ", ".join(str(part) for part in value) or "none"
        elif value is not None:
            yield name.replace("_", " "), str(value)
