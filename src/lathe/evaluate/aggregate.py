"""From answers to numbers: every item's scores, then each metric with its interval, its slices and its counts.

A value that could not be measured is None. It is counted apart and is never taken for zero. Intervals here are for reading:
Wilson for yes/no metrics, bootstrap for means; gates are held against the more careful bounds of `lathe.decide`.

Several answers to one item succeed and fail together. So they are one number, their mean, before any interval is made: n counts
items, and a yes/no metric is a mean of numbers from 0 to 1. Its interval is the one for judging, since a bootstrap of items that
are all right, or all wrong, has no width.
"""

from __future__ import annotations

import hashlib
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from lathe import stats
from lathe.contracts import Metric, Task
from lathe.evaluate.verdicts import judged
from lathe.records import Example, ItemScore, Prediction, SampleSpread, Score, TaskSetup
from lathe.stats import pooled

NOT_STATED = "unstated"
"""Slice value of an item whose meta does not say; so the slices of a key always add up to n."""
NO_ANSWER = "no answer"
NO_CLASS = ""
"""In a confusion, the answer of no class."""


@dataclass(frozen=True)
class Quantity:
    """Something measured for each item, whatever the task is."""

    name: str
    kind: Literal["proportion", "amount"]
    definition: str


QUANTITIES = (
    Quantity("truncated_share", "proportion", "1 where the answer was cut at the limit on new tokens."),
    Quantity("latency_seconds", "amount", "Wall seconds for the answer: its share of the batch that it was made in."),
    Quantity("new_tokens", "amount", "Tokens of the answer."),
)
"""Lower is better for each of them."""


def items(
    task: Task, setup: TaskSetup, examples: Sequence[Example], predictions: Sequence[Prediction]
) -> list[ItemScore]:
    """Every answer judged. predictions: in the order of the examples. An item without an answer is wrong, not missing."""
    return [_item(task, setup, *pair) for pair in zip(examples, predictions, strict=True)]


def _item(task: Task, setup: TaskSetup, example: Example, prediction: Prediction) -> ItemScore:
    verdict = judged(task, setup, example, prediction.text)
    answered = prediction.finish != "none"
    values = dict(verdict.values) | {
        "truncated_share": float(prediction.finish == "length"),
        "latency_seconds": prediction.seconds if answered else None,
        "new_tokens": float(prediction.new_tokens) if answered else None,
    }
    reason = verdict.reason if answered else NO_ANSWER
    counts = {metric: dict(by_class) for metric, by_class in verdict.counts.items()}
    return ItemScore(
        id=example.id, values=values, reason=reason, meta=example.meta, document=document_of(example), counts=counts
    )


def over_samples(passes: Sequence[Sequence[ItemScore]]) -> list[ItemScore]:
    """Every item once. passes: the first answers to all items, then the second ones, ..., each in the order of the items."""
    if len(passes) == 1:
        return list(passes[0])
    return [_mean_item(answers) for answers in zip(*passes, strict=True)]


def _mean_item(answers: Sequence[ItemScore]) -> ItemScore:
    counted = dict.fromkeys(metric for one in answers for metric in one.counts)
    shown = next((number for number, one in enumerate(answers) if one.reason), 0)
    return answers[0].model_copy(
        update={
            "values": {name: _over(statistics.fmean, answers, name) for name in answers[0].values},
            "counts": {metric: _summed(answers, metric) for metric in counted},
            "samples": len(answers),
            "sample": shown,
            "reason": answers[shown].reason,
            "reasons": reasons(answers),
        }
    )


def _over(pooling: Callable[[Iterable[float]], float], answers: Sequence[ItemScore], name: str) -> float | None:
    """One number of the values that were measured; None where none was."""
    measured = [value for one in answers if (value := one.values.get(name)) is not None]
    return pooling(measured) if measured else None


