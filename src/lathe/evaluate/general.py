"""A model's arm on tasks that it was not tuned for, asked by lm-eval: an arm of its own, ARM-general, like any other.

A metric `arc_easy acc` is the task's and the package's name for it. What is no mean over items (a perplexity, an F1 over the set)
cannot be paired item by item: it is left out, and named.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from lathe.contracts import Metric, Model, Progress
from lathe.engine import harness
from lathe.engine.harness import TaskItems, Tasks
from lathe.errors import InputError
from lathe.evaluate import aggregate
from lathe.records import Arm, DataFinding, EvalReport, ItemScore, LockedRecipe, digest
from lathe.runs import RunFolder, stage_inputs
from lathe.storage import file_sha256

GENERAL = "-general"
PROPORTIONS = {"acc", "acc_norm", "exact_match", "em"}
"""Metrics of lm-eval that are yes or no for each item; all others are means of any numbers."""
CLOSE = 1e-6


def evaluate_general(run: RunFolder, locked: LockedRecipe, arm: Arm, tasks: Tasks, progress: Progress) -> EvalReport:
    """Asks one arm's model and commits the report of ARM-general; what is done already is not done again.

    Raises Unavailable without the package, InputError where a task cannot be asked or nothing of it can be compared.
    """
    started = time.monotonic()
    name = f"{arm}{GENERAL}"
    inputs = stage_inputs(
        {
            "arm": run.load(run.eval_report(arm), EvalReport).inputs,
            "package": harness.version(),
            "tasks": [list(tasks.names), tasks.limit],
            "files": [file_sha256(path) for path in sorted(tasks.folder.rglob("*")) if path.is_file()]
            if tasks.folder
            else [],
        }
    )
    done = run.done(run.eval_report(name), EvalReport, inputs)
    if done is not None:
        return done
    model = Model.of(locked, run.adapter if arm == "tuned" else None)
    found = harness.measure(
        model,
        tasks,
        locked.recipe.train.threads,
        lambda: progress({"stage": arm, "done": 0, "total": len(tasks.names), "unit": "task"}),
    )
    metrics, left_out = comparable(found)
    if not metrics:
        raise InputError(
            f"no metric of {', '.join(tasks.names)} is a mean over items: {', '.join(left_out)}",
            hint="Name tasks with acc, acc_norm or exact_match.",
        )
    items = item_scores(found, metrics)
    report = EvalReport(
        inputs=inputs,
        arm=name,
        test_hash=digest([[task, item["hash"]] for task, one in found.items() for item in one.items]),
        prompt_hash=digest([item["prompt"] for one in found.values() for item in one.items]),
        scorer=harness.version(),
        n=len(items),
        precision=model.precision,
        scores=tuple(
            aggregate.metric_score(metric, items, locked.recipe.evaluate.confidence) for metric in metrics.values()
        ),
        items=tuple(items),
        findings=tuple(_left_out(left_out)),
        seconds=time.monotonic() - started,
    )
    run.commit(run.eval_report(name), report)
    return report


def comparable(found: Mapping[str, TaskItems]) -> tuple[dict[tuple[str, str, str], Metric], list[str]]:
    """Metrics by (task, metric, filter) whose figure is the mean of their items' numbers; and the names of all others."""
    metrics, left_out = {}, []
    for task, one in found.items():
        values: dict[tuple[str, str], list[object]] = defaultdict(list)
        for item in one.items:
            for metric, value in item["values"].items():
                values[metric, item["filter"]].append(value)
        for (metric, filtered), each in values.items():
            name = _name(task, metric, filtered)
            numbers = [float(value) for value in each if isinstance(value, int | float) and math.isfinite(value)]
            figure = one.results.get(f"{metric},{filtered}")
            if figure is None or len(numbers) < len(each) or abs(sum(numbers) / len(numbers) - figure) > CLOSE:
                left_out.append(name)
                continue
            metrics[task, metric, filtered] = Metric(
                name,
                f"{metric} of lm-eval's task {task}.",
                "proportion" if metric in PROPORTIONS and set(numbers) <= {0.0, 1.0} else "mean",
                bool(one.higher_is_better.get(metric, True)),
            )
    return metrics, left_out


def item_scores(found: Mapping[str, TaskItems], metrics: Mapping[tuple[str, str, str], Metric]) -> list[ItemScore]:
    """An item for each row of each task, with the values of its own metrics."""
    values: dict[tuple[str, int], dict[str, float | None]] = defaultdict(dict)
    for task, one in found.items():
        for item in one.items:
            for metric, value in item["values"].items():
                if known := metrics.get((task, metric, item["filter"])):
                    values[task, item["id"]][known.name] = float(value)
    return [
        ItemScore(id=f"{task}/{id}", values=each, meta={"task": task}) for (task, id), each in sorted(values.items())
    ]


def _name(task: str, metric: str, filtered: str) -> str:
    return f"{task} {metric}" + ("" if filtered == "none" else f" ({filtered})")


def _left_out(names: Sequence[str]) -> list[DataFinding]:
    if not names:
        return []
    message = f"no mean over items, so that they are not compared: {', '.join(names)}"
    return [DataFinding(id="no_mean", level="info", message=message, count=len(names))]
