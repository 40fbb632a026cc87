"""Ranks: several processes that torchrun started train as one does, and end as one does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from lathe import plugins, processes
from lathe.engine import metrics, model, step
from lathe.engine.packs import build_pack
from lathe.engine.step_in_processes import Answer, Build, Share, StepInProcesses, done
from lathe.pipeline import Run
from lathe.records import Method, TrainJob, TrainResult, TrainSpec
from lathe.text import tokenizer
from lathe.text.tokens import TokenSet, tokenise
from ranks_script import gradient, trained_model
from tiny_base import examples

pytestmark = pytest.mark.usefixtures("one_thread")

SCRIPT = Path(__file__).parents[1] / "ranks_script.py"


def torchrun(count: int, *command: str, cwd: Path) -> subprocess.Popen[str]:
    """Starts a command as `count` ranks; each test ends what it started."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    path = os.pathsep.join([str(SCRIPT.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    return subprocess.Popen(
        [*launcher, *command], cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    try:
        out, said = process.communicate(timeout=200)
    finally:
        process.kill()
    return process.returncode, out, said


def of_rank(launcher: subprocess.Popen[str], number: int) -> psutil.Process:
    """The process of a rank."""
    for child in psutil.Process(launcher.pid).children():
        if child.environ().get("RANK") == str(number):
            return child
    raise AssertionError(f"rank {number} does not run")


def after_steps(folder: Path, train: str, count: int, launcher: subprocess.Popen[str]) -> Path:
    """Waits until so many steps are done, and returns the folder of the training."""
    while launcher.poll() is None:
        for found in folder.glob(train):
            if len(metrics.read(found / "metrics.jsonl")) >= count:
                return found
        time.sleep(0.02)
    raise AssertionError(ended(launcher)[2])


def stopped(folder: Path, recipe: str, base: Path) -> tuple[Path, str]:
    """Trains a recipe over two ranks, whose launcher gets SIGTERM after some steps: the step in progress is finished and kept.

    Returns the folder of the training, and what was said.
    """
    (folder / "small.yaml").write_text(recipe.replace("BASE", str(base)))
    rows = ({"input": one.input, "target": json.dumps({"word": one.completion})} for one in examples(60))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    launcher = torchrun(2, "-m", "lathe", "train", "small.yaml", cwd=folder)
    train = after_steps(folder, "runs/*/train", 2, launcher)
    launcher.send_signal(signal.SIGTERM)
    code, _, said = ended(launcher)
    assert code != 0
    assert said.count("stopped: stopped by SIGTERM after step") == 1, said
    done_steps = len(metrics.read(train / "metrics.jsonl"))
    assert (train / "checkpoints" / f"step-{done_steps:06d}" / "manifest.json").is_file()
    return train, said


# ------------------------------------------------------------------------------------------ in one launch


def job(folder: Path, base: Path, name: str, **spec: Any) -> TrainJob:
    numbers = {
        "epochs": 2,
        "examples_per_step": 5,
        "token_budget": 160,
        "learning_rate": 1e-2,
        "threads": 1,
        "checkpoint_every": 5,
    }
    return TrainJob(
        base_folder=str(base),
        tokens_path=str(folder / "tokens.safetensors"),
        out_folder=str(folder / name),
        method=Method(rank=4, dropout=0.1).model_dump(mode="json"),
        train=TrainSpec(**(numbers | {"precision": "fp32"} | spec)).model_dump(mode="json", by_alias=True),
        seed=0,
        job_hash="job",
    )


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A folder with a base and rows, for any number of launches."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "base").symlink_to(tiny_base)
    tokenise(tokenizer.load(tiny_base), examples(13)).save(folder / "tokens.safetensors")
    return folder


@pytest.fixture(scope="module")
def killed(begun: Path, tiny_base: Path) -> tuple[int, str]:
    """A training of 60 steps whose second rank was killed after the tenth step: exit code, and what the first one said."""
    (begun / "job-killed.json").write_text(job(begun, tiny_base, "killed", epochs=20).model_dump_json())
    launcher = torchrun(2, str(SCRIPT), str(begun), "jobs", cwd=begun)
    after_steps(begun, "killed", 10, launcher)
    of_rank(launcher, 1).kill()
    code, _, said = ended(launcher)
    assert (begun / "found.json").is_file(), said
    return code, json.loads((begun / "found.json").read_text())["job-killed"]["error"]


