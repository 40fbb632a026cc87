"""The plan's peak memory against what the native engine reached, each training in a process of its own.

    python bench/plan_accuracy.py                              # SmolLM2-135M's shape at three budgets, in bf16 and fp32, with and
                                                               # without checkpointing
    python bench/plan_accuracy.py --shape none --random 60     # small shapes
    python bench/plan_accuracy.py --shape none --random 60 --seed 2 --only 7,35      # two of those that another seed draws

Weights are random and rows are drawn, for neither changes memory; the steps, packs and the plan are the real ones. The last
lines say the median and the largest error, and how often "fits" would have been wrong: a peak above the plan's upper end.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from lathe import gpus
from lathe.cli.main import LIBRARY_SETTINGS
from lathe.plan.answering import Answers
from lathe.plan.forecast import Machine, forecast
from lathe.plan.rates import computes_bf16, has_avx512, has_tiles, probed
from lathe.processes import compiler, usable_cores
from lathe.records import Plan, Recipe, TrainJob, TrainResult
from lathe.text.tokens import TokenSet

SHAPES = {
    "smollm2-135m": {
        "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
        "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64,
    },
    "nano": {
        "vocab_size": 4096, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 6,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
    },
}  # fmt: skip
BUDGETS = (1024, 2048, 4096)
STEPS, EXAMPLES_PER_STEP = 4, 16


@dataclass(frozen=True)
class Case:
    """One training: a config.json, a recipe's parts, and the tokens of each row with those that carry loss."""

    name: str
    config: dict[str, Any]
    method: dict[str, Any]
    train: dict[str, Any]
    rows: list[tuple[int, int]]


