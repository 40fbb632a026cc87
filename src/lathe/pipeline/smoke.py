"""The smallest real run of a recipe: `--smoke`."""

from __future__ import annotations

from lathe.records import Recipe, ValidateSpec
from lathe.resolve.meaning import CORPUS_PREFIX


def smoke_recipe(recipe: Recipe) -> Recipe:
    """The same recipe on some thirty training rows and ten steps: every stage runs, and training goes on from a checkpoint
    half-way. A small share of forty rows would leave nothing to test on, so the sides get shares of their own."""
    split = recipe.data.split.model_copy(update={"validation": 0.1, "test": 0.15})
    generated = (recipe.data.source or "").startswith(CORPUS_PREFIX)
    rows = 40 if generated else recipe.data.rows
    return recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"limit": 40, "rows": rows, "split": split}),
            "teacher": recipe.teacher
            and recipe.teacher.model_copy(update={"rows": min(recipe.teacher.rows or 40, 40)}),
            "train": recipe.train.model_copy(
                update={
                    "epochs": 100.0,
                    "max_steps": 10,
                    "examples_per_step": 2,
                    "checkpoint_every": 5,
                    "validate_": _smoke_validation(recipe.train.validate_),
                }
            ),
            "evaluate": recipe.evaluate.model_copy(update={"few_shot": min(recipe.evaluate.few_shot, 1)}),
        }
    )


def _smoke_validation(asked: ValidateSpec) -> ValidateSpec:
    """Validations half-way and at the end, where the recipe has any; none of them ends the training."""
    if asked.every is None:
        return asked
    return asked.model_copy(update={"every": 5, "patience": None, "stop_on_collapse": False})
