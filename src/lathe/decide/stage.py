"""The shell of the decide stage: reads records, lets `judge` decide, commits the decision."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path

from lathe import plugins
from lathe.decide.verdict import BASES, Evidence, judge
from lathe.records import Decision, EvalReport, LockedRecipe, Manifest, Plan, TrainResult
from lathe.runs import RunFolder


def decide(run: RunFolder, locked: LockedRecipe, inputs: str, looks: int) -> Decision:
    """Holds what was measured against the gates and commits the decision.

    looks: how often these test rows have been looked at, this time included. Raises InputError where an arm that is needed was not
    measured: the tuned one, the base, the rule where the task has one, and every arm that a gate names.
    """
    started = time.monotonic()
    decision = judge(locked.recipe, evidence(run, locked), primary(locked), looks, inputs)
    decision = decision.model_copy(update={"seconds": time.monotonic() - started})
    run.commit(run.decision, decision)
    return decision


def judge_again(run: RunFolder, locked: LockedRecipe, report: EvalReport) -> Decision:
    """The decision that another report in the tuned arm's place would have led to; nothing is written, no look is counted."""
    decided = run.load(run.decision, Decision)
    found = evidence(run, locked)
    changed = dataclasses.replace(found, arms={**found.arms, "tuned": report.clean()})
    return judge(locked.recipe, changed, primary(locked), decided.looks, decided.inputs)


def primary(locked: LockedRecipe) -> str:
    """The metric that the verdict line shows."""
    return plugins.load("tasks", locked.recipe.task).primary


def evidence(run: RunFolder, locked: LockedRecipe) -> Evidence:
    """All that the verdict rests on, read from the run."""
    recipe = locked.recipe
    task = plugins.load("tasks", recipe.task)
    needed = ["tuned", "base-zero", *(["base-few"] if recipe.evaluate.few_shot else [])]
    needed += ["rule"] if task.baselines else []
    named = [gate.better_than for gate in recipe.gates if gate.better_than not in (None, "base")]
    arms = {arm: run.load(run.eval_report(arm), EvalReport) for arm in dict.fromkeys([*needed, *filter(None, named)])}
    held_out = {arm: run.eval_report(arm, "validation") for arm in BASES if arm in arms}
    return Evidence(
        arms={arm: report.clean() for arm, report in arms.items()},
        manifest=run.load(run.manifest, Manifest),
        validation={arm: run.load(path, EvalReport) for arm, path in held_out.items() if path.is_file()},
        plan=run.load(run.plan, Plan) if run.plan.is_file() else None,
        train=run.load(run.train_result, TrainResult) if run.train_result.is_file() else None,
        losses=tuple(_losses(run.metrics)),
        forbidden=task.forbidden,
    )


def _losses(path: Path) -> Iterator[float]:
    """The loss of every step in train/metrics.jsonl; a torn last line is left out."""
    for line in path.read_text(encoding="utf-8").split("\n") if path.is_file() else ():
        try:
            yield float(json.loads(line)["loss"])
        except (ValueError, KeyError, TypeError):
            continue
