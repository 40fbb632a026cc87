"""Kills a small training stage with SIGKILL at seeded moments and looks at what the same call then ends with.

    python bench/kill_sweep.py --points 20 --seed 0

A moment is one of the stage's file operations or optimiser steps, counted in an undisturbed run. At each point the stage is
killed there, started again, killed a second time at another moment where it comes so far, and started once more. It counts as
held when the adapter's bytes and each step's loss equal those of the undisturbed run and nothing half-written is left.
Prints one line a point and the figure; exits 1 where one point is lost. Some two seconds a point: the processes are forked
after torch was imported.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from lathe.contracts import Measure, Told
from lathe.engine import loop
from lathe.evaluate import measure_of
from lathe.records import (
    DataSpec,
    LockedRecipe,
    Manifest,
    Method,
    Recipe,
    SideCount,
    TaskSetup,
    TrainSpec,
    ValidateSpec,
    Validation,
)
from lathe.runs import RunFolder
from lathe.storage import commit_rows, file_sha256
from lathe.train import train
from lathe.trainers import native
from tiny_base import examples, write_base

WATCHED = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "shutil.copyfile"})
"""Audit events that are moments, beside opening a file of the run for writing, and each step."""


class Moments:
    """Counts the moments of this process and kills it at the one that was asked for."""

    def __init__(self, folder: Path, fatal: int | None) -> None:
        self.folder, self.fatal, self.count = str(folder), fatal, 0

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[1], str) and arguments[1][0] in "wax"
        if (writes or event in WATCHED) and str(arguments[0]).startswith(self.folder):
            self.passed()

    def step(self, event: Mapping[str, Any]) -> None:
        if event.get("unit") == "step":
            self.passed()

    def passed(self) -> None:
        self.count += 1
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def locked_recipe(base: Path) -> LockedRecipe:
    recipe = Recipe(
        name="kill-sweep",
        base=str(base),
        task="chat",
        data=DataSpec(source="words.jsonl"),
        method=Method(rank=4, dropout=0.1),
        train=TrainSpec(
            epochs=3,
            examples_per_step=5,
            token_budget=160,
            learning_rate=1e-2,
            checkpoint_every=2,
            keep_checkpoints=2,
            threads=1,
            validate=ValidateSpec(every=3, rows=4),
        ),
    )
    return LockedRecipe(inputs="locked", recipe=recipe, base_folder=str(base))


def stage(run: RunFolder, locked: LockedRecipe, fatal: int | None = None) -> tuple[bool, int]:
    """The training stage in a child process. Returns whether it was killed, and how many moments it passed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            moments = Moments(run.path, fatal)
            sys.addaudithook(moments.watch)
            train(run, locked, "inputs", moments.step, measured(run, locked))
            os.write(writer, str(moments.count).encode())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True, fatal or 0
    if status != 0:
        raise SystemExit(f"the stage failed by itself, status {status}")
    return False, int(told)


def measured(run: RunFolder, locked: LockedRecipe) -> Measure:
    """The measurement of the stage, its score drawn from the weights: so small a model answers nothing right, and this way another
    bit is another choice."""
    measure = measure_of(run, locked)

    def by_weights(folder: Path, step: int, told: Told) -> Validation:
        found = measure(folder, step, told)
        drawn = int(file_sha256(folder / "adapter_model.safetensors")[:4], 16) / 0x10000
        return found.model_copy(update={"score": found.score.model_copy(update={"value": drawn})})

    return by_weights


def new_run(folder: Path) -> RunFolder:
    run = RunFolder(folder)
    rows = examples(23)
    sides = {"train": rows[:17], "validation": rows[17:], "test": []}
    counts = {side: SideCount(rows=len(some), sha256=commit_rows(run.rows(side), some)) for side, some in sides.items()}
    run.commit(run.setup, TaskSetup())
    run.commit(run.manifest, Manifest(inputs="rows", sources=(), sides=counts))
    return run


def outcome(run: RunFolder) -> tuple[dict[str, str], list[tuple[int, float, float]], list[tuple[int, float]]]:
    """What must not differ: the adapter's files; step, loss and gradient norm of each step; step and score of each validation."""
    adapter = {path.name: file_sha256(path) for path in sorted(run.adapter.iterdir())}
    lines = loop.read_metrics(run.metrics)
    steps = [(line["step"], line["loss"], line["gradient_norm"]) for line in lines if "loss" in line]
    scores = [(line["step"], line["validation"]["score"]["value"]) for line in lines if "validation" in line]
    return adapter, steps, scores


def sweep(points: int, seed: int, folder: Path) -> int:
    """Runs all points and prints them; how many held."""
    torch.set_num_threads(1)
    assert native.TRAINER.ability().ok
    locked = locked_recipe(write_base(folder / "base"))
    undisturbed = new_run(folder / "undisturbed")
    _, moments = stage(undisturbed, locked)
    expected = outcome(undisturbed)
    scores = " ".join(f"{value:.2f}" for _, value in expected[2])
    print(f"undisturbed: {len(expected[1])} steps, {moments} moments, scores {scores}", flush=True)
    draw = random.Random(seed)
    held = 0
    for point in range(points):
        run = new_run(folder / f"point-{point}")
        first, second = draw.randint(1, moments), draw.randint(1, moments)
        killed, _ = stage(run, locked, first)
        assert killed, "a sweep that did not kill proves nothing"
        again, _ = stage(run, locked, second)
        if again:
            stage(run, locked)
        leftovers = [path for path in run.train.rglob(".*") if path.suffix in (".tmp", ".old")]
        same = outcome(run) == expected and run.train_result.is_file() and not leftovers
        held += same
        twice = f", again at {second}" if again else ""
        print(f"killed at moment {first}{twice}: {'same bytes' if same else 'DIFFERS'}", flush=True)
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        held = sweep(asked.points, asked.seed, Path(folder))
    print(f"held {held} of {asked.points}")
    return 0 if held == asked.points else 1


if __name__ == "__main__":
    sys.exit(main())
