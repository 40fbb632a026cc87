"""What each stage of the chain does: run, locked recipe, the hash of its inputs and who listens in; its record out, written last.

Stages never import one another. What one of them needs of another is handed to it here: training is measured by the evaluation's
own code, a shipped file of other weights answers the test rows again, and what a run reached makes the next plan's estimate.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lathe.garbage import seldom_collected
from lathe.processes import load_ahead, rank

if TYPE_CHECKING:
    from lathe.contracts import Progress
    from lathe.records import (
        Bundle,
        Decision,
        DoctorReport,
        EvalReport,
        LockedRecipe,
        Manifest,
        Plan,
        ReportRecord,
        Side,
        TrainResult,
    )
    from lathe.records.teacher import TeachRecord
    from lathe.runs import RunFolder


def doctor(run: RunFolder, locked: LockedRecipe, inputs: str, _: Progress) -> DoctorReport:
    """Is what the recipe asks for here?"""
    from lathe import doctor

    recipe = locked.recipe
    optimiser = () if recipe.train.optimiser == "adamw" else (recipe.train.optimiser,)
    grammar = ("grammar",) if recipe.evaluate.constrained else ()
    report = doctor.examine((recipe.trainer, recipe.method.kind, *optimiser, *grammar, *recipe.ship), inputs)
    run.commit(run.doctor, report)
    return report


def teach(run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress) -> TeachRecord:
    """Rows of the recipe's teacher."""
    from lathe.data import teaching

    return teaching.teach(run, locked, inputs, progress)


@seldom_collected()
def prepare(run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress) -> Manifest:
    """The rows, read, split and proved."""
    from lathe.data import stage

    return stage.prepare(run, locked, inputs, progress)


@seldom_collected()
def plan(run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress) -> Plan:
    """What training will take."""
    from lathe import plan

    return plan.plan(run, locked, inputs, progress)


def train(run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress) -> TrainResult:
    """Measured on the way by the evaluation's own code; the rate that was reached is kept for the next plan."""
    from lathe import evaluate, plan, train

    _load_ahead(run)
    validates = locked.recipe.train.validate_.every is not None
    measure = evaluate.measure_of(run, locked) if validates else None
    result = train.train(run, locked, inputs, progress, measure, rehearse=run.is_smoke)
    if not run.is_smoke:  # ten small steps say nothing of the speed of a long run
        plan.remember_rate(run, locked, result)
    return result


def evaluate(
    run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress, *, arm: str, side: Side
) -> EvalReport:
    """One arm on one side of the split; the rate at which the tuned model answered is kept for the next plan."""
    from lathe import evaluate, plan

    _load_ahead(run)
    report = evaluate.evaluate(run, locked, arm, side, inputs, progress)
    rate = report.score("tokens_per_second")
    if arm == "tuned" and rate is not None and rate.value:
        plan.remember_answers(locked, rate.value)
    return report


def decide(run: RunFolder, locked: LockedRecipe, inputs: str, _: Progress, *, looks: int) -> Decision:
    """What was measured against the gates. looks: how often the test set was looked at, this time included."""
    from lathe import decide

    return decide.decide(run, locked, inputs, looks)


def ship(run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress) -> Bundle:
    """The shipped files; one of other weights than the measured ones answers the test rows again and is judged again."""
    from lathe import decide, evaluate, ship

    again = ship.Again(
        measure=lambda arm, model: evaluate.evaluate(
            run,
            locked,
            arm,
            "test",
            inputs,
            progress,
            runtime="llama_cpp" if model.gguf_file else "native",
            model=model,
        ),
        judge=lambda report: decide.judge_again(run, locked, report),
    )
    return ship.ship(run, locked, inputs, progress, again)


def report(run: RunFolder, locked: LockedRecipe, inputs: str, _: Progress) -> ReportRecord:
    """The chain as a page and as a model card."""
    from lathe import report

    return report.report(run, locked, inputs)


def _load_ahead(run: RunFolder) -> None:
    """Where others are planned to share steps or answers, what they need is loaded while this process loads the same."""
    from lathe.records import Plan

    planned = run.load(run.plan, Plan) if run.plan.is_file() else None
    shares_steps = planned is not None and planned.processes_here > 1 and rank(os.environ) is None
    if shares_steps or (planned is not None and planned.answer_processes > 1):
        load_ahead("lathe.engine.helpers")
