"""NVIDIA GPUs as the driver tells: sizes, what is free, and which process holds how much. No torch.

    found()         [{"name": "NVIDIA H200", "memory_bytes": ..., "processes": [{"pid": 7, "name": "python", "bytes": ...}]}]
    driver_cuda()   "12.8", the newest CUDA that the driver serves; None where nobody says
    used()          Gpu("NVIDIA H200", free_bytes=..., capability=(9, 0)), the one that torch computes on here; None = the CPU

Through NVML where the package nvidia-ml-py is installed, else through the driver's own tool nvidia-smi, which names no processes.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from lathe.records import Json

FIELDS = ("name", "memory.total", "memory.free", "driver_version", "compute_cap")
BY_NAME = ("GPU-", "MIG-")
"""How names of one card, or of a part of one, begin in CUDA_VISIBLE_DEVICES."""


@dataclass(frozen=True)
class Gpu:
    """A GPU to compute on. free_bytes: of its memory; None where the processor's is its own. capability: of its instructions, such
    as (8, 9)."""

    name: str
    free_bytes: int | None
    capability: tuple[int, int]

    @property
    def computes_bf16(self) -> bool:
        """In hardware, which began with Ampere."""
        return self.capability >= (8, 0)


def used() -> Gpu | None:
    """The GPU that torch takes where nobody says which: the first that CUDA_VISIBLE_DEVICES leaves, in the driver's order, where
    the installed torch was built for a CUDA that the driver serves. None where it computes on the CPU. torch is not loaded."""
    built, asked = torch_cuda(), os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
    if built is None or not serves(driver_cuda(), built):
        return None
    if asked.startswith(BY_NAME):
        cards, place = found(asked), 0
    else:
        cards, place = found(), int(asked) if asked.isdecimal() else -1
    return _told(cards[place]) if 0 <= place < len(cards) else None


def _told(card: Mapping[str, Any]) -> Gpu:
    said = re.fullmatch(r"(\d+)\.(\d+)", str(card["compute_capability"]))
    return Gpu(
        name=card["name"],
        free_bytes=card["free_bytes"],
        capability=(int(said[1]), int(said[2])) if said else (0, 0),
    )


def torch_cuda() -> str | None:
    """The CUDA that the installed torch was built with; None without torch, or for a CPU build."""
    spec = find_spec("torch")
    return built_cuda(Path(spec.origin).parent) if spec is not None and spec.origin else None


def serves(driver: str | None, built: str) -> bool:
    """Whether a driver for one CUDA runs what was built for another: of the same major version, or of an older one."""
    return driver is None or int(built.partition(".")[0]) <= int(driver.partition(".")[0])


def found(only: str | None = None) -> list[Json]:
    """Every GPU, or the one of this name (UUID); empty where there is none, or no driver that answers."""
    nvml = opened()
    if nvml is None:
        return by_tool(only)
    try:
        driver = text(nvml.nvmlSystemGetDriverVersion())
        if only is None:
            handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        else:
            handles = [nvml.nvmlDeviceGetHandleByUUID(only)]
        return [device(nvml, handle, driver) for handle in handles]
    except nvml.NVMLError:
        return by_tool(only)
    finally:
        nvml.nvmlShutdown()


def opened() -> ModuleType | None:
    """NVML, begun; None without the package or without a driver."""
    try:
        nvml = import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    return nvml


def device(nvml: Any, handle: Any, driver: str) -> Json:
    """One GPU. What a card does not tell is None."""
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    capability: Json = None
    with contextlib.suppress(nvml.NVMLError):
        capability = ".".join(map(str, nvml.nvmlDeviceGetCudaComputeCapability(handle)))
    holders = []
    with contextlib.suppress(nvml.NVMLError):
        holders = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    return {
        "name": text(nvml.nvmlDeviceGetName(handle)),
        "memory_bytes": int(memory.total),
        "free_bytes": int(memory.free),
        "driver": driver,
        "compute_capability": capability,
        "processes": [{"pid": one.pid, "name": named(one.pid), "bytes": one.usedGpuMemory} for one in holders],
    }


def driver_cuda() -> str | None:
    """The newest CUDA version that the driver serves."""
    nvml = opened()
    if nvml is not None:
        try:
            version = int(nvml.nvmlSystemGetCudaDriverVersion())
        except nvml.NVMLError:
            return None
        finally:
            nvml.nvmlShutdown()
        return f"{version // 1000}.{version % 1000 // 10}"
    said = re.search(r"CUDA Version:\s*([0-9.]+)", tool())
    return said.group(1) if said else None


def built_cuda(torch_folder: Path) -> str | None:
    """The CUDA that an installed torch was built with, read from its version.py; None for a CPU build. Nothing is imported."""
    with contextlib.suppress(OSError):
        said = re.search(
            r"^cuda\b[^=]*=\s*['\"]([0-9.]+)['\"]",
            (torch_folder / "version.py").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
        return said.group(1) if said else None
    return None


def by_tool(only: str | None = None) -> list[Json]:
    """GPUs as nvidia-smi lists them."""
    which = [] if only is None else [f"--id={only}"]
    lines = tool(f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits", *which).strip().split("\n")
    return [listed(line) for line in lines if line.count(",") == len(FIELDS) - 1]


def tool(*words: str) -> str:
    """What nvidia-smi prints; empty where it is missing or fails."""
    path = shutil.which("nvidia-smi")
    if path is None:
        return ""
    try:
        return subprocess.run([path, *words], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def listed(line: str) -> Json:
    """`NVIDIA H200, 143771, 143000, 570.1, 9.0` -> name, bytes, free bytes, driver, compute capability."""
    name, total, free, driver, capability = (part.strip() for part in line.split(","))
    return {
        "name": name,
        "memory_bytes": mebibytes(total),
        "free_bytes": mebibytes(free),
        "driver": driver,
        "compute_capability": capability,
    }


def mebibytes(text: str) -> int | None:
    """MiB as text -> bytes; None where the tool does not know."""
    return int(float(text)) << 20 if text.replace(".", "", 1).isdigit() else None


def text(value: str | bytes) -> str:
    """Older NVML packages answer in bytes."""
    return value.decode() if isinstance(value, bytes) else value


def named(pid: int) -> str:
    """A process's name; empty where it is another user's or gone."""
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return ""
