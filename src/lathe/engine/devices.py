"""The machine under the engine: threads, device, number format, and what can be read from its gauges while it works.

What was chosen is said in the result; a gauge that cannot be read is left out.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import psutil
import torch
from torch import Tensor

from lathe.engine import arena
from lathe.errors import says_out_of_memory
from lathe.processes import forget_peak, peak_resident, usable_cores

Precision = Literal["fp32", "bf16"]


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[int]:
    """torch computes with so many CPU threads inside the block (None = all usable cores)."""
    before = torch.get_num_threads()
    chosen = count or usable_cores()
    torch.set_num_threads(chosen)
    try:
        yield chosen
    finally:
        torch.set_num_threads(before)


ROUNDING = 2e-6
"""Largest relative error of a product that counts as float32: 2.5e-7 by MKL and 3.9e-7 by oneDNN, and bf16 has 3e-3."""


@contextlib.contextmanager
def fast_products() -> Iterator[None]:
    """Inside the block float32 products on a CPU are oneDNN's, where those are float32's to the last digits.

    On AMD processors torch's default, MKL, takes a slower path: 119 against 259 GFLOP/s on one core with AVX-512. The setting that
    asks for oneDNN permits bf16 as well, which processors with AMX would then compute in; hence the trial, once a process. Without
    AVX-512 MKL's are as fast (65 to 85 GFLOP/s on one core of Zen 3, by either).
    """
    with _through_onednn() if multiplies_by_onednn() else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _through_onednn() -> Iterator[None]:
    matmul = torch.backends.mkldnn.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before


@functools.cache
def multiplies_by_onednn() -> bool:
    """Whether float32 products can be oneDNN's and then round as float32 does, tried on those that training forms: wide, narrow
    and batched ones. torch asks it where it can compute bf16, which takes AVX-512 of x86, and else goes on with MKL."""
    if not asks_onednn():
        return False
    generator = torch.Generator().manual_seed(0)
    pairs = [
        (torch.randn(*left, generator=generator), torch.randn(*right, generator=generator))
        for left, right in (((256, 576), (576, 512)), ((16, 1536), (1536, 64)), ((4, 64, 64), (4, 64, 128)))
    ]
    with _through_onednn():
        return all(rounding(left @ right, left.double() @ right.double()) < ROUNDING for left, right in pairs)


def asks_onednn() -> bool:
    """Whether torch leaves products of matrices to oneDNN on this processor, those of bf16 always."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def compiles_products(narrow: torch.dtype) -> bool:
    """Whether products of such numbers are oneDNN's (in `fast_products`), which makes code for every shape that it meets."""
    return asks_onednn() if narrow == torch.bfloat16 else narrow == torch.float32 and multiplies_by_onednn()


def rounding(found: Tensor, exact: Tensor) -> float:
    """Relative error of numbers, over all of them together."""
    return float((found.double() - exact).norm() / exact.norm())


SMALL_MODEL = 30_000_000
"""Parameters below which one thread decodes: a layer's product for a few dozen tokens ends before a second thread is awake.
Measured on two shared cores with the bundled base: 898 tokens a second with one thread, 57 with two."""


def decoding_threads(asked: int | None, num_parameters: int) -> int:
    """CPU threads for generation: as asked, else one for a small model and all usable cores for a larger one."""
    return asked or (1 if num_parameters < SMALL_MODEL else usable_cores())


def pick_device() -> torch.device:
    """The first CUDA device where there is one, else the CPU."""
    return torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")


def pick_precision(asked: Literal["auto", "fp32", "bf16"], device: torch.device) -> Precision:
    """Number format of the computation. auto: bf16 on a GPU that multiplies it in hardware, else fp32.

    On the CPU auto stays with fp32: the reference step is a fifth faster in bf16, but oneDNN, which computes it, keeps some
    30 MB for every new pack length that it meets. The fused step has few lengths, and takes bf16 where `computes_bf16` says so.
    bench/train_step.py prints all of it.
    """
    if asked != "auto":
        return asked
    # torch also calls bf16 supported where it is emulated, as on a T4, which has no faster products for it.
    in_hardware = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if in_hardware else "fp32"


def computes_bf16() -> bool:
    """Whether this CPU multiplies bf16 matrices in hardware (AVX512-BF16 or AMX), which is where bf16 is faster than fp32."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def processor() -> str:
    """What decides the last digits of a product on this machine: the processor, the widest instructions that torch may use, and
    those for bf16, by which oneDNN chooses its code."""
    able = torch.cpu.get_capabilities()
    narrow = [name for name in ("amx_bf16", "avx512_bf16") if able.get(name)]
    return " ".join([able.get("cpu_name", "unknown"), torch.backends.cpu.get_cpu_capability(), *narrow])


def reset_peak(device: torch.device) -> None:
    """Forgets the peak of what ran before, so that `peak_bytes` tells of what follows; what was freed goes back to the system.

    Where the kernel does not allow it (only Linux does), the peak stays that of the whole process.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    give_back_memory()
    forget_peak(os.getpid())


def keep_freed_memory() -> None:
    """From now on what this process frees stays with it for the next tensor of that size, however large, until `give_back_memory`.

    glibc alone is told: it hands blocks of more than 32 MB back at once, and the kernel fills new ones with zeros, which took 8 to
    10 % of a fused step of SmolLM2-135M's shape.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        options = ctypes.CDLL(None).mallopt
        options(_M_MMAP_MAX, 0)
        options(_M_TRIM_THRESHOLD, 2**31 - 1)


_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


def give_back_memory() -> None:
    """What was freed and is still kept by an allocator goes back to the system or the driver, for other work to come."""
    arena.give_back()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc's alone
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def peak_bytes(device: torch.device) -> int:
    """Peak resident memory of this process on the CPU, on a GPU the most of its that torch had reserved, since `reset_peak`."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    marked = peak_resident(os.getpid())
    if marked is not None:
        return marked
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, in any of the ways torch has to say it."""
    return isinstance(error, torch.OutOfMemoryError) or says_out_of_memory(error)


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
