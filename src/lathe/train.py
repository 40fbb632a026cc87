"""Stage: the training rows as tokens, the job as values, and whichever trainer the recipe names.

Reads data/train.jsonl, writes train/tokens.safetensors, train/adapter/, and train/result.json last.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lathe import plugins
from lathe.contracts import Progress, Trainer
from lathe.errors import Unavailable
from lathe.records import LockedRecipe, TrainJob, TrainResult
from lathe.runs import RunFolder
from lathe.text import tokenizer
from lathe.text.tokens import TokenSet, of_file


class _Dropped(Exception):
    """A rehearsed training was let go on purpose."""


def train(
    run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress, *, rehearse: bool = False
) -> TrainResult:
    """Trains, or continues what was begun for the same inputs.

    rehearse: drop the training at the step after its first checkpoint and continue from what is on disk, as after a power cut.

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
    if rehearse:
        _drop_after_checkpoint(trainer, job(run, locked, inputs), recipe.train.checkpoint_every, progress)
    result = trainer.train(job(run, locked, inputs), progress)
    record = result.model_copy(
        update={"inputs": inputs, "seconds": time.monotonic() - begun, "truncated_rows": tokens.truncated_rows}
    )
    run.commit(run.train_result, record)
    return record


def _drop_after_checkpoint(trainer: Trainer, job: TrainJob, checkpoint_every: int | None, progress: Progress) -> None:
    """Trains until the first checkpoint lies behind, then leaves everything where it is."""

    def until_dropped(numbers: Mapping[str, Any]) -> None:
        progress(numbers)
        if checkpoint_every and numbers.get("unit") == "step" and numbers["done"] > checkpoint_every:
            raise _Dropped

    with contextlib.suppress(_Dropped):
        trainer.train(job, until_dropped)


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
