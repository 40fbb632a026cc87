"""What a task says of one answer, held to its metrics before any number is made of it.

    judged(task, setup, example, "...").values    -> {"json_exact": 1.0, "field_f1": 1.0, ...}

A task of another package may say anything: NaN would be a mean, 2 a share of 200 %, and a metric that it forgot would look like one
that could not be measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from lathe import plugins
from lathe.contracts import ItemVerdict, Metric, Task
from lathe.errors import BrokenPlugin
from lathe.records import Example, TaskSetup
from lathe.stats import pooled


def judged(task: Task, setup: TaskSetup, example: Example, text: str) -> ItemVerdict:
    """One answer judged. Raises BrokenPlugin where the verdict is none that the task's metrics allow."""
    verdict = plugins.held(task, task.score(example, text, setup), ItemVerdict)
    problem = _problem(task, verdict)
    if problem:
        raise BrokenPlugin(
            f"{plugins.who(task)} scored the row {example.id}: {problem}", hint="Mend its method `score`."
        )
    return verdict


def _problem(task: Task, verdict: ItemVerdict) -> str:
    metrics = {metric.name: metric for metric in task.metrics}
    if verdict.values.keys() != metrics.keys():
        wrong = ", ".join(sorted(verdict.values.keys() ^ metrics.keys()))
        return f"it has {', '.join(metrics)} as metrics, and its verdict differs in {wrong}"
    if not isinstance(verdict.reason, str):
        return f"the reason is {verdict.reason!r:.60}, expected a text, empty where the answer is right"
    problems = (_of_metric(metric, verdict) for metric in task.metrics)
    return next(filter(None, problems), "")


def _of_metric(metric: Metric, verdict: ItemVerdict) -> str:
    value = verdict.values[metric.name]
    if value is None:
        return ""
    said = f"{metric.name} is {value!r:.60}"
    if not _is_number(value):
        return f"{said}, expected a finite number, or None where it was not measured"
    if metric.kind == "proportion" and value not in (0, 1):
        return f"{said}, expected 0 or 1, which a metric of the kind proportion is for each item"
    if pooled.is_pooled(metric.kind) and not _are_counts(verdict.counts.get(metric.name)):
        return f"{said}, expected counts beside it, class -> (matched, gold, said): a {metric.kind} is made of them"
    return ""


def _is_number(value: object) -> bool:
    try:
        return not isinstance(value, str) and math.isfinite(value)  # type: ignore[arg-type]
    except TypeError:
        return False


def _are_counts(by_class: Mapping[str, tuple[int, int, int]] | None) -> bool:
    return by_class is not None and all(len(one) == 3 and 0 <= one[0] <= min(one[1:]) for one in by_class.values())
