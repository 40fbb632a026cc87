"""NVIDIA GPUs as the driver tells: sizes, what is free, and which process holds how much. No torch.

    found()         [{"name": "NVIDIA H200", "memory_bytes": ..., "processes": [{"pid": 7, "name": "python", "bytes": ...}]}]
    driver_cuda()   "12.8", the newest CUDA that the driver serves; None where nobody says

Through NVML where the package nvidia-ml-py is installed, else through the driver's own tool nvidia-smi, which names no processes.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from lathe.records import Json

FIELDS = ("name", "memory.total", "memory.free", "driver_version", "compute_cap")


def found() -> list[Json]:
    """Every GPU; empty where there is none, or no driver that answers."""
    nvml = opened()
    if nvml is None:
        return by_tool()
    try:
        driver = text(nvml.nvmlSystemGetDriverVersion())
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        return [device(nvml, handle, driver) for handle in handles]
    except nvml.NVMLError:
        return by_tool()
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


def by_tool() -> list[Json]:
    """GPUs as nvidia-smi lists them."""
    lines = tool(f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits").strip().split("\n")
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