def _summed(answers: Sequence[ItemScore], metric: str) -> dict[str, tuple[int, int, int]]:
    found: dict[str, tuple[int, int, int]] = {}
    for one in answers:
        for name, (matched, gold, said) in one.counts.get(metric, {}).items():
            before = found.get(name, (0, 0, 0))
            found[name] = (before[0] + matched, before[1] + gold, before[2] + said)
    return found


def spread(
    metrics: Sequence[Metric], passes: Sequence[Sequence[ItemScore]], confidence: float
) -> tuple[SampleSpread, ...]:
    """How the answers to one item differ; nothing where each has one. An F1 over the set has no part in it."""
    if len(passes) == 1:
        return ()
    return tuple(_spread(metric, passes, confidence) for metric in metrics if not pooled.is_pooled(metric.kind))


def _spread(metric: Metric, passes: Sequence[Sequence[ItemScore]], confidence: float) -> SampleSpread:
    values = [_over(statistics.fmean, one, metric.name) for one in passes]
    known = [value for value in values if value is not None]

    def share(pooling: Callable[[Iterable[float]], float]) -> Score | None:
        if metric.kind != "proportion":
            return None
        of_item = [
            answers[0].model_copy(update={"values": {metric.name: _over(pooling, answers, metric.name)}})
            for answers in zip(*passes, strict=True)
        ]
        return metric_score(metric, of_item, confidence)

    return SampleSpread(
        metric=metric.name,
        values=tuple(values),
        standard_deviation=statistics.stdev(known) if len(known) > 1 else None,
        in_any=share(max),
        in_all=share(min),
    )


def document_of(example: Example) -> str:
    """What tells items of one document: a short hash of the input."""
    return hashlib.sha256(example.input.encode()).hexdigest()[:16]


def scores(
    metrics: Sequence[Metric], scored: Sequence[ItemScore], peak_bytes: int | None, confidence: float
) -> tuple[Score, ...]:
    """All numbers of an arm: the task's metrics, then what every arm is measured by."""
    return (
        *(metric_score(metric, scored, confidence) for metric in metrics),
        *(_score(q.name, q.kind, False, scored, confidence) for q in QUANTITIES),
        _tokens_per_second(scored, confidence),
        _single("peak_bytes", peak_bytes),
    )


def metric_score(metric: Metric, scored: Sequence[ItemScore], confidence: float) -> Score:
    """One metric of the task over a set of items."""
    if pooled.is_pooled(metric.kind):
        return _pooled(metric.name, metric.kind, scored, confidence)
    return _score(metric.name, metric.kind, metric.higher_is_better, scored, confidence)


def _score(
    name: str,
    kind: Literal["proportion", "mean", "amount"],
    higher_is_better: bool,
    scored: Sequence[ItemScore],
    confidence: float,
) -> Score:
    found = [(value, item.origin()) for item in scored if (value := item.values.get(name)) is not None]
    measured, origins = [value for value, _ in found], [origin for _, origin in found]
    n = len(measured)
    if kind == "proportion" and any(item.samples > 1 for item in scored):
        kind = "mean"
        bounds, method = _bounds_of_rates(measured, origins, confidence)
    else:
        bounds, method = _bounds(kind, measured, origins, confidence)
    return Score(
        metric=name,
        value=sum(measured) / n if n else None,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        n=n,
        not_measured=len(scored) - n,
        method=method,
        kind=kind,
        higher_is_better=higher_is_better,
    )


def _pooled(name: str, kind: pooled.Average, scored: Sequence[ItemScore], confidence: float) -> Score:
    """An F1 over the set: items without counts of it were not measured."""
    counts = [item.counts[name] for item in scored if name in item.counts]
    found = pooled.score(counts, kind, confidence) if counts else None
    bounds = found.bounds if found else None
    return Score(
        metric=name,
        value=found.value if found else None,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        n=len(counts),
        not_measured=len(scored) - len(counts),
        method="bootstrap" if bounds else "",
        kind=kind,
    )


