"""Stage: the training rows as tokens, the job as values, and whichever trainer the recipe names.

Reads data/train.jsonl, writes train/tokens.safetensors, train/adapter/, and train/result.json last. `doubt` asks the tuned model
afterwards which of its own rows it finds hard, and writes train/doubts.json.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lathe import plugins, processes
from lathe.contracts import Ability, Measure, Model, Progress, Trainer, Validates
from lathe.errors import InputError, Unavailable
from lathe.records import Example, LockedRecipe, TrainJob, TrainResult
from lathe.records.results import Doubt, Doubts
from lathe.runs import RunFolder
from lathe.storage import read_rows
from lathe.text import tokenizer
from lathe.text.tokens import TokenSet, of_file

MOST_DOUBTED = 4000
"""Rows that the tuned model is asked about; of more, so many evenly spread ones."""
WORST = 50
SHOWN_CHARACTERS = 200


class _Dropped(Exception):
    """A rehearsed training was let go on purpose."""


def train(
    run: RunFolder,
    locked: LockedRecipe,
    inputs: str,
    progress: Progress,
    measure: Measure | None = None,
    *,
    rehearse: bool = False,
) -> TrainResult:
    """Trains, or continues what was begun for the same inputs.

    measure: for a recipe with `train.validate`. rehearse: drop the training at the step after its first checkpoint and continue
    from what is on disk, as after a power cut.

    Raises DataError where there is nothing to train on, InputError on rows that are too long and on a trainer that cannot measure
    its weights, Unavailable where the trainer's packages are missing, and what `contracts.Trainer.train` raises.
    """
    recipe = locked.recipe
    trainer = plugins.load("trainers", recipe.trainer)
    ability = plugins.held(trainer, trainer.ability(), Ability)
    if not ability.ok:
        raise Unavailable(f"trainer {recipe.trainer}: {ability.detail}", hint=ability.remedy)
    rank = processes.rank(os.environ)
    if rank is not None and not trainer.shares_steps:
        raise InputError(
            f"torchrun started {rank.count} processes, and trainer {recipe.trainer} trains in one",
            hint="Set trainer: native, or start lathe without torchrun.",
        )
    work = _work(trainer, recipe.trainer, job(run, locked, inputs), measure)
    begun = time.monotonic()
    tokens = _encode(run, locked, progress)
    if rehearse:
        _drop_after_checkpoint(work, recipe.train.checkpoint_every, progress)
    result = plugins.held(trainer, work(progress), TrainResult)
    record = result.model_copy(
        update={"inputs": inputs, "seconds": time.monotonic() - begun, "truncated_rows": tokens.truncated_rows}
    )
    run.commit(run.train_result, record)
    return record


def _work(trainer: Trainer, name: str, job: TrainJob, measure: Measure | None) -> Callable[[Progress], TrainResult]:
    """What the trainer does with the job, as a function of who listens."""
    if measure is None:
        return lambda progress: trainer.train(job, progress)
    if not isinstance(trainer, Validates):
        raise InputError(
            f"trainer {name} cannot answer validation rows while it trains",
            hint="Set trainer: native, or leave train.validate out.",
        )
    return lambda progress: trainer.train_validated(job, measure, progress)


def _drop_after_checkpoint(
    work: Callable[[Progress], TrainResult], checkpoint_every: int | None, progress: Progress
) -> None:
    """Trains until the first checkpoint lies behind, then leaves everything where it is."""

    def until_dropped(numbers: Mapping[str, Any]) -> None:
        progress(numbers)
        if checkpoint_every and numbers.get("unit") == "step" and numbers["done"] > checkpoint_every:
            raise _Dropped

    with contextlib.suppress(_Dropped):
        work(until_dropped)


def job(run: RunFolder, locked: LockedRecipe, inputs: str) -> TrainJob:
    """The recipe's training part as a trainer takes it."""
    recipe = locked.recipe
    return TrainJob(
        base_folder=locked.base_folder,
        tokens_path=str(run.tokens.resolve()),
        out_folder=str(run.train.resolve()),
        method=recipe.method.model_dump(mode="json"),
        train=recipe.train.model_dump(mode="json", by_alias=True),
        seed=recipe.seed,
        job_hash=inputs,
    )


def doubt(run: RunFolder, locked: LockedRecipe, inputs: str, hide: Callable[[str], str], progress: Progress) -> Doubts:
    """Ranks training rows by the tuned model's own loss on their answers, and commits the hardest.

    hide: takes secrets out of a text. Raises InputError where the run is not trained, Unavailable where torch is missing.
    """
    begun = time.monotonic()
    run.load(run.train_result, TrainResult)
    ability = plugins.load("runtimes", "native").ability()
    if not ability.ok:
        raise Unavailable(f"the tuned model cannot be asked: {ability.detail}", hint=ability.remedy)
    from lathe.engine.row_losses import row_losses

    tokens = _encode(run, locked, progress)
    path = run.rows("train")
    examples = [example for example in read_rows(path, Example) if not example.made_of]  # they stand first
    chosen = np.linspace(0, len(examples) - 1, min(MOST_DOUBTED, len(examples))).round().astype(int).tolist()
    losses = row_losses(
        Model.of(locked, run.adapter),
        tokens,
        chosen,
        token_budget=locked.recipe.train.token_budget,
        threads=locked.recipe.train.threads,
        progress=lambda done, total: progress({"stage": "doubt", "done": done, "total": total, "unit": "row"}),
    )
    record = Doubts(
        inputs=inputs,
        rows=len(chosen),
        of=len(examples),
        median=float(np.nanmedian(losses)),
        worst=tuple(
            Doubt(
                place=f"{path.name}:{chosen[row] + 1}",
                id=examples[chosen[row]].id,
                text=hide(examples[chosen[row]].input)[:SHOWN_CHARACTERS],
                given=hide(examples[chosen[row]].completion)[:SHOWN_CHARACTERS],
                loss=float(losses[row]),
            )
            for row in np.argsort(-losses, kind="stable")[:WORST].tolist()
            if np.isfinite(losses[row])
        ),
        seconds=time.monotonic() - begun,
    )
    run.commit(run.doubts, record)
    return record


def _encode(run: RunFolder, locked: LockedRecipe, progress: Progress) -> TokenSet:
    """The training rows in run.tokens, where the plan may have left them."""

    def told(done: int, total: int) -> None:
        progress({"stage": "train", "part": "encode", "done": done, "total": total, "unit": "row"})

    tok = tokenizer.load(Path(locked.base_folder))
    return of_file(tok, run.rows("train"), run.tokens, locked.recipe.train, told)
