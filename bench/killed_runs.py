"""Runs of the command line in forked processes that may be killed, and what each of them must end with.

    yard = Yard(folder)                          # a base and its rows
    job = yard.job("plain", {"train.epochs": 3})
    yard.settle(job)                             # torch is imported once; from now on a start is a fork
    case = yard.case(job, "point-17")            # a copy of the run's beginning
    ended = case.command(Fate("kill before", 17))
    ended = case.command()                       # the same command again
    case.difference(ended), case.lost()          # "" where nothing differs, nothing was lost and nothing came twice

A command is `lathe run RECIPE`, called in a child of this process; torch, OpenMP and tokenizers run on one thread, so the child of
a fork may use them. Helper processes of a run (`train.processes`) come from a server of their own, forked likewise.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import multiprocessing
import os
import re
import shutil
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import torch
import yaml

from file_calls import Fate
from forked_command import EMPTY, UNDISTURBED, Ended, Taken, command, read_ledger
from run_outcome import outcome

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from lathe.cli.main import LIBRARY_SETTINGS
from lathe.engine import checkpoint, helpers  # noqa: F401 - loaded once, and not in each command
from lathe.runs import RunFolder, all_runs
from lathe.storage import file_sha256
from tiny_base import examples, write_base

RECIPE: dict[str, Any] = {
    "name": "small",
    "task": "chat",
    "data": {"split": {"validation": 0.1, "test": 0.15}},
    "method": {"kind": "lora", "rank": 4},
    "train": {
        "epochs": 2,
        "examples_per_step": 8,
        "token_budget": 200,
        "learning_rate": 3.0e-2,
        "checkpoint_every": 3,
        "threads": 1,
    },
    "evaluate": {"few_shot": 0, "max_new_tokens": 6},
    "ship": ["adapter", "merged"],
}
ALL_WEIGHTS = {"method": {"kind": "full"}, "train.learning_rate": 1.0e-3, "ship": ["merged"]}
TWO_PROCESSES = {"train.processes": 2, "train.threads": 2}
"""Changes of it."""
ROWS = 44
BY_THE_CLOCK = re.compile(r"/\.progress\.|predictions.*\.jsonl$")
"""Files that are written or synced at most once a second, as it comes."""


@dataclass(frozen=True)
class Job:
    """A recipe, a run of it that was only begun, and what an undisturbed one does and ends with."""

    name: str
    folder: Path
    """What the command finds: the recipe, and a run that has come so far."""
    until: str
    """The stage that the command ends with."""
    ended: Ended
    outcome: dict[str, str]
    ledger: list[Taken]
    ranks: int = 1
    """How many processes one command is, as torchrun starts them."""


@dataclass
class Case:
    """One copy of a job's beginning, in which commands are run one after the other."""

    job: Job
    folder: Path
    starts: int = 0
    begun_at: int = 0
    """The step of the checkpoint that the last command found."""
    ledger: list[Taken] = field(default_factory=list)
    """The steps that the weights have seen, checkpoints taken into account."""
    gap: str = ""

    @property
    def run(self) -> RunFolder:
        return all_runs(self.folder / "runs")[0]

    def command(
        self,
        fate: Fate = UNDISTURBED,
        kill: tuple[float, str] | None = None,
        moment: tuple[int, int | None] | None = None,
    ) -> Ended:
        """Runs the command to its end. kill: after so many seconds `run` or, where it has one, its `helper` is killed.

        moment: it is killed in this step before this pack, both counted from 1, or, with None, when the step is done.
        """
        self.starts += 1
        self.begun_at = newest_checkpoint(self.folder)
        ended = command(self.folder, str(self.starts), self.job.until, self.job.ranks, fate, kill, moment)
        seen = read_ledger(self.folder / f"ledger-{self.starts}")
        if seen:
            first = seen[0].step
            if first != self.begun_at + 1 or first > len(self.ledger) + 1:
                self.gap = f"start {self.starts} took step {first} after a checkpoint of step {self.begun_at}"
            self.ledger = [*self.ledger[: first - 1], *seen]
        return ended

    def not_kept(self, ended: Ended) -> str:
        """Whether the newest checkpoint is another than the last one that was committed before the fate struck; empty if not."""
        step = self.begun_at
        for call in ended.calls:
            if call == ended.fired:
                break
            name = Path(call.path).name
            if call.kind == "rename" and name.startswith("step-"):
                step = int(name.removeprefix("step-"))
        newest = newest_checkpoint(self.folder)
        return "" if newest == step else f"the newest checkpoint is {newest}, not {step}"

    def lost(self) -> str:
        """Which examples were lost or came twice; empty where none were."""
        if self.gap:
            return self.gap
        wrong = [
            step
            for step, (here, there) in enumerate(zip(self.ledger, self.job.ledger, strict=False), 1)
            if here != there
        ]
        if wrong or len(self.ledger) != len(self.job.ledger):
            return f"{len(self.ledger)} of {len(self.job.ledger)} steps; other examples in steps {wrong}"
        return ""

    def difference(self, ended: Ended) -> str:
        """What is not as in the undisturbed run; empty where all is."""
        if (ended.killed, ended.code) != (False, self.job.ended.code):
            return f"ended with {ended.code} instead of {self.job.ended.code}: {ended.said[-300:]}"
        found = outcome(self.folder)
        other = sorted(
            name for name in found.keys() | self.job.outcome.keys() if found.get(name) != self.job.outcome.get(name)
        )
        return f"differs: {', '.join(other)}" if other else ""


