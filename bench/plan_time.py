"""The plan's seconds against the clock: after the probe alone, and as foretold from the first steps of a training.

    python bench/plan_time.py                          # three shapes, fused and reference steps: 10 minutes on two cores
    python bench/plan_time.py --shapes nano --steps 40
    python bench/plan_time.py --shapes nano --steps 40 --kinds fp32 "two processes" "all weights"    # where bf16 is emulated

The probe is taken anew, then each training runs in a process of its own with rows that are drawn (a fifth to all of 600 tokens, a
fifth to two fifths of them supervised). Nothing is remembered between trainings, so each is the first of its kind on this machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from typing import Any

import numpy as np

from lathe.cli.main import LIBRARY_SETTINGS
from lathe.plan import rates
from plan_accuracy import SHAPES, Case, config_of, drawn_rows, measured

LORA, FULL = {"kind": "lora", "rank": 16, "alpha": 32}, {"kind": "full"}
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bf16": (LORA, {"precision": "bf16"}),
    "fp32": (LORA, {"precision": "fp32"}),
    "fp32 checkpointing": (LORA, {"precision": "fp32", "recompute": True}),
    "two processes": (LORA, {"processes": 2}),
    "all weights": (FULL, {}),
    "all weights, two processes": (FULL, {"processes": 2}),
}
"""What is trained, and how; in the number format of `auto` where none is said."""
QWEN = {
    "vocab_size": 32768, "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 12,
    "num_attention_heads": 14, "num_key_value_heads": 2, "head_dim": 64,
}  # fmt: skip
"""Half of Qwen2.5-0.5B's layers and a fifth of its words."""
EVERY_SHAPE = {**SHAPES, "half qwen2.5-0.5b": QWEN}
EXAMPLES_PER_STEP = 8


def case(shape: str, kind: str, steps: int) -> Case:
    method, of_kind = KINDS[kind]
    train = {
        "token_budget": 2048, "threads": None, "examples_per_step": EXAMPLES_PER_STEP, "max_steps": steps, "epochs": 100.0,
        **of_kind,
    }  # fmt: skip
    rows = drawn_rows(np.random.default_rng(0), EXAMPLES_PER_STEP * steps, 600)
    model_type = "qwen2" if "qwen" in shape else "llama"
    return Case(f"{shape} {kind}", config_of(EVERY_SHAPE[shape], model_type), method, train, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=EVERY_SHAPE, default=list(EVERY_SHAPE))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--steps", type=int, default=12)
    asked = parser.parse_args()
    os.environ.update(LIBRARY_SETTINGS)  # as for the command line, whose probe has its settings
    errors: dict[str, list[float]] = {"the probe": [], "the first steps": []}
    with tempfile.TemporaryDirectory() as state:
        os.environ["XDG_STATE_HOME"] = state
        print(f"probed: {len(rates.probe().steps)} kinds of step")
        print(f"{'training':44} {'probe':>8} {'first steps':>12} {'taken':>8}")
        for shape in asked.shapes:
            for kind in asked.kinds:
                given = case(shape, kind, asked.steps)
                plan, result = measured(given)
                probed = plan.train_seconds.value if plan.train_seconds else float("nan")
                foretold, took = result.forecast_seconds or float("nan"), result.train_seconds
                errors["the probe"].append(abs(probed / took - 1))
                errors["the first steps"].append(abs(foretold / took - 1))
                told = f"{probed:6.1f} s {foretold:10.1f} s {took:6.1f} s"
                print(f"{given.name:44} {told}   {probed / took - 1:+.0%} {foretold / took - 1:+.0%}", flush=True)
    for source, several in errors.items():
        print(f"after {source}: median error {statistics.median(several):.0%}, largest {max(several):.0%}")


if __name__ == "__main__":
    main()
