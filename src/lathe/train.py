"""Stage: the training rows as tokens, the job as values, and whichever trainer the recipe names.

Reads data/train.jsonl, writes train/tokens.safetensors, train/adapter/, and train/result.json last.
"""

from __future__ import annotations

import time
from pathlib import Path

from lathe import plugins
from lathe.contracts import Progress
from lathe.errors import Unavailable
from lathe.records import LockedRecipe, TrainJob, TrainResult
from lathe.runs import RunFolder
from lathe.text import tokenizer
from lathe.text.tokens import TokenSet, of_file


def train(run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress) -> TrainResult:
    """Trains, or continues what was begun for the same inputs.

    Raises DataError where there is nothing to train on, InputError on rows that are too long, Unavailable where the trainer's
    packages are missing, and what `contracts.Trainer.train` raises.
    """
    recipe = locked.recipe
    trainer = plugins.load("trainers", recipe.trainer)
    ability = trainer.ability()
    if not ability.ok:
        raise Unavailable(f"trainer {recipe.trainer}: {ability.detail}", hint=ability.remedy)
    begun = time.monotonic()
    tokens = _encode(run, locked, progress)
    result = trainer.train(job(run, locked, inputs), progress)
    record = result.model_copy(
        update={"inputs": inputs, "seconds": time.monotonic() - begun, "truncated_rows": tokens.truncated_rows}
    )
    run.commit(run.train_result, record)
    return record


def job(run: RunFolder, locked: LockedRecipe, inputs: str) -> TrainJob:
    """The recipe's training part as a trainer takes it."""
    recipe = locked.recipe
    return TrainJob(
        base_folder=locked.base_folder,
        tokens_path=str(run.tokens.resolve()),
        out_folder=str(run.train.resolve()),
        method=recipe.method.model_dump(mode="json"),
        train=recipe.train.model_dump(mode="json"),
        seed=recipe.seed,
        job_hash=inputs,
    )


def _encode(run: RunFolder, locked: LockedRecipe, progress: Progress) -> TokenSet:
    """The training rows in run.tokens, where the plan may have left them."""

    def told(done: int, total: int) -> None:
        progress({"stage": "train", "part": "encode", "done": done, "total": total, "unit": "row"})

    tok = tokenizer.load(Path(locked.base_folder))
    return of_file(tok, run.rows("train"), run.tokens, locked.recipe.train, told)
