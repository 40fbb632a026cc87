"""New tokens a second of Lathe's generation and of transformers' `generate`, on the same prompts, texts compared.

    python bench/generate_throughput.py --base src/lathe/assets/nano --prompts 64 --threads 1
    python bench/generate_throughput.py --base src/lathe/assets/nano --shape smollm2-135m --precision bf16 --repetitions 1

The prompts are generated extraction rows with the schema shown, as the base's tokenizer writes them. Both sides compute in one
format, greedily, with the same limits and the same stop tokens. A shape has random weights: each answer is as long as the right
one, and there is nothing to guess. transformers runs at several batch sizes (prompts padded on the left, sorted by length); its
best one counts. All take turns; the table has the median and the spread. Appends to bench/results/generate_throughput.jsonl.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from transformers import PreTrainedModel

import recorded
from lathe import plugins
from lathe.contracts import Model
from lathe.engine import model
from lathe.engine.generate import Taken, generate, taken
from lathe.engine.outline import Outlines
from lathe.engine.slots import MOST_GUESSES
from lathe.engine.writing import Prompt
from lathe.records import TaskSetup
from lathe.text import render, tokenizer
from plan_accuracy import SHAPES, config_of, write_base

NONE, TEXT, BOTH = "no guesses", "guesses from the text", "and from the schema"
Texts = dict[int, list[int]]
"""New ids by prompt, without the token that ended them."""


def prompts_of(base: Path, count: int, seed: int, *, as_long_as_right: bool = False) -> list[Prompt]:
    """Extraction prompts of a seed of the corpus, each with room for its right answer, or for a quarter more."""
    corpus, task = plugins.load("corpora", "edge_json"), plugins.load("tasks", "json_extraction")
    setup = TaskSetup(schemas=dict(corpus.schemas()), schema_in_prompt=True)
    examples = [task.example(row, setup) for row in islice(corpus.rows(seed, count), count)]
    tok = tokenizer.load(base)
    outlines = Outlines(tok)
    return [
        Prompt(
            one.ids[: one.num_prompt].tolist(),
            len(one.ids) - one.num_prompt if as_long_as_right else int(1.25 * (len(one.ids) - one.num_prompt)) + 16,
            outline=outlines.of(task.form(example, setup)),
        )
        for one, example in zip(render.encode_all(tok, examples), examples, strict=True)
    ]


def lathe_texts(
    weights: Taken, prompts: Sequence[Prompt], stop_ids: frozenset[int], guesses: str, token_budget: int
) -> Texts:
    """token_budget: 1 = one prompt at a time."""
    asked = prompts if guesses == BOTH else [replace(prompt, outline=()) for prompt in prompts]
    most = 0 if guesses == NONE else MOST_GUESSES
    made = generate(weights, asked, token_budget=token_budget, stop_ids=stop_ids, most_guesses=most)
    return {answer.index: list(answer.ids) for answer in made}


def transformers_texts(net: PreTrainedModel, prompts: Sequence[Prompt], stop_ids: frozenset[int], batch: int) -> Texts:
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index].ids))
    texts: Texts = {}
    for start in range(0, len(order), batch):
        members = order[start : start + batch]
        longest = max(len(prompts[index].ids) for index in members)
        rows = [[0] * (longest - len(prompts[index].ids)) + list(prompts[index].ids) for index in members]
        seen = [[0] * (longest - len(prompts[index].ids)) + [1] * len(prompts[index].ids) for index in members]
        made = net.generate(
            torch.tensor(rows), attention_mask=torch.tensor(seen), do_sample=False, pad_token_id=0,
            max_new_tokens=max(prompts[index].max_new_tokens for index in members), eos_token_id=sorted(stop_ids) or None,
        )  # fmt: skip
        for index, row in zip(members, made[:, longest:].tolist(), strict=True):
            row = row[: prompts[index].max_new_tokens]
            end = next((place for place, token in enumerate(row) if token in stop_ids), len(row))
            texts[index] = row[:end]
    return texts


def timed(work: Callable[[], Texts]) -> tuple[float, Texts]:
    """Seconds, and the texts."""
    begun = time.perf_counter()
    texts = work()
    return time.perf_counter() - begun, texts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--shape", choices=SHAPES, help="random weights in place of the base's")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 8, 16, 32])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    prompts = prompts_of(asked.base, asked.prompts, asked.seed, as_long_as_right=asked.shape is not None)
    with tempfile.TemporaryDirectory() as name:
        folder = asked.base
        if asked.shape is not None:
            write_base(config_of(SHAPES[asked.shape]), folder := Path(name))
        loaded = Model(folder, precision=asked.precision)
        net, weights = model.load_to_answer(loaded), taken(model.load_to_answer(loaded))
    stop_ids = tokenizer.load(asked.base).stop_ids if asked.shape is None else frozenset()
    if asked.shape is not None:
        net.generation_config.eos_token_id = None
    works: dict[str, Callable[[], Texts]] = {
        f"lathe{how}, {guesses}": partial(lathe_texts, weights, prompts, stop_ids, guesses, token_budget)
        for how, token_budget in (("", 16384), (" one by one", 1))
        for guesses in (NONE, TEXT, BOTH)
        if asked.shape is None or (how, guesses) == ("", NONE)
    }
    works |= {
        f"transformers, batch {batch}": partial(transformers_texts, net, prompts, stop_ids, batch)
        for batch in asked.batches
    }
    turns = [{name: timed(work) for name, work in works.items()} for _ in range(asked.repetitions)]
    first = turns[0][f"lathe, {NONE}"][1]
    new = sum(len(text) + (asked.shape is None) for text in first.values())
    seconds = {name: sorted(turn[name][0] for turn in turns) for name in works}
    same = {name: min(sum(turn[name][1][index] == first[index] for index in first) for turn in turns) for name in works}
    best = min(statistics.median(several) for name, several in seconds.items() if name.startswith("transformers"))
    print(f"{'':36} {'seconds (spread)':>22} {'tokens/s':>9}  of the best of transformers; texts as without guesses")
    for name, several in seconds.items():
        median = statistics.median(several)
        spread = f"{median:.1f} ({several[0]:.1f} to {several[-1]:.1f})"
        print(f"{name:36} {spread:>22} {new / median:9,.0f}  {best / median:.2f} x; {same[name]} of {len(first)}")
    found = {
        "base": asked.shape or asked.base.name,
        "precision": asked.precision,
        "prompts": asked.prompts,
        "seed": asked.seed,
        "threads": asked.threads,
        "new_tokens": new,
    }
    recorded.keep("generate_throughput", {**found, "seconds": seconds, "same_texts": same, **recorded.here()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
