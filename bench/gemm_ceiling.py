"""How fast this machine multiplies matrices: the ceiling that steps of training are held against.

    python bench/gemm_ceiling.py --threads 1
    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 python bench/gemm_ceiling.py      # as a processor of that instruction set

Operations a CPU second of the products of SmolLM2-135M's layers and head (2,048 tokens, 512 of them at the head), in fp32 and bf16;
in fp32 by both libraries that torch can multiply by, of which the faster one counts. A round is the best of five products, for what
slows one of them is not the processor's limit; the table has the median round and the spread. Appends to
bench/results/gemm_ceiling.jsonl.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import recorded

if TYPE_CHECKING:
    import torch

PRODUCTS = {"body": ((2048, 576, 3072), (2048, 1536, 576)), "head": ((512, 576, 49152),)}
"""m, k, n of the products, of a transformer's layers and of its head."""
CAPS = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")
"""Settings of the environment that make less of a processor than it is."""
TRIES = 5


def caps() -> dict[str, str]:
    """Those that are set."""
    return {name: os.environ[name] for name in CAPS if name in os.environ}


def rates() -> dict[str, float]:
    """Operations a CPU second by part and number format, `body bf16` say."""
    import torch

    found = {}
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        for part, sizes in PRODUCTS.items():
            found[f"{part} {precision}"] = statistics.mean(rate(*size, dtype) for size in sizes)
    return found


def rate(m: int, k: int, n: int, dtype: torch.dtype) -> float:
    """Operations a CPU second of one product, weights transposed as a layer has them."""
    import torch

    from lathe.engine.devices import fast_products

    a, b = torch.randn(m, k, dtype=dtype), torch.randn(n, k, dtype=dtype).T
    best = float("inf")
    for library in (nullcontext(), fast_products()):
        with library:
            a @ b  # what is made for a new shape is made here
            for _ in range(TRIES):
                begun = time.process_time()
                a @ b
                best = min(best, time.process_time() - begun)
    return 2 * m * k * n / best


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    rounds = [rates() for _ in range(asked.rounds)]
    by_kind = {kind: sorted(one[kind] for one in rounds) for kind in rounds[0]}
    print(f"  {'GFLOP a CPU second':20} {'median':>8} {'spread':>16}")
    for kind, several in by_kind.items():
        spread = f"{several[0] / 1e9:.0f} to {several[-1] / 1e9:.0f}"
        print(f"  {kind:20} {statistics.median(several) / 1e9:8.0f} {spread:>16}")
    recorded.keep(
        "gemm_ceiling", {"threads": asked.threads, "caps": caps(), "rates": by_kind, **recorded.here(("torch",))}
    )


if __name__ == "__main__":
    main()