@pytest.fixture(scope="module")
def folder(begun: Path, killed: tuple[int, str], tiny_base: Path) -> Path:
    """Where two ranks did everything that tests/ranks_script.py tries, and went on with what was killed."""
    folder = begun
    alone = job(folder, tiny_base, "moved", max_steps=3, checkpoint_every=3)
    native(alone)
    for name, one in {
        "job-a": job(folder, tiny_base, "a"),
        "job-b": job(folder, tiny_base, "b"),
        "job-moved": job(folder, tiny_base, "moved", checkpoint_every=3),
        "job-whole": job(folder, tiny_base, "whole", epochs=20),
        "job-three": job(folder, tiny_base, "three", processes=3),
    }.items():
        (folder / f"{name}.json").write_text(one.model_dump_json())
    code, _, said = ended(torchrun(2, str(SCRIPT), str(folder), "everything", cwd=folder))
    assert code == 0, said
    return folder


def native(one: TrainJob) -> TrainResult:
    return plugins.load("trainers", "native").train(one, lambda event: None)


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize(("dtype", "most"), [("float64", 1e-10), ("float32", 1e-5)])
def test_the_gradient_of_two_ranks_is_that_of_one_the_partial_last_step_included(
    found: dict[str, Any], dtype: str, most: float
) -> None:
    errors = found[dtype]
    assert (errors["steps"], errors["rows_of_last"]) == (3, 3)
    assert 0 <= errors["loss"] < most
    assert 0 <= errors["gradient"] < most


def test_what_a_rank_raises_is_raised_in_the_first_one_and_the_step_can_be_taken_again(found: dict[str, Any]) -> None:
    message, note = found["raised"]["said"]
    assert message == "a fault of this rank"
    assert note.startswith("in rank 1:\n")
    assert "ranks_script.py" in note
    assert found["raised"]["gradient"] < 1e-10


def test_a_rank_that_cannot_load_the_base_says_why(found: dict[str, Any]) -> None:
    assert found["lacking"] == "the base is not on this machine"


def test_two_ranks_train_the_adapter_of_one_and_twice_the_same_bytes(
    folder: Path, found: dict[str, Any], tiny_base: Path
) -> None:
    alone = native(job(folder, tiny_base, "alone"))
    assert (found["job-a"]["processes"], alone.processes) == (2, 1)
    assert found["job-a"]["first_loss"] == pytest.approx(alone.first_loss, rel=1e-5)
    name = "adapter/adapter_model.safetensors"
    assert (folder / "a" / name).read_bytes() == (folder / "b" / name).read_bytes()
    expected, tensors = load_file(folder / "alone" / name), load_file(folder / "a" / name)
    for name, tensor in expected.items():
        # AdamW divides by the gradient's size, so rounding shows most where the gradient is nearly nothing.
        assert float((tensors[name] - tensor).norm() / tensor.norm()) < 0.02, name
    rows = [line["supervised"] for line in metrics.read(folder / "a" / "metrics.jsonl")]
    assert rows == [line["supervised"] for line in metrics.read(folder / "alone" / "metrics.jsonl")]


def test_a_rank_that_is_killed_ends_all_and_the_same_command_comes_to_the_same_bytes(
    folder: Path, killed: tuple[int, str], found: dict[str, Any]
) -> None:
    code, said = killed
    assert code != 0
    assert said.startswith("rank 0: another process of this training ended without a word (")
    assert (found["job-killed"]["resumed"], found["job-whole"]["resumed"]) == (1, 0)
    name = "adapter/adapter_model.safetensors"
    assert (folder / "killed" / name).read_bytes() == (folder / "whole" / name).read_bytes()


def test_going_on_with_another_number_of_ranks_is_said(found: dict[str, Any]) -> None:
    assert (found["job-moved"]["resumed"], found["job-moved"]["num_steps"]) == (1, 6)
    note = "continued at step 3 with processes 2 instead of 1: the result is as good, but not bit-identical"
    assert note in found["job-moved"]["notes"]


