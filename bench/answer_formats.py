"""New tokens a second of generation in fp32, bf16 and int8 (`evaluate.precision`), one answer at a time and several at once.

    python bench/answer_formats.py                              # SmolLM2-135M's shape, random weights: a minute on two cores
    python bench/answer_formats.py --shape nano --threads 1

Prompts of drawn tokens, so nothing can be guessed from them; the formats take turns, and the first answer of each is not counted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import get_args

import numpy as np

from lathe.contracts import Model
from lathe.engine import devices
from lathe.engine.generate import Taken, generate, taken
from lathe.engine.model import load_to_answer
from lathe.engine.writing import Prompt
from lathe.records.recipe import AnswerPrecision
from plan_accuracy import SHAPES, config_of, write_base

PROMPT, NEW = 200, 48


def prompts_of(count: int, words: int) -> list[Prompt]:
    """Prompts of drawn tokens; each answer ends at its limit."""
    draw = np.random.default_rng(0)
    return [Prompt(draw.integers(4, words, PROMPT).tolist(), NEW, None) for _ in range(count)]


def tokens_a_second(weights: Taken, prompts: list[Prompt]) -> float:
    begun = time.perf_counter()
    made = list(generate(weights, prompts, token_budget=16384, stop_ids=frozenset()))
    return sum(len(answer.ids) for answer in made) / (time.perf_counter() - begun)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-135m")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    shape, formats = SHAPES[asked.shape], get_args(AnswerPrecision)
    found: dict[tuple[int, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as name, devices.threads(asked.threads) as threads:
        write_base(config_of(shape), Path(name))
        for _ in range(asked.rounds):
            for precision in formats:
                weights = taken(load_to_answer(Model(Path(name), precision=precision)))
                tokens_a_second(weights, prompts_of(1, shape["vocab_size"]))
                for count in asked.at_once:
                    rate = tokens_a_second(weights, prompts_of(count, shape["vocab_size"]))
                    found.setdefault((count, precision), []).append(rate)
    print(f"{asked.shape}, {threads} threads, prompts of {PROMPT} tokens: new tokens a second")
    for count in asked.at_once:
        told = (f"{precision} {', '.join(f'{rate:.0f}' for rate in found[count, precision])}" for precision in formats)
        print(f"{count:4d} at once   {' · '.join(told)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
