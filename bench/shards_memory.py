"""Peak memory of each rank: full training whole in one process, shared by two, and in shards over two and four.

    python bench/shards_memory.py                          77 M random parameters on the CPU, over gloo, one thread a rank
    python bench/shards_memory.py --width 512 --layers 4

Each case is four steps by the native trainer, started as torchrun starts it. `steps` is the highest that a rank came to between its
first step and its last; `ever` counts reading and dealing out the base, the checkpoint and the result as well. Weights are random
and rows are drawn, for neither changes memory. A process with torch and transformers takes some 0.4 GB before anything else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CASES = ((1, False), (2, False), (2, True), (4, True))
"""Ranks, and whether what is trained lies in shards."""
STEPS, ROWS_PER_STEP, ROW_TOKENS = 4, 4, 64


def prepare(folder: Path, width: int, layers: int) -> int:
    """A base of random weights and drawn rows; returns how many parameters it has."""
    import numpy as np
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from lathe.text.tokens import TokenSet

    vocabulary = 8192
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=width * 8 // 3, num_hidden_layers=layers,
        num_attention_heads=width // 64, num_key_value_heads=width // 64, tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    net = LlamaForCausalLM(config)
    net.save_pretrained(folder / "base")
    rows = STEPS * ROWS_PER_STEP
    draw = np.random.default_rng(0)
    TokenSet(
        ids_T=draw.integers(0, vocabulary, rows * ROW_TOKENS, dtype=np.int32),
        supervised_T=np.tile(np.arange(ROW_TOKENS) > ROW_TOKENS // 2, rows),
        offsets=np.arange(rows + 1, dtype=np.int64) * ROW_TOKENS,
        example_ids=tuple(str(row) for row in range(rows)),
    ).save(folder / "tokens.safetensors")
    return sum(parameter.numel() for parameter in net.parameters())


def trained(folder: Path, shard: bool) -> None:
    """Rank 0's work: the training."""
    from lathe import plugins
    from lathe.records import Method, TrainJob, TrainSpec

    numbers = {"epochs": 1, "examples_per_step": ROWS_PER_STEP, "token_budget": 2 * ROW_TOKENS, "threads": 1}
    job = TrainJob(
        base_folder=str(folder / "base"),
        tokens_path=str(folder / "tokens.safetensors"),
        out_folder=str(folder / "train"),
        method=Method(kind="full").model_dump(mode="json"),
        train=TrainSpec(**numbers, precision="fp32", shard=shard).model_dump(mode="json", by_alias=True),
        seed=0,
        job_hash="job",
    )
    plugins.load("trainers", "native").train(job, lambda event: told(folder, event))


def told(folder: Path, event: Mapping[str, Any]) -> None:
    """Notes rank 0's peak between the first step and the last."""
    import torch

    from lathe.engine import devices

    cpu = torch.device("cpu")
    if event["done"] == 1:
        note(folder, 0, "ever", devices.peak_bytes(cpu))
        devices.reset_peak(cpu)
    if event["done"] == STEPS:
        note(folder, 0, "steps", devices.peak_bytes(cpu))


def note(folder: Path, rank: int, name: str, peak: int) -> None:
    """Keeps the highest."""
    path = folder / f"rank-{rank}-{name}"
    path.write_text(str(max(peak, int(path.read_text()) if path.is_file() else 0)))


def as_rank(folder: Path, shard: bool) -> None:
    """What each process of a case does."""
    import torch

    from lathe import processes
    from lathe.engine import devices, ranks

    place = processes.rank(os.environ)
    if place is None:
        trained(folder, shard)
    elif place.number == 0:
        ranks.lead(place, lambda: trained(folder, shard) or 0)
    else:
        ranks.follow(place)
    note(folder, place.number if place else 0, "ever", devices.peak_bytes(torch.device("cpu")))
    if place is not None:
        ranks.end(0)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--width", type=int, default=768)
    ask.add_argument("--layers", type=int, default=10)
    ask.add_argument("--as-rank", nargs=2, metavar=("FOLDER", "SHARD"), help=argparse.SUPPRESS)
    asked = ask.parse_args()
    if asked.as_rank:
        as_rank(Path(asked.as_rank[0]), json.loads(asked.as_rank[1]))
        return
    for count, shard in CASES:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            parameters = prepare(folder, asked.width, asked.layers)
            launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
            subprocess.run(
                [*launcher, __file__, "--as-rank", str(folder), json.dumps(shard)],
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                stderr=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=True,
            )
            peaks = {path.name: int(path.read_text()) / 1e9 for path in sorted(folder.glob("rank-*"))}
        print(f"{parameters:,} parameters, {count} ranks, {'in shards' if shard else 'whole'}")
        print("   " + "  ".join(f"{name[5:]} {gigabytes:.2f} GB" for name, gigabytes in peaks.items()))


if __name__ == "__main__":
    main()
