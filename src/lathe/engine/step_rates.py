"""How fast this machine trains: what `lathe doctor --probe` asks in a child process, some 15 s.

    python -m lathe.engine.step_rates
    {"device": "cpu", "threads": 2, "rank": 16, "lengths": [89, ...], "supervised": [22, ...],
     "steps": [{"config": {...}, "step": "fused", "precision": "bf16", "threads": 2, "seconds": 0.08}, ...]}

Real steps of the engine on models of LAYERS layers with random weights, for each of WIDTHS: the rates of single matrix products
would say little of a small model, which spends much of its time between them. The best of some rounds counts: other work slows the
rest.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from lathe.engine import model, step
from lathe.engine.devices import Precision, pick_device, threads
from lathe.engine.fused.choice import step_of
from lathe.engine.packs import build_pack
from lathe.processes import usable_cores
from lathe.records import Method
from lathe.text.render import Encoded

WIDTHS = {"cpu": (256, 576, 960), "cuda": (960, 2048, 4096)}
"""Hidden widths: of the bundled base, of SmolLM2-135M and -360M; on a GPU of models up to 7 B."""
ALONE = 576
"""Widest model that is also tried with one thread: processes that share a step, each with a thread, are for small models."""
LAYERS, HEAD, VOCABULARY, RANK = 2, 64, 8192, 16
LENGTHS = (89, 149, 157, 211, 271, 331, 389, 449)
"""Tokens of the rows of the one pack: even and equal ones would flatter attention."""
SCORED = tuple(length // 4 for length in LENGTHS)
"""How many of them carry loss."""
STEPS: tuple[tuple[str, Precision], ...] = (("fused", "bf16"), ("fused", "fp32"), ("reference", "fp32"))
"""Kinds of step and their number formats."""
ROUNDS, SECONDS = 1, 1.0
"""Rounds that count at least, and the time in which more are made."""


def configuration(width: int) -> LlamaConfig:
    """A Llama of that width."""
    return LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=width, intermediate_size=8 * width // 3 // HEAD * HEAD, num_hidden_layers=LAYERS,
        num_attention_heads=width // HEAD, num_key_value_heads=width // HEAD, head_dim=HEAD, tie_word_embeddings=True,
    )  # fmt: skip


def fastest(work: Callable[[], object], device: torch.device, seconds: float = SECONDS) -> float:
    """Seconds of the fastest round, after one that is not counted."""
    work()
    best, rounds, end = float("inf"), 0, time.perf_counter() + seconds
    while rounds < ROUNDS or time.perf_counter() < end:
        begun = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - begun)
        rounds += 1
    return best


def timed(width: int, device: torch.device, seconds: float = SECONDS) -> Iterator[dict[str, Any]]:
    """Seconds of each kind of step at a width: with all threads, and of the fused ones of small models with one as well."""
    config = configuration(width)
    draw = np.random.default_rng(0)
    rows = [
        Encoded(
            draw.integers(4, VOCABULARY, length).astype(np.int32), np.arange(length) >= length - scored, length - scored
        )
        for length, scored in zip(LENGTHS, SCORED, strict=True)
    ]
    pack = build_pack(rows, device)
    for kind, precision in STEPS:
        if kind == "fused" and device.type != "cpu":
            continue
        take = partial(_step(config, kind, precision, device), [pack], sum(SCORED))
        for used in sorted({usable_cores(), 1} if kind == "fused" and width <= ALONE else {usable_cores()}):
            with threads(used):
                took = fastest(take, device, seconds)
            how = {"step": kind, "precision": precision, "threads": used, "seconds": took}
            yield {"config": config.to_dict(), **how}


def _step(config: LlamaConfig, kind: str, precision: Precision, device: torch.device) -> step.Step:
    """A kind of step on a model with random weights."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    base = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=step.ATTENTION)
    net = model.attach(base.requires_grad_(False).to(device), Method(rank=RANK), seed=0)
    return step_of(net, kind, precision)


def main() -> int:
    """Measures and prints."""
    step.register_attention()
    device = pick_device()
    name = torch.cuda.get_device_name(0) if device.type == "cuda" else "cpu"
    found = [step for width in WIDTHS[device.type] for step in timed(width, device)]
    rows = {"rank": RANK, "lengths": LENGTHS, "supervised": SCORED}
    json.dump({"device": name, "threads": usable_cores(), **rows, "steps": found}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
