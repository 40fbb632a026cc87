"""Rules that need no model: fitted on the training rows, the best one chosen before the test rows are seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lathe.contracts import Metric, Task
from lathe.evaluate.verdicts import judged
from lathe.records import Example, TaskSetup

Rule = Callable[[Example], str]


@dataclass(frozen=True)
class Chosen:
    """The best rule and its name."""

    name: str
    rule: Rule


def choose(task: Task, setup: TaskSetup, train: Sequence[Example], judged_on: Sequence[Example]) -> Chosen:
    """Fits every baseline of the task on `train` and takes the one whose primary metric is best on `judged_on`.

    judged_on: the validation rows, or the training rows where nothing was kept for validation. Equals: the one declared first.
    """
    metric = next(metric for metric in task.metrics if metric.name == task.primary)
    fitted = [Chosen(baseline.name, baseline.fit(train, setup)) for baseline in task.baselines]
    return max(fitted, key=lambda chosen: _mean(task, metric, setup, chosen.rule, judged_on))


def _mean(task: Task, metric: Metric, setup: TaskSetup, rule: Rule, examples: Sequence[Example]) -> float:
    """The mean of the metric, upside down where lower is better; values that are not measured are left out."""
    values = [judged(task, setup, example, rule(example)).values[metric.name] for example in examples]
    measured = [value for value in values if value is not None]
    mean = sum(measured) / len(measured) if measured else float("-inf")
    return mean if metric.higher_is_better else -mean
