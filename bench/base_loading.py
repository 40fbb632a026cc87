"""How long the bundled base takes to load where torch and transformers are loaded: the model as it answers, and its tokenizer.

    python bench/base_loading.py                # five processes, one after the other

Each process imports first what any use of a base needs, and then loads it once, as a run does.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from lathe.resolve.base import bundled
from recorded import here, keep

CHILD = """
import sys, time
from pathlib import Path
import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM
from lathe.engine.model import Model, load_to_answer
from lathe.text import tokenizer
begun = time.perf_counter()
load_to_answer(Model(Path(sys.argv[1])))
model = time.perf_counter()
tokenizer.load(Path(sys.argv[1]))
print(model - begun, time.perf_counter() - model)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repetitions", type=int, default=5)
    asked = parser.parse_args()
    base = bundled("lathe:nano")
    taken: list[tuple[float, float]] = []
    for _ in range(asked.repetitions):
        done = subprocess.run([sys.executable, "-c", CHILD, str(base)], capture_output=True, text=True, check=True)
        model, tokens = map(float, done.stdout.split())
        taken.append((model, tokens))
        print(f"model {model:.3f} s, tokenizer {tokens:.3f} s, together {model + tokens:.3f} s", flush=True)
    together = [sum(one) for one in taken]
    print(f"median {statistics.median(together):.3f} s, {min(together):.3f} to {max(together):.3f} s")
    keep("base_loading", here() | {"seconds": together, "of_the_model": [model for model, _ in taken]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
