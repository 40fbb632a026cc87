"""What the machine is, read from the system: no torch, no network, under a tenth of a second without a GPU."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from lathe import control_group, gpus
from lathe.processes import usable_cores
from lathe.records import Json

FEATURES = {
    "avx2": "avx2",
    "avx512f": "avx512f",
    "avx512_bf16": "avx512_bf16",
    "amx_bf16": "amx",
    "asimd": "neon",
    "bf16": "bf16",
}
"""Flags of /proc/cpuinfo that change how fast or in which precision a step runs, with the name that people know."""
PACKAGES = ("lathe-slm", "torch", "transformers", "peft", "tokenizers", "safetensors", "numpy", "huggingface_hub")
TOP_PROCESSES = 3


def describe(folder: Path) -> dict[str, Json]:
    """The machine as a JSON object; sizes in bytes. `folder`: whose file system the disk figures are for."""
    memory, limit = psutil.virtual_memory().total, control_group.memory_limit()
    return {
        "os": platform.platform(),
        "cpu": cpu_model(),
        "cores": cores(),
        "cores_present": os.cpu_count(),
        "features": features(),
        "memory_bytes": memory if limit is None else limit,
        "free_bytes": control_group.free_memory(),
        "disk_free_bytes": disk_free(folder),
        "gpus": gpus.found(),
        "python": platform.python_version(),
        "packages": packages(),
        "largest_processes": largest_processes(),
    }


def cpuinfo() -> dict[str, str]:
    """First processor of /proc/cpuinfo; empty where there is none."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.strip():
                break
            key, _, value = line.partition(":")
            found[key.strip()] = value.strip()
    return found


def cpu_model() -> str:
    """Name of the processor."""
    return cpuinfo().get("model name") or platform.processor() or platform.machine()


def features() -> list[str]:
    """Instruction sets that matter here, of those in FEATURES."""
    info = cpuinfo()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    return [name for flag, name in FEATURES.items() if flag in flags]


def cores() -> float:
    """Cores that this process may use: its affinity, and the quota of its control group where there is one."""
    allowed = usable_cores()
    quota = control_group.cpu_quota()
    return allowed if quota is None or quota >= allowed else round(quota, 2)


def disk_free(folder: Path) -> int:
    """Free bytes on the file system of a folder, or of its nearest parent that is there."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def packages() -> dict[str, str]:
    """Versions of what is installed."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def largest_processes() -> list[Json]:
    """The three processes that hold most memory: what could be closed."""
    found = []
    for process in psutil.process_iter(["name", "pid", "memory_info"]):
        info = process.info
        if info["memory_info"] is not None:
            found.append({"name": info["name"], "pid": info["pid"], "bytes": info["memory_info"].rss})
    return sorted(found, key=lambda one: -one["bytes"])[:TOP_PROCESSES]
