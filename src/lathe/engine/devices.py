"""The machine under the engine: threads, device, number format, and what can be read from its gauges while it works.

Every choice is made by measuring on this machine and is said in the result, never assumed.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import psutil
import torch

Precision = Literal["fp32", "bf16"]


def usable_threads() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[int]:
    """torch computes with so many CPU threads inside the block (None = all usable cores)."""
    before = torch.get_num_threads()
    chosen = count or usable_threads()
    torch.set_num_threads(chosen)
    try:
        yield chosen
    finally:
        torch.set_num_threads(before)


def pick_device() -> torch.device:
    """The first CUDA device where there is one, else the CPU."""
    return torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")


def pick_precision(asked: Literal["auto", "fp32", "bf16"], device: torch.device) -> Precision:
    """Number format of the computation. auto: bf16 on a GPU that has it, else fp32.

    On the CPU auto stays with fp32: for bases of a few million parameters element-wise work and casts outweigh the faster matrix
    products (bench/train_step.py prints both), and fp32 resumes to the same bytes on any instruction set.
    """
    if asked != "auto":
        return asked
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"


@contextlib.contextmanager
def exact_fast_matmul() -> Iterator[bool]:
    """Routes float32 matrix products on the CPU through oneDNN inside the block where that is exact; yields whether it is.

    torch's default (MKL) takes its AVX2 path on AMD processors; oneDNN's AVX-512 kernel is about twice as fast. The switch is
    spelled "bf16", and on processors with AMX it would round to bf16 indeed: a probe decides, and keeps the default where the
    error is above that of float32 arithmetic.
    """
    setting = torch.backends.mkldnn.matmul
    before = setting.fp32_precision
    setting.fp32_precision = "bf16"
    try:
        exact = _float32_is_kept()
        if not exact:
            setting.fp32_precision = before
        yield exact
    finally:
        setting.fp32_precision = before


def _float32_is_kept() -> bool:
    """Largest relative error of a few products below 1e-5: float32 gives some 5e-7, bf16 operands some 4e-3."""
    generator = torch.Generator().manual_seed(0)
    for m, k, n in ((512, 256, 512), (300, 256, 1024), (64, 1024, 256)):
        a, b = torch.randn(m, k, generator=generator), torch.randn(n, k, generator=generator)
        exact = a.double() @ b.double().T
        error = ((a @ b.T).double() - exact).norm() / exact.norm()
        if not error < 1e-5:
            return False
    return True


def peak_bytes(device: torch.device) -> int:
    """Peak resident memory of this process on the CPU, peak allocated memory on a GPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, in any of the ways torch has to say it."""
    said = str(error).lower()
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and ("out of memory" in said or "can't allocate memory" in said)
    )


@dataclass
class Gauges:
    """Readings of the machine between one call of `read` and the next."""

    device: torch.device
    _process: psutil.Process = field(default_factory=psutil.Process)
    _wall: float = field(default_factory=time.monotonic)
    _busy: float = field(default_factory=time.process_time)

    def read(self) -> dict[str, float]:
        """rss_bytes; cpu_utilisation (cores kept busy by this process); gpu_* where the driver tells."""
        wall, busy = time.monotonic(), time.process_time()
        elapsed = max(wall - self._wall, 1e-9)
        readings = {
            "rss_bytes": float(self._process.memory_info().rss),
            "cpu_utilisation": (busy - self._busy) / elapsed,
        }
        self._wall, self._busy = wall, busy
        if self.device.type == "cuda":
            readings["gpu_bytes"] = float(torch.cuda.memory_allocated(self.device))
            # Both need the NVML package; a machine without it trains as well, with these two readings left out.
            with contextlib.suppress(ModuleNotFoundError, RuntimeError):
                readings["gpu_utilisation"] = torch.cuda.utilization(self.device) / 100
                readings["gpu_celsius"] = float(torch.cuda.temperature(self.device))
        return readings