def drawn_rows(draw: np.random.Generator, count: int, longest: int) -> list[tuple[int, int]]:
    """Rows of 1/5 to all of the longest, 1/5 to 2/5 of their tokens supervised."""
    lengths = draw.integers(longest // 5, longest + 1, count)
    return [(int(length), max(1, int(length * draw.uniform(0.2, 0.4)))) for length in lengths]


def config_of(shape: dict[str, Any], model_type: str = "llama", tied: bool = True) -> dict[str, Any]:
    return {"model_type": model_type, "max_position_embeddings": 8192, "tie_word_embeddings": tied, **shape}


def settings_of(budget: int, precision: str, threads: int) -> dict[str, Any]:
    return {
        "token_budget": budget,
        "precision": precision,
        "threads": threads,
        "examples_per_step": EXAMPLES_PER_STEP,
        "max_steps": STEPS,
        "epochs": 100.0,
    }


def cases(shape: str, budgets: list[int], threads: int) -> Iterator[Case]:
    """The shape at each budget in both formats, with and without gradient checkpointing."""
    method = {"kind": "lora", "rank": 16, "alpha": 32}
    for budget, precision, recompute in itertools.product(budgets, ("bf16", "fp32"), (False, True)):
        rows = drawn_rows(np.random.default_rng(0), 2 * EXAMPLES_PER_STEP * STEPS, 500)
        train = settings_of(budget, precision, threads) | {"recompute": recompute}
        name = f"{shape} {budget:,} {precision}{' again' if recompute else ''}"
        yield Case(name, config_of(SHAPES[shape]), method, train, rows)


FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma3_text", "phi3", "olmo2", "granite", "smollm3")
TARGETS = ("all-linear", ["q_proj", "v_proj"], ["q_proj", "k_proj", "v_proj", "o_proj"])
OF_PHI3 = ("all-linear", ["qkv_proj"], ["qkv_proj", "o_proj"])
"""Its projections are joined."""


def random_cases(count: int, threads: int, seed: int) -> Iterator[Case]:
    """Small configurations that differ in all that decides memory; each family comes as often."""
    draw = np.random.default_rng(seed)
    for number in range(count):
        heads, groups, width = int(draw.integers(2, 7)), int(draw.integers(1, 4)), int(draw.choice([32, 64]))
        unit = 16 * heads * groups  # llama's configuration wants a multiple of the heads
        shape = {
            "vocab_size": int(draw.choice([2048, 8192, 32768])),
            "hidden_size": unit * max(1, 64 * int(draw.integers(2, 9)) // unit),
            "intermediate_size": 64 * int(draw.integers(4, 25)),
            "num_hidden_layers": int(draw.integers(2, 13)),
            "num_attention_heads": heads * groups,
            "num_key_value_heads": heads,
            "head_dim": width,
            "pad_token_id": 0,  # some families have another by default that lies outside these vocabularies
        }
        family = FAMILIES[number % len(FAMILIES)]
        config = config_of(shape, family, bool(draw.integers(2)))
        if family == "mistral" and draw.integers(2):
            config["sliding_window"] = None  # which the fused step takes
        targets = (OF_PHI3 if family == "phi3" else TARGETS)[int(draw.integers(3))]
        method = {"kind": "lora", "rank": int(draw.choice([4, 8, 16, 32])), "alpha": 32, "targets": targets}
        if draw.uniform() < 0.2:
            method = {"kind": "full"}
        budget = int(draw.choice([512, 1024, 2048]))
        train = settings_of(budget, str(draw.choice(["auto", "fp32", "bf16"])), threads)
        train["recompute"] = bool(draw.uniform() < 0.25)
        rows = drawn_rows(draw, 2 * EXAMPLES_PER_STEP * STEPS, int(draw.choice([200, 500, 1000])))
        size = f"{shape['num_hidden_layers']} x {shape['hidden_size']}"
        again = " again" if train["recompute"] else ""
        yield Case(f"{number} {family} {size} {budget} {method['kind']}{again}", config, method, train, rows)


# ------------------------------------------------------------------------------------------ plan and measurement


def tokens_of(case: Case) -> TokenSet:
    lengths = np.array([length for length, _ in case.rows])
    supervised = [np.arange(length) >= length - scored for length, scored in case.rows]
    ids = np.random.default_rng(2).integers(5, 1000, int(lengths.sum())).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenSet(ids, np.concatenate(supervised), offsets, tuple(str(row) for row in range(len(lengths))))


def planned(case: Case, stored_bytes: int) -> Plan:
    fields = {"name": "a", "base": "b", "task": "json_extraction", "data": {"source": "lathe:edge_json"}}
    recipe = Recipe.model_validate({**fields, "method": case.method, "train": case.train})
    gpu = gpus.used()
    machine = Machine(
        free_bytes=10**12,
        rates={},
        computes_bf16=computes_bf16(),
        has_avx512=has_avx512(),
        has_tiles=has_tiles(),
        compiles=compiler() is not None,
        has_bitsandbytes=find_spec("bitsandbytes") is not None,
        probe=probed("cuda" if gpu else "cpu"),
        cores=usable_cores(),
        gpu=gpu,
    )
    return forecast(recipe, case.config, tokens_of(case), {"test": Answers(1, 1)}, stored_bytes, machine, "")


def child(case: Case, folder: Path) -> None:
    """Trains, and prints the result as one line."""
    from lathe.trainers.native import TRAINER

    tokens_of(case).save(folder / "tokens.safetensors")
    job = TrainJob(
        base_folder=str(folder / "base"),
        tokens_path=str(folder / "tokens.safetensors"),
        out_folder=str(folder / "train"),
        method=case.method,
        train=case.train,
        seed=0,
        job_hash="",
    )
    print(json.dumps(TRAINER.train(job, lambda told: None).dump()))


def write_base(config: dict[str, Any], folder: Path) -> None:
    """A base of that shape with random weights in bf16."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = {key: value for key, value in config.items() if key != "model_type"}
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(config["model_type"], **settings), dtype=torch.bfloat16
    )
    model.save_pretrained(folder)


def run(part: str, case: Case, folder: Path) -> str:
    """One part of a case in a process of its own; its last line."""
    given = json.dumps([part, asdict(case), str(folder)])
    done = subprocess.run(
        [sys.executable, __file__, "--child"],
        input=given,
        capture_output=True,
        text=True,
        env=LIBRARY_SETTINGS | os.environ,
    )
    if done.returncode:
        raise SystemExit(f"{case.name}: {done.stderr[-2000:]}")
    return (done.stdout.strip().split("\n") or [""])[-1]


def measured(case: Case) -> tuple[Plan, TrainResult]:
    """A case as it was planned, and as it went."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run("base", case, folder)
        stored = sum(file.stat().st_size for file in (folder / "base").glob("*.safetensors"))
        return planned(case, stored), TrainResult.from_json(run("train", case, folder))


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=[*SHAPES, "none"], default="smollm2-135m")
    parser.add_argument("--budgets", type=_numbers, default=list(BUDGETS))
    parser.add_argument("--random", type=int, default=0, help="so many small configurations beside the shape")
    parser.add_argument("--seed", type=int, default=1, help="from which those are drawn")
    parser.add_argument("--only", type=_numbers, default=[], help="numbers of those that are trained; all without this")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        part, fields, folder = json.load(sys.stdin)
        case = Case(**fields)
        child(case, Path(folder)) if part == "train" else write_base(case.config, Path(folder) / "base")
        return
    every = [] if asked.shape == "none" else list(cases(asked.shape, asked.budgets, asked.threads))
    drawn = enumerate(random_cases(asked.random, asked.threads, asked.seed))
    every += [case for number, case in drawn if number in asked.only or not asked.only]
    errors, wrong = [], 0
    print(f"{'case':40} {'step':>14} {'planned':>9} {'measured':>9} {'error':>7}   largest term")
    for case in every:
        plan, result = measured(case)
        peak, step, precision = result.peak_bytes, re.split("[,:]", result.step_kind)[0], result.precision
        foretold = plan.measurable_bytes
        error = foretold.value / peak - 1
        errors.append(abs(error))
        wrong += peak > foretold.high
        largest = max(plan.memory, key=lambda term: term.num_bytes)
        said = f"{step} {precision}" + ("" if (step, precision) == (plan.step_kind, plan.precision) else " (!)")
        sizes = f"{foretold.value / 1e6:7.0f}MB {peak / 1e6:7.0f}MB"
        print(f"{case.name:40} {said:>14} {sizes} {error:+7.1%}   {largest.name}", flush=True)
    print(
        f"\n{len(errors)} trainings: median error {statistics.median(errors):.1%}, largest {max(errors):.1%}; "
        f'"fits" wrong {wrong} times'
    )


if __name__ == "__main__":
    main()
