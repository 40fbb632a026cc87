"""The shell of the probes: reads the run, measures, and commits the probe's report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lathe import plugins
from lathe.contracts import Metric, Progress, Task
from lathe.errors import InputError
from lathe.evaluate import aggregate, rows
from lathe.evaluate.probes import adversarial, comparing, execute, judge, labels
from lathe.evaluate.probes.measured import NO_FILES, Asked, Files, Judge, Measured
from lathe.records import Arm, EvalReport, LockedRecipe
from lathe.runs import RunFolder


@dataclass(frozen=True)
class Probe:
    """answers: the kind of answers that a task must have for it; arms: those that it is for."""

    answers: str
    arms: tuple[Arm, ...]
    metrics: tuple[Metric, ...]
    measure: Callable[[Asked], Measured]


MODELS = ("tuned", "base-zero")
PROBES = {
    "execute": Probe("command", ("tuned", "rule", "base-few", "base-zero"), execute.METRICS, execute.execute),
    "labels": Probe("label", MODELS, labels.METRICS, labels.score_labels),
    "adversarial": Probe("command", MODELS, adversarial.METRICS, adversarial.ask_for_harm),
    "judge": Probe("text", MODELS, comparing.METRICS, judge.ask_judge),
}
NAMES = tuple(PROBES)


def probe(
    run: RunFolder,
    locked: LockedRecipe,
    name: str,
    arm: Arm,
    progress: Progress,
    files: Files = NO_FILES,
    judging: Judge | None = None,
) -> EvalReport:
    """Measures one arm by one probe and commits eval/ARM/report.NAME.json; what was measured before is kept.

    Raises InputError where the task has other answers, or the arm was not measured.
    """
    started = time.monotonic()
    task = plugins.load("tasks", locked.recipe.task)
    wanted, metrics = PROBES[name].answers, PROBES[name].metrics
    if task.answers != wanted:
        fitting = [other for other, one in PROBES.items() if one.answers == task.answers]
        fitting += [*(["constrained"] if type(task).form is not Task.form else []), "general"]
        raise InputError(
            f"the probe {name} is for tasks whose answers are a {wanted}; those of {locked.recipe.task} are {task.answers}",
            hint=f"Probes for this task: {', '.join(fitting)}.",
        )
    measured = run.load(run.eval_report(arm), EvalReport)
    found = PROBES[name].measure(Asked(run, locked, task, rows.read(run), arm, progress, files, judging))
    confidence = locked.recipe.evaluate.confidence
    # Where the probe is about the same rows, what the arm reached without it stands in front.
    on_rows = {item.id for item in found.items} & {item.id for item in measured.items}
    reached = [score] if on_rows and (score := measured.score(task.primary)) else []
    report = measured.model_copy(
        update={
            "scores": (
                *reached,
                *(aggregate.metric_score(one, found.items, confidence) for one in metrics),
                *found.more,
            ),
            "slices": aggregate.slices(metrics, task.slices, found.items, confidence),
            "reasons": aggregate.reasons(found.items),
            "items": tuple(found.items),
            "n": len(found.items),
            "finish": {},
            "confusion": {},
            "findings": tuple(found.findings),
            "seconds": time.monotonic() - started,
        }
    )
    run.commit(run.eval_report(arm, name), report)
    return report
