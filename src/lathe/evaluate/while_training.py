"""What measures weights while they are trained: a slice of the validation rows, asked and scored as every arm is."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from lathe import plugins
from lathe.contracts import GenerateSettings, Measure, Model, Told
from lathe.errors import InputError
from lathe.evaluate import aggregate, prompts
from lathe.evaluate.answers import foreseen, held, lengths_of
from lathe.evaluate.forms import forms_of
from lathe.evaluate.rows import read
from lathe.records import LockedRecipe, Prediction, Validation
from lathe.runs import RunFolder
from lathe.schedule.validating import slice_of
from lathe.text import render, tokenizer


def measure_of(run: RunFolder, locked: LockedRecipe) -> Measure:
    """Prompts, limits and scorer of the tuned arm, for the slice that `train.validate` names.

    Raises InputError where there are no validation rows.
    """
    recipe = locked.recipe
    task, rows = plugins.load("tasks", recipe.task), read(run)
    places = slice_of(len(rows.sides["validation"]), recipe.train.validate_.rows)
    if not places:
        raise InputError(
            "train.validate asks for answers to validation rows, and there are none",
            hint="Raise data.split.validation, name data.validation, or leave train.validate out.",
        )
    tok = tokenizer.load(Path(locked.base_folder))
    lengths = lengths_of(tok, rows, task, recipe.evaluate.max_new_tokens)
    examples = [rows.sides["validation"][place] for place in places]
    gold = [lengths.gold["validation"][place] for place in places]
    asked = prompts.ask(examples, (), gold, partial(render.prompts, tok), lengths.limits, tok.max_tokens)
    asked = foreseen(asked, task, rows.setup, examples)
    if recipe.evaluate.constrained:
        asked = held(asked, forms_of(recipe.task, task, rows, "validation", tok))
    settings = GenerateSettings(recipe.evaluate.token_budget, recipe.train.threads, tok.stop_ids)
    metric = next(metric for metric in task.metrics if metric.name == task.primary)

    def measure(folder: Path, step: int, told: Told) -> Validation:
        began = time.perf_counter()
        answers = {id: Prediction(id=id, text="", finish="none") for id in asked.unasked}
        session = plugins.load("runtimes", "native").open(Model.of(locked, folder), settings.threads)
        try:
            for done, prediction in enumerate(session.generate(asked.requests, settings), start=1):
                answers[prediction.id] = prediction
                told(done, len(asked.requests))
        finally:
            session.close()
        predictions = [answers[example.id] for example in examples]
        scored = aggregate.items(task, rows.setup, examples, predictions)
        written = [prediction for prediction in predictions if prediction.finish != "none"]
        return Validation(
            step=step,
            score=aggregate.metric_score(metric, scored, recipe.evaluate.confidence),
            answers=len(written),
            empty=sum(not prediction.text.strip() for prediction in written),
            cut=sum(prediction.finish == "length" for prediction in written),
            new_tokens=sum(prediction.new_tokens for prediction in written),
            seconds=time.perf_counter() - began,
        )

    return measure