def test_a_recipe_that_asks_for_other_processes_than_there_are_is_refused(found: dict[str, Any]) -> None:
    assert found["job-three"]["error"] == "the recipe asks for train.processes: 3, and torchrun started 2"
    assert "processes: 1 or 2" in found["job-three"]["hint"]


# ------------------------------------------------------------------------------------------ the command


RECIPE = """\
name: small
base: BASE
task: json_extraction
data: {source: rows.jsonl, split: {validation: 0.1, test: 0.2}}
method: {kind: lora, rank: 4}
train: {epochs: 1000, max_steps: 80, examples_per_step: 8, token_budget: 256, threads: 1, checkpoint_every: 50}
evaluate: {few_shot: 0, max_new_tokens: 2}
"""


def test_a_signal_to_torchrun_ends_all_after_the_step_and_one_process_goes_on(tmp_path: Path, tiny_base: Path) -> None:
    folder, said = stopped(tmp_path, RECIPE, tiny_base)
    assert said.count("  data  ") == 1, "one process alone says what is done"
    result = Run.start(tmp_path / "small.yaml", root=tmp_path / "runs")
    result.go(until="train")
    told = TrainResult.from_json((folder / "result.json").read_text())
    assert (told.resumed, told.processes, told.num_steps) == (1, 1, 80)
    assert any("processes 1 instead of 2" in note for note in told.notes)


# ------------------------------------------------------------------------------------------ without processes


class Copies:
    """Helpers in this very process, each with a copy of the model: what every way of sharing comes to."""

    def __init__(self, base: Path, count: int) -> None:
        self._nets = [trained_model(base, torch.float64) for _ in range(count)]

    @property
    def count(self) -> int:
        return len(self._nets)

    def build(self, build: Build) -> None:
        raise AssertionError("built already")

    def share(self, shares: Sequence[Share], parameters: Sequence[torch.nn.Parameter]) -> None:
        self._shares = shares

    def answers(self, mine: Answer | Exception, parameters: Sequence[torch.nn.Parameter]) -> list[Answer | Exception]:
        told = []
        for net, share in zip(self._nets, self._shares, strict=True):
            told.append(done(lambda packs, supervised, net=net: step.gradients(net, packs, supervised), share))
            for parameter, other in zip(parameters, model.trainable(net).values(), strict=True):
                if other.grad is not None:
                    parameter.grad = other.grad if parameter.grad is None else parameter.grad + other.grad
        return told


@pytest.fixture(scope="module")
def tokens(tiny_base: Path) -> TokenSet:
    return tokenise(tokenizer.load(tiny_base), examples(9))


@pytest.mark.parametrize("count", range(12))
def test_the_gradient_of_a_step_is_the_same_for_every_number_of_processes(
    tiny_base: Path, tokens: TokenSet, count: int
) -> None:
    """Up to more processes than the step has packs: those who get nothing add nothing."""
    net = trained_model(tiny_base, torch.float64)
    packs = [build_pack([tokens.row(row)]) for row in range(len(tokens))]
    supervised = int(tokens.supervised_lengths.sum())
    expected = step.gradients(net, packs, supervised), gradient(model.trainable(net))
    net.zero_grad()
    take: Callable[[Iterable[Any], int], float] = lambda packs, supervised: step.gradients(net, packs, supervised)  # noqa: E731
    loss = StepInProcesses(take, model.trainable(net), Copies(tiny_base, count))(packs, supervised)
    assert loss == pytest.approx(expected[0], rel=1e-12)
    found = gradient(model.trainable(net))
    assert float((found - expected[1]).norm() / expected[1].norm()) < 1e-10


def test_a_process_that_torchrun_did_not_start_or_started_alone_has_no_rank() -> None:
    said = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert processes.rank(said) is None
    elastic = said | {"TORCHELASTIC_RUN_ID": "x"}
    assert processes.rank(elastic) == processes.Rank(number=3, count=4, number_here=1, count_here=2)
    assert processes.rank(elastic | {"WORLD_SIZE": "1", "RANK": "0"}) is None
