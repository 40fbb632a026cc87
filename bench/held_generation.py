"""What it costs to hold answers to a JSON Schema while they are written, and whether they fit it then.

    python bench/held_generation.py --base src/lathe/assets/nano --prompts 64

The prompts are generated extraction rows with the schema shown; each answer has room for a quarter more than the right one. The
same prompts are answered freely and held to the row's schema, bounded as right answers are, by the base as it is: one that was not
tuned for them. CPU time counts, of one thread, so that other work on the machine matters little.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch

from lathe import plugins
from lathe.conformity import conforms
from lathe.conformity.narrowed import Bounds, bounded, closed
from lathe.contracts import JsonForm
from lathe.engine.generate import generate, taken
from lathe.engine.grammar import Grammars
from lathe.engine.model import load_base
from lathe.engine.writing import Answer, Prompt
from lathe.records import Example, Json, TaskSetup
from lathe.text import render, tokenizer
from lathe.text.tokenizer import Tokenizer


def rows_of(count: int) -> tuple[list[Example], TaskSetup]:
    corpus, task = plugins.load("corpora", "edge_json"), plugins.load("tasks", "json_extraction")
    setup = TaskSetup(schemas=dict(corpus.schemas()), schema_in_prompt=True)
    return [task.example(row, setup) for row in islice(corpus.rows(7, count), count)], setup


def fits(tok: Tokenizer, schema: Json, answer: Answer) -> bool:
    try:
        return bool(conforms(schema, json.loads(tok.decode(answer.ids))))
    except ValueError:
        return False


def line(name: str, cpu_seconds: float, answers: Sequence[Answer], num_fit: int) -> None:
    new = sum(len(answer.ids) + 1 for answer in answers)
    ended = sum(answer.finish == "stop" for answer in answers)
    rate = f"{new / cpu_seconds:7,.0f} tokens a CPU second"
    print(f"{name:<16} {cpu_seconds:7.1f} s CPU {rate}   {ended} of {len(answers)} ended, {num_fit} fit their schema")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--prompts", type=int, default=64)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    examples, setup = rows_of(asked.prompts)
    tok, weights = tokenizer.load(asked.base), taken(load_base(asked.base))
    schemas = [setup.schemas[example.meta["schema"]] for example in examples]
    bounds = Bounds.over(example.target for example in examples)
    free = [
        Prompt(one.ids[: one.num_prompt].tolist(), int(1.25 * (len(one.ids) - one.num_prompt)) + 16)
        for one in render.encode_all(tok, examples)
    ]
    held = [
        replace(prompt, form=JsonForm(bounded(closed(schema), bounds)))
        for prompt, schema in zip(free, schemas, strict=True)
    ]
    grammars = Grammars(tok, tok.stop_ids)
    for name, prompts in (("free", free), ("held to its form", held)):
        begun = time.process_time()
        answers = list(generate(weights, prompts, token_budget=16384, stop_ids=tok.stop_ids, grammars=grammars))
        seconds = time.process_time() - begun
        line(name, seconds, answers, sum(fits(tok, schemas[answer.index], answer) for answer in answers))


if __name__ == "__main__":
    main()
