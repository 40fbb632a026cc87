"""What torchrun starts for tests/engine/test_ranks.py: rank 0 tries things and writes down what came of each, the others follow.

torchrun --standalone --nproc-per-node 2 tests/ranks_script.py FOLDER everything|jobs

FOLDER has a base, tokens and jobs; what was found is written to FOLDER/found.json.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lathe import plugins, processes
from lathe.engine import model, ranks, step
from lathe.engine.packs import Pack, build_pack
from lathe.engine.step import Step
from lathe.engine.step_in_processes import StepInProcesses
from lathe.errors import LatheError, Unavailable
from lathe.records import Method, TrainJob, TrainSpec
from lathe.schedule.steps import steps
from lathe.text.tokens import TokenSet


def trained_model(base: Path, dtype: torch.dtype) -> nn.Module:
    """A model whose adapter's B matrices are not zero, so that every gradient is."""
    step.register_attention()
    net = model.attach(model.load_base(base, dtype=dtype, attention=step.ATTENTION), Method(rank=4), seed=3).to(dtype)
    with torch.no_grad():
        for name, parameter in model.trainable(net).items():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(1), std=0.1)
    return net


def built(base: Path, dtype: torch.dtype, fault: str | None = None) -> tuple[Step, dict[str, nn.Parameter]]:
    """What a rank trains with; its weights are others than rank 0's until it gets those. fault: what its first step raises."""
    if fault == "base":
        raise Unavailable("the base is not on this machine")
    net = trained_model(base, dtype)
    with torch.no_grad():
        for parameter in model.trainable(net).values():
            parameter.zero_()
    faults = iter([] if fault is None else [RuntimeError(fault)])

    def take(packs: Iterable[Pack], supervised: int) -> float:
        for error in faults:
            raise error
        return step.gradients(net, packs, supervised)

    return take, model.trainable(net)


def shared(folder: Path, dtype: torch.dtype, fault: str | None = None, again: bool = False) -> dict[str, Any]:
    """Every step of a plan by all ranks, held against rank 0 alone: the largest errors of loss and gradient, relative."""
    tokens = TokenSet.load(folder / "tokens.safetensors")
    plan = steps(tokens.lengths, TrainSpec(epochs=1, examples_per_step=5, token_budget=64), 0)
    net = trained_model(folder / "base", dtype)
    parameters = model.trainable(net)
    errors = []
    with ranks.helpers() as helpers:
        helpers.build(partial(built, folder / "base", dtype, fault))
        together = StepInProcesses(partial(step.gradients, net), parameters, helpers)
        for number in range(plan.num_steps):
            rows = plan.examples(number)
            packs = [build_pack([tokens.row(row) for row in pack]) for pack in plan.packs(number)]
            supervised = int(tokens.supervised_lengths[rows].sum())
            if again:
                try:
                    together(packs, supervised)
                except RuntimeError as error:
                    again, said = False, [str(error), *error.__notes__]
                net.zero_grad()
            found = together(packs, supervised), gradient(parameters)
            net.zero_grad()
            expected = step.gradients(net, packs, supervised), gradient(parameters)
            net.zero_grad()
            errors.append(
                [abs(found[0] / expected[0] - 1), float((found[1] - expected[1]).norm() / expected[1].norm())]
            )
    worst = [max(pair) for pair in zip(*errors, strict=True)]
    return {"steps": len(errors), "rows_of_last": len(rows), "loss": worst[0], "gradient": worst[1]} | (
        {"said": said} if fault else {}
    )


def gradient(parameters: Mapping[str, nn.Parameter]) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in parameters.values()])


def train(folder: Path, name: str) -> dict[str, Any]:
    """A job that the test left, by the native trainer."""
    job = TrainJob.model_validate_json((folder / f"{name}.json").read_text())
    try:
        return plugins.load("trainers", "native").train(job, lambda event: None).dump()
    except LatheError as error:
        return {"error": error.message, "hint": error.hint}


def lacking(folder: Path) -> str:
    """A rank that cannot load what it is to train with."""
    try:
        shared(folder, torch.float32, "base")
    except Unavailable as error:
        return error.message
    return "nothing"


def jobs(folder: Path) -> dict[str, Any]:
    """All jobs that the test left."""
    return {path.stem: train(folder, path.stem) for path in sorted(folder.glob("job-*.json"))}


def everything(folder: Path) -> dict[str, Any]:
    return {
        "float64": shared(folder, torch.float64),
        "float32": shared(folder, torch.float32),
        "raised": shared(folder, torch.float64, "a fault of this rank", again=True),
        "lacking": lacking(folder),
        **jobs(folder),
    }


def main(folder: Path, what: str) -> int:
    found = {"everything": everything, "jobs": jobs}[what](folder)
    (folder / "found.json").write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    signal.signal(
        signal.SIGTERM, signal.SIG_IGN
    )  # torchrun's, where the test kills a rank: what was found is still written
    rank = processes.rank(os.environ)
    assert rank is not None
    ranks.end(
        ranks.lead(rank, lambda: main(Path(sys.argv[1]), sys.argv[2])) if rank.number == 0 else ranks.follow(rank)
    )
