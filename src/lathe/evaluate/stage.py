"""The shell of the evaluate stage: reads rows, gets answers, scores them, and commits the report last."""

from __future__ import annotations

import time
from pathlib import Path

from lathe import plugins
from lathe.contracts import Model, Progress, Task, silent
from lathe.errors import InputError
from lathe.evaluate import aggregate
from lathe.evaluate.answers import (
    CONSTRAINED,
    MODEL_ARMS,
    Answers,
    Measurement,
    ask_model,
    ask_rule,
    following,
    read_answers,
)
from lathe.evaluate.forms import Forms, forms_of
from lathe.evaluate.rows import Rows, read
from lathe.records import Arm, EvalReport, LockedRecipe, Side
from lathe.runs import RunFolder, stage_inputs
from lathe.storage import committed
from lathe.text import tokenizer


def evaluate(
    run: RunFolder,
    locked: LockedRecipe,
    arm: Arm,
    side: Side,
    inputs: str,
    progress: Progress,
    runtime: str = "native",
    model: Model | None = None,
) -> EvalReport:
    """Measures one arm on one side of the split and commits its report. model: an exported file, with an arm's name of its own.

    Answers that an interrupted call left behind are kept, as long as model, prompts and limits are the same.
    Raises InputError on an unknown arm or missing rows, Unavailable where the runtime's packages are missing.
    """
    started = time.monotonic()
    task = plugins.load("tasks", locked.recipe.task)
    rows = read(run)
    can_hold = arm != "rule" and plugins.load("runtimes", runtime).holds_to_form
    held = locked.recipe.evaluate.constrained and can_hold
    forms = _forms(locked, task, rows, side) if held else Forms()
    asking = Measurement(run, locked, task, rows, arm, side, progress, runtime, model, forms)
    if arm == "rule":
        answers = ask_rule(asking)
    elif arm in MODEL_ARMS or model is not None:
        answers = ask_model(asking)
    else:
        raise InputError(f"there is no arm {arm!r}", hint=f"The arms are: {', '.join((*MODEL_ARMS, 'rule'))}.")
    return _commit(asking, answers, inputs, started)


def evaluate_constrained(run: RunFolder, locked: LockedRecipe, arm: Arm, progress: Progress) -> EvalReport:
    """Measures a model's arm once more on the test rows, with each answer held to the form of the right one while it is written.

    The arm is named ARM-constrained: the same prompts, limits and scorer as of ARM, which must be measured. What is done already is
    not done again. Raises InputError where ARM was held to its form too, where the task has no form or a right answer is not of it,
    and Unavailable without the package.
    """
    started = time.monotonic()
    if locked.recipe.evaluate.constrained:
        raise InputError(
            "all answers of this run are held to their form",
            hint="Run the recipe once more with --set evaluate.constrained=false, and compare the two: lathe compare RUN OTHER.",
        )
    free = run.load(run.eval_report(arm), EvalReport)
    inputs = stage_inputs({"free": free.inputs, **following(Forms())})
    done = run.done(run.eval_report(f"{arm}{CONSTRAINED}"), EvalReport, inputs)
    if done is not None:
        return done
    task, rows = plugins.load("tasks", locked.recipe.task), read(run)
    forms = _forms(locked, task, rows, "test")
    asking = Measurement(run, locked, task, rows, arm, "test", progress, forms=forms, suffix=CONSTRAINED)
    return _commit(asking, ask_model(asking), inputs, started)


def _forms(locked: LockedRecipe, task: Task, rows: Rows, side: Side) -> Forms:
    return forms_of(locked.recipe.task, task, rows, side, tokenizer.load(Path(locked.base_folder)))


def regrade(run: RunFolder, locked: LockedRecipe, arm: Arm, side: Side, inputs: str) -> EvalReport:
    """Scores the saved answers of an arm again, without any model, and commits the new report.

    Raises InputError where the arm was not measured or its answers do not cover the rows.
    """
    started = time.monotonic()
    task = plugins.load("tasks", locked.recipe.task)
    old = run.load(run.eval_report(arm, side), EvalReport)
    answers = Answers(
        predictions=read_answers(run.predictions(arm, side), old.samples),
        samples=old.samples,
        temperature=old.temperature,
        precision=old.precision,
        constrained=old.constrained,
        prompt_hash=old.prompt_hash,
        chosen=old.chosen,
        few_shot_ids=old.few_shot_ids,
        max_new_tokens=old.max_new_tokens,
        peak_bytes=old.peak_bytes,
        findings=old.findings,
    )
    return _commit(Measurement(run, locked, task, read(run), arm, side, silent), answers, inputs, started)


def _commit(asked: Measurement, answers: Answers, inputs: str, started: float) -> EvalReport:
    """Scores the answers and writes the report."""
    examples, task = asked.examples, asked.task
    wanted = [(example.id, sample) for sample in range(answers.samples) for example in examples]
    missing = [id for id, sample in wanted if (id, sample) not in answers.predictions]
    if missing:
        raise InputError(
            f"{asked.run.predictions(asked.name, asked.side)} lacks {len(missing)} of {len(wanted)} answers ({missing[0]})",
            hint=f"Delete {asked.run.eval_report(asked.name, asked.side)} and run the same command: they are made again.",
        )
    predictions = [answers.predictions[place] for place in wanted]
    passes = [
        aggregate.items(task, asked.rows.setup, examples, [answers.predictions[one.id, sample] for one in examples])
        for sample in range(answers.samples)
    ]
    scored = aggregate.over_samples(passes)
    confidence = asked.locked.recipe.evaluate.confidence
    known = set(asked.rows.manifest.seen_before) if asked.side == "test" else set()
    clean = [item for item in scored if item.id not in known]
    report = EvalReport(
        inputs=inputs,
        arm=asked.name,
        side=asked.side,
        test_hash=asked.rows.manifest.sides[asked.side].sha256,
        prompt_hash=answers.prompt_hash,
        scorer=f"{asked.locked.recipe.task}@{task.version}",
        n=len(examples),
        scores=aggregate.scores(task.metrics, scored, answers.peak_bytes, confidence),
        slices=aggregate.slices(task.metrics, task.slices, scored, confidence),
        samples=answers.samples,
        temperature=answers.temperature,
        precision=answers.precision,
        constrained=answers.constrained,
        spread=aggregate.spread(task.metrics, passes, confidence),
        finish=aggregate.finishes(predictions),
        reasons=aggregate.reasons(scored),
        confusion=aggregate.confusion([answer for one in passes for answer in one]),
        peak_bytes=answers.peak_bytes,
        new_tokens=sum(prediction.new_tokens for prediction in predictions),
        items=tuple(scored),
        seen_before=tuple(item.id for item in scored if item.id in known),
        clean_scores=aggregate.scores(task.metrics, clean, answers.peak_bytes, confidence) if known else (),
        chosen=answers.chosen,
        few_shot_ids=answers.few_shot_ids,
        max_new_tokens=answers.max_new_tokens,
        findings=answers.findings,
        seconds=time.monotonic() - started,
    )
    answered = [(example, answers.predictions[example.id, 0].text) for example in examples]
    for name, pieces in task.files.items():
        with committed(asked.run.answers(name, asked.name, asked.side)) as file:
            file.writelines(piece.encode() for piece in pieces(answered))
    asked.run.commit(asked.run.eval_report(asked.name, asked.side), report)
    return report
