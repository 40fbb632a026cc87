"""How fast this machine trains: what `lathe doctor --probe` asks in a child process, some 20 s.

    python -m lathe.engine.step_rates
    {"device": "cpu", "threads": 2, "rank": 16, "lengths": [89, ...], "supervised": [22, ...],
     "short": 2, "steps": [{"config": {...}, "step": "fused", "precision": "bf16", "threads": 2,
                            "seconds": 0.08, "short_seconds": 0.02, "empty_seconds": 0.005}, ...]}

Real steps of the engine on models of LAYERS layers with random weights, for each of WIDTHS: the rates of single matrix products
would say little of a small model, which spends much of its time between them. Each is taken with a full pack, with one of a few
rows and without any: a pack and a step cost something however little they hold. The best of some rounds counts: other work slows
the rest. A step of one thread is timed while other processes take it too, one on each core: so it is used, and the threads of a
core share what one has for itself.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from lathe.engine import model, step
from lathe.engine.devices import Precision, pick_device, threads
from lathe.engine.fused.choice import step_of
from lathe.engine.packs import build_pack
from lathe.processes import beside, usable_cores
from lathe.records import Method
from lathe.text.render import Encoded

WIDTHS = {"cpu": (256, 576, 960), "cuda": (960, 2048, 4096)}
"""Hidden widths: of the bundled base, of SmolLM2-135M and -360M; on a GPU of models up to 7 B."""
ALONE = 576
"""Widest model that is also tried with one thread: processes that share a step, each with a thread, are for small models."""
MOST_NEIGHBOURS = 7
"""Processes that take the same step beside a step of one thread; more cores than that share no more."""
LAYERS, HEAD, VOCABULARY, RANK = 2, 64, 8192, 16
LENGTHS = (89, 149, 157, 211, 271, 331, 389, 449)
"""Tokens of the rows of the full pack: even and equal ones would flatter attention."""
SHORT = 2
"""How many of them make up the short one."""
SCORED = tuple(length // 4 for length in LENGTHS)
"""How many of them carry loss."""
STEPS: tuple[tuple[str, Precision], ...] = (("fused", "bf16"), ("fused", "fp32"), ("reference", "fp32"))
"""Kinds of step and their number formats."""
ROUNDS, SECONDS = 1, 0.6
"""Rounds that count at least, and the time in which more are made; a third of it for short packs and for none."""


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


def timed(
    width: int, device: torch.device, neighbours: Sequence[Connection] = (), seconds: float = SECONDS
) -> Iterator[dict[str, Any]]:
    """Seconds of each kind of step at a width: with all threads, and of the fused ones of small models with one as well, while the
    neighbours take them too."""
    config, rows = configuration(width), _rows()
    packs = {"seconds": rows, "short_seconds": rows[:SHORT], "empty_seconds": []}
    given = {name: [build_pack(some, device)] if some else [] for name, some in packs.items()}
    for kind, precision in STEPS:
        if kind == "fused" and device.type != "cpu":
            continue
        take = _step(config, kind, precision, device)
        for used in sorted({usable_cores(), 1} if kind == "fused" and width <= ALONE else {usable_cores()}):
            with threads(used), _busy(neighbours if used == 1 else (), (width, kind, precision)):
                took = {
                    name: fastest(
                        partial(take, some, sum(SCORED)), device, seconds if name == "seconds" else seconds / 3
                    )
                    for name, some in given.items()
                }
            yield {"config": config.to_dict(), "step": kind, "precision": precision, "threads": used, **took}


def _rows() -> list[Encoded]:
    """The rows of the full pack."""
    draw = np.random.default_rng(0)
    return [
        Encoded(
            draw.integers(4, VOCABULARY, length).astype(np.int32), np.arange(length) >= length - scored, length - scored
        )
        for length, scored in zip(LENGTHS, SCORED, strict=True)
    ]


@contextmanager
def _busy(neighbours: Sequence[Connection], work: tuple[int, str, Precision]) -> Iterator[None]:
    """The neighbours take steps of a width, a kind and a format as long as the block lasts."""
    _tell(neighbours, work)
    try:
        yield
    finally:
        _tell(neighbours, None)


def _tell(neighbours: Sequence[Connection], work: tuple[int, str, Precision] | None) -> None:
    for line in neighbours:
        line.send(work)
    for line in neighbours:
        line.recv()


def _neighbour(line: Connection) -> None:
    """Takes full packs of the steps that it is told of, with one thread; rests where it is told None."""
    step.register_attention()
    device = torch.device("cpu")
    with threads(1):
        while True:
            told: tuple[int, str, Precision] | None = line.recv()
            if told is not None:
                width, kind, precision = told
                take = _step(configuration(width), kind, precision, device)
                work = partial(take, [build_pack(_rows(), device)], sum(SCORED))
                work()
            line.send("ready")
            while told is not None and not line.poll():
                work()


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
    with ExitStack() as running:
        count = min(usable_cores() - 1, MOST_NEIGHBOURS) if device.type == "cpu" else 0
        neighbours = [running.enter_context(beside(_neighbour)) for _ in range(count)]
        found = [step for width in WIDTHS[device.type] for step in timed(width, device, neighbours)]
    rows = {"rank": RANK, "lengths": LENGTHS, "supervised": SCORED, "short": SHORT}
    json.dump({"device": name, "threads": usable_cores(), **rows, "steps": found}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