def newest_checkpoint(folder: Path) -> int:
    """The step of the newest checkpoint whose files are as its manifest says; 0 without one."""
    for run in all_runs(folder / "runs"):
        for path in sorted(run.checkpoints.glob("step-*"), reverse=True):
            manifest = json.loads((path / checkpoint.MANIFEST).read_text())
            if all(file_sha256(path / name) == file["sha256"] for name, file in manifest["files"].items()):
                return int(manifest["step"])
    return 0


# ------------------------------------------------------------------------------------------ the yard


def _undisturbed(name: str, ended: Ended) -> Ended:
    if ended.code not in (0, 1):
        raise SystemExit(f"{name}: the undisturbed run ended with {ended.code}: {ended.said}")
    return ended


class Yard:
    """A folder with a base, its rows and all jobs and cases."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        torch.set_num_threads(1)
        os.environ.update(LIBRARY_SETTINGS, XDG_STATE_HOME=str(self.folder / "state"), PYTHONWARNINGS="ignore")
        self.base = write_base(self.folder / "base")
        # One answer for all: so small a model learns it, which the verdict needs to ship anything.
        rows = [{"input": row.input, "target": "OAK"} for row in examples(ROWS)]
        self.rows = self.folder / "rows.jsonl"
        self.rows.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def job(
        self,
        name: str,
        changes: Mapping[str, Any] | None = None,
        *,
        after: str | None = None,
        until: str = "report",
        ranks: int = 1,
    ) -> Job:
        """The stages after `after` (None: all), up to `until`, of RECIPE with these dotted keys changed; done once undisturbed."""
        start, undisturbed = self.folder / name / "start", self.folder / name / "undisturbed"
        self._recipe(start, changes or {})
        if after is not None:
            shutil.copytree(self._examined() / "runs", start / "runs")
            _undisturbed(name, command(start, "before", after, 1))
        shutil.copytree(start, undisturbed)
        begun = Job(name, start, until, EMPTY, {}, [], ranks)
        case = Case(begun, undisturbed)
        ended = _undisturbed(name, case.command())
        return replace(begun, ended=ended, outcome=outcome(undisturbed), ledger=case.ledger)

    def _recipe(self, folder: Path, changes: Mapping[str, Any]) -> None:
        """A new folder with the recipe."""
        folder.mkdir(parents=True)
        recipe = json.loads(json.dumps(RECIPE))
        for key, value in {"base": str(self.base), "data.source": str(self.rows), **changes}.items():
            *parents, last = key.split(".")
            inner = recipe
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
        (folder / "small.yaml").write_text(yaml.safe_dump(recipe))

    def _examined(self) -> Path:
        """Where a run has only looked at the machine, which takes longer than all the rest: once is enough for all jobs."""
        folder = self.folder / "examined"
        if not folder.exists():
            self._recipe(folder, {})
            _undisturbed(
                "doctor",
                command(folder, "before", "doctor", 1),
            )
        return folder

    def case(self, job: Job, name: str) -> Case:
        """A new copy of the job's beginning."""
        folder = job.folder.parent / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(job.folder, folder)
        return Case(job, folder)

    def settle(self, *jobs: Job) -> None:
        """Imports here what the jobs imported in their children, and starts the server of helpers: from now on a start is cheap."""
        warnings.simplefilter("ignore")
        logging.disable()
        for job in jobs:
            for name in json.loads((job.folder.parent / "undisturbed" / "modules-1").read_text()):
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
        multiprocessing.get_context("forkserver").set_forkserver_preload(
            ["patient_server", *(name for name in sys.modules if name != "__main__" and not name.startswith("_"))]
        )
        # The server looks for what it imports where the environment says, and nowhere else.
        before = os.environ.get("PYTHONPATH", "")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), before]))
        forkserver.ensure_running()
        os.environ["PYTHONPATH"] = before