def _bounds(
    kind: str, measured: Sequence[float], origins: Sequence[str], confidence: float
) -> tuple[stats.Bounds | None, str]:
    """The interval and its method; a few numbers say too little about the mean of many. Items of one document go together."""
    if kind == "proportion" and measured:
        each = stats.design_effect(measured, origins, confidence)
        return stats.wilson(sum(measured) / each, len(measured) / each, confidence), "wilson"
    found = stats.bootstrap_clustered(measured, origins, confidence)
    if found and found.low == found.high and kind == "mean" and 0 <= found.low <= 1:
        # 31 perfect scores show no spread and do not prove perfection; each document counts once.
        return stats.bounded_mean([found.low] * len(set(origins)), confidence), "bounded mean"
    return (stats.Bounds(found.low, found.high), "bootstrap") if found else (None, "")


def _bounds_of_rates(
    measured: Sequence[float], origins: Sequence[str], confidence: float
) -> tuple[stats.Bounds | None, str]:
    """The same for shares of each item's answers."""
    return (stats.bounded_mean_clustered(measured, origins, confidence), "bounded mean") if measured else (None, "")


def _tokens_per_second(scored: Sequence[ItemScore], confidence: float) -> Score:
    """New tokens of all answers over the seconds of all answers; not measured where no token was made."""
    pairs = [(item.values.get("new_tokens"), item.values.get("latency_seconds")) for item in scored]
    measured = [(tokens, seconds) for tokens, seconds in pairs if tokens and seconds]
    n, missing = len(measured), len(pairs) - len(measured)
    if not n:
        return Score(metric="tokens_per_second", value=None, n=0, not_measured=missing, kind="ratio")
    tokens, seconds = zip(*measured, strict=True)
    low, high = stats.bootstrap_ratio(tokens, seconds, confidence) if n >= stats.FEWEST else (None, None)
    return Score(
        metric="tokens_per_second", value=sum(tokens) / sum(seconds), low=low, high=high, n=n, not_measured=missing,
        method="bootstrap" if n >= stats.FEWEST else "", kind="ratio",
    )  # fmt: skip


def _single(name: str, value: float | None) -> Score:
    known = value is not None
    return Score(
        metric=name, value=value, n=int(known), not_measured=int(not known), kind="single", higher_is_better=False
    )


def slices(
    metrics: Sequence[Metric], keys: Sequence[str], scored: Sequence[ItemScore], confidence: float
) -> dict[str, dict[str, tuple[Score, ...]]]:
    """The task's metrics by each slice key and value."""
    return {key: _slice(metrics, key, scored, confidence) for key in keys}


def _slice(
    metrics: Sequence[Metric], key: str, scored: Sequence[ItemScore], confidence: float
) -> dict[str, tuple[Score, ...]]:
    groups: dict[str, list[ItemScore]] = defaultdict(list)
    for item in scored:
        groups[item.meta.get(key, NOT_STATED)].append(item)
    return {
        value: tuple(metric_score(metric, group, confidence) for metric in metrics)
        for value, group in sorted(groups.items())
    }


def finishes(predictions: Sequence[Prediction]) -> dict[str, int]:
    """How the answers ended: stop, length, none -> answers."""
    return dict(sorted(Counter(prediction.finish for prediction in predictions).items()))


def reasons(scored: Sequence[ItemScore]) -> dict[str, int]:
    """Why answers are not right -> answers, the most frequent first."""
    found = Counter[str]()
    for item in scored:
        found.update(item.faults())
    return dict(found.most_common())


def confusion(scored: Sequence[ItemScore]) -> dict[str, dict[str, int]]:
    """What was taken for what: gold class -> class that was said -> answers. Empty where items have no class, or more than one.

    scored: each an answer of its own.
    """
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for item in scored:
        for by_class in item.counts.values():
            gold = [name for name, counts in by_class.items() for _ in range(counts[1])]
            said = [name for name, counts in by_class.items() for _ in range(counts[2])]
            if len(item.counts) > 1 or len(gold) != 1 or len(said) > 1:
                return {}
            found[gold[0]][said[0] if said else NO_CLASS] += 1
    return {gold: dict(sorted(found[gold].items())) for gold in sorted(found)}
