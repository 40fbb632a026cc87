"""How well does a base copy? Random strings of 4 to 64 tokens, again after up to 8,000 tokens.

    python bench/copying.py src/lathe/assets/nano
    python bench/copying.py src/lathe/assets/nano --count 128 --lengths 4 16 --distances 512
    python bench/copying.py src/lathe/assets/nano --strings tokens     # single random tokens instead of stretches of
    coined words

Prints the share of strings given back without a fault, with its 95 % Wilson interval, by length and distance in
tokens. Teacher forced: each token must be the likeliest one after the true ones, which is the same as greedy
generation giving the whole string back.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from lathe.engine.attention import PACKED, register_attention
from lathe.engine.examine import Examiner
from lathe.pretraining import COPY_WORDS, find_pretrain_recipe, pretraining_corpus, read_pretrain_recipe
from lathe.records.pretrain import PretrainRecord
from lathe.stats import wilson


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Copying scores of a base folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lengths", type=int, nargs="+", default=[4, 8, 16, 32, 64])
    parser.add_argument("--distances", type=int, nargs="+", default=[128, 512, 1024, 2048, 4096, 8000])
    parser.add_argument(
        "--count", type=int, default=32, help="strings at short distances; fewer, but at least 8, at long ones"
    )
    parser.add_argument(
        "--strings", choices=("words", "tokens"), default="words", help="coined words, or single random tokens"
    )
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    register_attention()
    done = arguments.folder / "pretrain.json"
    recipe = (
        PretrainRecord.from_json(done.read_text(encoding="utf-8")).recipe
        if done.exists()
        else read_pretrain_recipe(find_pretrain_recipe("nano"))
    )
    began = time.monotonic()
    network = AutoModelForCausalLM.from_pretrained(arguments.folder, attn_implementation=PACKED).eval()
    print(f"loaded in {time.monotonic() - began:.2f} s, {sum(p.numel() for p in network.parameters()):,} parameters")
    tokenizer = Tokenizer.from_file(str(arguments.folder / "tokenizer.json"))
    corpus = pretraining_corpus(recipe.corpus)
    examiner = Examiner(recipe, corpus.documents, tokenizer)
    words = corpus.words(recipe.seed, COPY_WORDS) if arguments.strings == "words" else None
    for length in arguments.lengths:
        for distance in arguments.distances:
            for score in examiner.copying(network, (length,), (distance,), arguments.count, words):
                low, high = wilson(round(score.exact * score.num_strings), score.num_strings, 0.95)
                print(
                    f"{length:4d} tokens at {distance:5d}: {score.exact:.2f} [{low:.2f}, {high:.2f}] n={score.num_strings}",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
