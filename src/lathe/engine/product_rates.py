"""How fast this machine multiplies matrices: what `lathe doctor --probe` asks in a child process, some 10 s.

    python -m lathe.engine.product_rates  ->  {"device": "cpu", "threads": 2, "fp32": 1.2e11, "bf16": 0.9e11}

Operations a second (2 for a multiply and add) of the products that training is made of: 512 tokens by layers of 576 and 1,536 on
a CPU, 4,096 tokens by layers of 4,096 on a GPU. The best of several rounds counts: other work slows the rest.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch

SECONDS = 4.0
"""Time for each number format."""
SHAPES = {"cpu": ((512, 576, 1536), (512, 1536, 576)), "cuda": ((4096, 4096, 11008), (4096, 11008, 4096))}


def rate(dtype: torch.dtype, device: str, seconds: float = SECONDS) -> float:
    """Operations a second of the products of SHAPES, the best of at least three rounds."""
    pairs = [
        (torch.randn(m, k, device=device).to(dtype), torch.randn(k, n, device=device).to(dtype))
        for m, k, n in SHAPES[device]
    ]
    work = sum(2 * m * k * n for m, k, n in SHAPES[device])
    best, end, rounds = 0.0, time.perf_counter() + seconds, 0
    while rounds < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(10):
            for left, right in pairs:
                left @ right
        if device == "cuda":
            torch.cuda.synchronize()
        best = max(best, 10 * work / (time.perf_counter() - start))
        rounds += 1
    return best


def main() -> int:
    """Measures both formats and prints them."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name(0) if device == "cuda" else "cpu"
    found: dict[str, Any] = {"device": name, "threads": torch.get_num_threads()}
    found |= {"fp32": rate(torch.float32, device), "bf16": rate(torch.bfloat16, device)}
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
