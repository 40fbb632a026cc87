"""Tokens a second of the reference and the fused step on the bundled base's shape, beside what matrix products alone would allow.

    python bench/train_step.py --threads 1 --tokens 4096

The ceiling is the time of the step's matrix products, measured one by one on this machine in float32: base forward and dX, LoRA
forward and both gradients, the head at the supervised rows. Attention, element-wise work and the optimiser count as nothing in it.
Best of some repetitions, the steps in turn, so that other work on the machine disturbs little.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from lathe.engine import model, step
from lathe.engine.fused.stack import FusedStep
from lathe.engine.packs import Pack, build_pack
from lathe.records import Method
from lathe.text.render import Encoded

NANO = {
    "vocab_size": 4096, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 6, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 8192, "tie_word_embeddings": True,
}  # fmt: skip
RANK = 16
ROW, SUPERVISED = 512, 128
"""Tokens of a row, and how many of them carry loss: about what the demo's rows have."""
Product = tuple[int, int, int]
"""m, k, n of an (m, k) @ (k, n) product."""


def best(work: Callable[[], object], repetitions: int) -> float:
    """Seconds of the fastest repetition, after one that is not counted."""
    work()
    times = []
    for _ in range(repetitions):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def pack_of(tokens: int) -> Pack:
    draw = np.random.default_rng(0)
    supervised = np.arange(ROW) >= ROW - SUPERVISED
    rows = [
        Encoded(draw.integers(4, 4096, ROW).astype(np.int32), supervised, ROW - SUPERVISED)
        for _ in range(tokens // ROW)
    ]
    return build_pack(rows)


def products(net: torch.nn.Module, tokens: int, scored: int) -> Counter[Product]:
    """The matrix products of one forward and backward pass, with how often each occurs."""
    found: Counter[Product] = Counter()
    for name, part in model.causal(net).named_modules():
        if name.endswith("base_layer"):
            out, inner = part.weight.shape
            found[tokens, inner, out] += 1
            found[tokens, out, inner] += 1
            for m, k, n in ((tokens, inner, RANK), (tokens, RANK, out), (tokens, out, RANK), (tokens, RANK, inner)):
                found[m, k, n] += 1
            found[RANK, tokens, inner] += 1
            found[out, tokens, RANK] += 1
    vocabulary, hidden = model.head(net).shape
    found[scored, hidden, vocabulary] += 1
    found[scored, vocabulary, hidden] += 1
    return found


def ceiling_seconds(found: Counter[Product], repetitions: int) -> tuple[float, float]:
    """Seconds of all products, and their floating-point operations."""
    seconds = operations = 0.0
    for (m, k, n), count in found.items():
        a, b = torch.randn(m, k), torch.randn(k, n)
        seconds += count * best(lambda a=a, b=b: a @ b, repetitions)
        operations += count * 2.0 * m * k * n
    return seconds, operations


def alternated(steps: dict[str, Callable[[], object]], repetitions: int) -> dict[str, tuple[float, float]]:
    """CPU and wall seconds of each, the best of some rounds in which all take their turn; the first round is not counted."""
    found = {name: (float("inf"), float("inf")) for name in steps}
    for turn in range(repetitions + 1):
        for name, work in steps.items():
            cpu, wall = time.process_time(), time.perf_counter()
            work()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if turn:
                found[name] = (min(cpu, found[name][0]), min(wall, found[name][1]))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--repetitions", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    step.register_attention()
    pack = pack_of(asked.tokens)
    scored = pack.targets_S.numel()
    steps: dict[str, Callable[[], object]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **NANO)).save_pretrained(folder)
        for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            base = model.load_base(folder, dtype=dtype, attention=step.ATTENTION)
            net = model.attach(base, Method(rank=RANK), seed=0)
            steps[f"reference {precision}"] = partial(step.gradients, net, [pack], scored, precision)
            steps[f"fused {precision}"] = partial(FusedStep(net, precision).gradients, [pack], scored)
        ceiling, operations = ceiling_seconds(products(net, asked.tokens, scored), asked.repetitions)
    print(
        f"products alone, fp32: {ceiling:.3f} s, {asked.tokens / ceiling:,.0f} tokens/s, {operations / ceiling / 1e9:.0f} GFLOP/s"
    )
    seconds = alternated(steps, asked.repetitions)
    first = seconds["reference fp32"][0]
    for name, (cpu, wall) in seconds.items():
        print(
            f"{name:15} {asked.tokens / cpu:7,.0f} tokens/CPU s  {asked.tokens / wall:7,.0f} tokens/s  "
            f"{first / cpu:.2f} x reference fp32 by CPU time, {ceiling / wall:.2f} of the fp32 products"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
