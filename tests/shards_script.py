"""What torchrun starts for tests/engine/test_shards.py: rank 0 tries things and writes down what came of each, the others follow.

torchrun --standalone --nproc-per-node 2 tests/shards_script.py FOLDER everything|starved|killed

FOLDER has a base, tokens and jobs; what was found is written to FOLDER/found.json.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lathe import plugins, processes
from lathe.contracts import Model
from lathe.engine import model, ranks, shards, step
from lathe.engine.devices import Precision
from lathe.engine.packs import build_pack
from lathe.engine.trained import Whole
from lathe.records import Method, Score, TrainJob, TrainSpec, Validation
from lathe.text.tokens import TokenSet
from ranks_script import train


def steps(folder: Path, num_packs: int, precision: Precision = "fp32", recompute: bool = False) -> dict[str, float]:
    """Three steps by all ranks and by one process, the first one without clipping: the largest relative differences."""
    step.register_attention()
    spec = TrainSpec(weight_decay=0.1, recompute=recompute)
    tokens = TokenSet.load(folder / "tokens.safetensors")
    packs = [build_pack([tokens.row(row)]) for row in range(num_packs)]
    supervised = sum(pack.targets_S.numel() for pack in packs)
    method, cpu = Method(kind="full"), torch.device("cpu")
    net, base = (
        model.load_for_training(folder / "base", method, 0, precision, cpu, attention=step.ATTENTION) for _ in range(2)
    )
    alone = Whole(net, partial(step.gradients, net, precision=precision), spec)
    shape = shards.Shape.of(base, spec, precision)
    worst = dict.fromkeys(("loss", "norm", "gradient", "tensors"), 0.0)
    with ranks.together(shards.Shards, shape, 1) as together:
        sharded = shards.Sharded(together, shape)
        sharded.begin(base)
        for most in (math.inf, 0.5, 0.5):
            loss, expected = sharded.gradients(packs, supervised), alone.gradients(packs, supervised)
            worst["loss"] = max(worst["loss"], abs(loss / expected - 1))
            worst["norm"] = max(worst["norm"], abs(sharded.clip(most) / alone.clip(most) - 1))
            sharded.move(1e-3)
            alone.move(1e-3)
            found = {name: sharded.whole(name, held) for name, held in sharded.tensors().items()}
            off = {name: float((found[name] - one).norm() / one.norm()) for name, one in alone.tensors().items()}
            worst["tensors"] = max(worst["tensors"], *off.values())
            if most == math.inf:  # after one step AdamW's first moment is a tenth of the gradient
                worst["gradient"] = max(value for name, value in off.items() if name.endswith("exp_avg"))
    return worst | {"names": len(off)}


def everything(folder: Path) -> dict[str, Any]:
    return {
        "steps": steps(folder, 5),
        "fewer packs": steps(folder, 1),
        "recompute": steps(folder, 5, recompute=True),
        "bf16": steps(folder, 5, "bf16"),
        **jobs(folder),
    }


def jobs(folder: Path) -> dict[str, Any]:
    """All jobs that the test left; validations that they ask for find the best weights after the fourth step."""
    return {path.stem: validated(path) or train(folder, path.stem) for path in sorted(folder.glob("job-*.json"))}


def validated(path: Path) -> dict[str, Any] | None:
    """A job that asks for validations."""
    job = TrainJob.model_validate_json(path.read_text())
    if not job.train["validate"]["every"]:
        return None

    def measure(folder: Path, step: int, told: Any) -> Validation:
        model.load(Model(Path(job.base_folder), folder))
        score = Score(metric="exact", value={2: 0.1, 4: 0.5, 6: 0.2}[step], n=8)
        return Validation(step=step, score=score, answers=8, empty=0, cut=0, new_tokens=80, seconds=0.1)

    return plugins.load("trainers", "native").train_validated(job, measure, lambda event: None).dump()


def ending(how: str) -> None:
    """Has this rank end in its ninth pack, of the third step or a later one: starved of memory, or killed."""
    calls = iter(range(8))
    really = shards.pack_loss

    def ended(*given: Any) -> torch.Tensor:
        for _ in calls:
            return really(*given)
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    shards.pack_loss = ended


def main(folder: Path, what: str) -> int:
    found = everything(folder) if what == "everything" else jobs(folder)
    (folder / "found.json").write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    # torchrun's, where a rank fails: what was found is still written.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    rank = processes.rank(os.environ)
    assert rank is not None
    if rank.number == 1 and sys.argv[2] != "everything":
        ending(sys.argv[2])
    ranks.end(
        ranks.lead(rank, lambda: main(Path(sys.argv[1]), sys.argv[2])) if rank.number == 0 else ranks.follow(rank)
    )
