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

from lathe.engine import loop
from lathe.records import DataSpec, LockedRecipe, Method, Recipe, TrainSpec
from lathe.runs import RunFolder, commit_rows, file_sha256
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
        task="json_extraction",
        data=DataSpec(source="lathe:edge_json"),
        method=Method(rank=4, dropout=0.1),
        train=TrainSpec(
            epochs=3,
            examples_per_step=5,
            token_budget=160,
            learning_rate=1e-2,
            checkpoint_every=2,
            keep_checkpoints=2,
            threads=1,
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
            train(run, locked, "inputs", moments.step)
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


def new_run(folder: Path) -> RunFolder:
    run = RunFolder(folder)
    commit_rows(run.rows("train"), examples(17))
    return run


def outcome(run: RunFolder) -> tuple[dict[str, str], list[tuple[int, float, float]]]:
    """What must not differ: the adapter's files, and step, loss and gradient norm of each line of metrics.jsonl."""
    adapter = {path.name: file_sha256(path) for path in sorted(run.adapter.iterdir())}
    lines = [(line["step"], line["loss"], line["gradient_norm"]) for line in loop.read_metrics(run.metrics)]
    return adapter, lines


def sweep(points: int, seed: int, folder: Path) -> int:
    """Runs all points and prints them; how many held."""
    torch.set_num_threads(1)
    assert native.TRAINER.ability().ok
    locked = locked_recipe(write_base(folder / "base"))
    undisturbed = new_run(folder / "undisturbed")
    _, moments = stage(undisturbed, locked)
    expected = outcome(undisturbed)
    print(f"undisturbed: {len(expected[1])} steps, {moments} moments", flush=True)
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
