"""`python on_both_devices.py BASE`: what the engine computes on the CPU and on the stand-in device, as JSON.

A GPU's code path as far as it can run without one: what is forgotten on the CPU, or made there, ends in an error here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import stand_in_device
import torch

from lathe.contracts import Model
from lathe.engine import devices, pretrain, step
from lathe.engine.chance import Chance
from lathe.engine.fused import choice
from lathe.engine.generate import generate, taken
from lathe.engine.model import load_base, load_for_training
from lathe.engine.packs import build_pack, pack_of_windows
from lathe.engine.row_losses import row_losses
from lathe.engine.score_labels import score_labels
from lathe.engine.trained import Whole
from lathe.engine.writing import Prompt
from lathe.records import Method, TrainSpec
from lathe.text.render import Encoded
from lathe.text.tokens import TokenSet

DRAW = np.random.default_rng(0)
IDS = [DRAW.integers(3, 264, length) for length in (12, 20, 31)]
ROWS = [Encoded(ids.astype(np.int32), np.arange(len(ids)) >= len(ids) - 5, len(ids) - 5) for ids in IDS]


def trained(base: Path, device: torch.device, method: Method, *, recompute: bool) -> list[float]:
    """Loss and gradient norm of three steps, each as the trainer takes it."""
    step.register_attention()
    net = load_for_training(base, method, 0, "fp32", device, attention=step.ATTENTION, recompute=recompute)
    take, _ = choice.choose(net, ROWS, "fp32")
    whole = Whole(net, take, TrainSpec(learning_rate=1e-2))
    found = []
    for number in range(3):
        torch.manual_seed(number)
        found += [whole.gradients([build_pack(ROWS[:2], device), build_pack(ROWS[2:], device)], 15), whole.clip(1.0)]
        whole.move(1e-2)
    whole.put({name: whole.whole(name, held) for name, held in whole.tensors().items()})
    return found


def answered(base: Path, device: torch.device, chance: Chance | None = None) -> list[list[int]]:
    """Prompts of which two begin alike, more than have room at once."""
    prompts = [Prompt(ids.tolist(), 12) for ids in (*IDS, np.concatenate([IDS[1], IDS[0]]))]
    model = load_base(base).to(device)
    answers = generate(taken(model), prompts, token_budget=120, stop_ids=frozenset({0}), chance=chance)
    return [answer.ids for answer in sorted(answers, key=lambda answer: answer.index)]


def labels_scored(base: Path, device: torch.device) -> list[list[float]]:
    model = load_base(base).to(device)
    return [[*row] for row in score_labels(taken(model), [[5, 6, 7], [5, 6, 8, 9]], [[3, 4], [5, 6, 7], [9]]).raw_PL]


def rows_lost(base: Path, device: torch.device) -> list[float]:
    tokens = TokenSet(
        np.concatenate([row.ids for row in ROWS]),
        np.concatenate([row.supervised for row in ROWS]),
        np.cumsum([0, *(len(row.ids) for row in ROWS)]),
        tuple("abc"),
    )
    return [*row_losses(Model(base), tokens, [0, 1, 2])]


def pretrained(base: Path, device: torch.device) -> list[float]:
    """Loss of a pretraining step, and the gradient's length."""
    network = load_base(base).to(device).requires_grad_(True)
    with pretrain.shared_step(network, 1) as take:  # type: ignore[arg-type]  # a Llama it is
        loss = take([pack_of_windows(np.stack([IDS[2]] * 2), np.arange(62).reshape(2, 31), np.ones((2, 31)))], 60.0)
    return [loss, float(torch.stack([one.grad.norm() for one in network.parameters() if one.grad is not None]).norm())]


KINDS: dict[str, Callable[[Path, torch.device], object]] = {
    "an adapter": lambda *on: trained(*on, Method(rank=4), recompute=False),
    "an adapter with dropout": lambda *on: trained(*on, Method(rank=4, dropout=0.1), recompute=False),
    "an adapter, layers computed again": lambda *on: trained(*on, Method(rank=4), recompute=True),
    "all weights": lambda *on: trained(*on, Method(kind="full"), recompute=False),
    "answers": answered,
    "drawn answers": lambda *on: answered(*on, Chance(1.0, 3)),
    "scores of labels": labels_scored,
    "losses of rows": rows_lost,
    "pretraining": pretrained,
}


def on(device: torch.device, base: Path) -> dict[str, object]:
    devices.pick_device = lambda: device
    return {kind: work(base, device) for kind, work in KINDS.items()}


def refused() -> str:
    """What the stand-in says to a tensor of the CPU."""
    try:
        torch.ones(3, device=stand_in_device.DEVICE) + torch.ones(3)
    except RuntimeError as error:
        return str(error)
    return "nothing"


if __name__ == "__main__":
    devices_ = {"cpu": torch.device("cpu"), "stand-in": stand_in_device.DEVICE}
    print(json.dumps({name: on(device, Path(sys.argv[1])) for name, device in devices_.items()} | {"mixed": refused()}))
