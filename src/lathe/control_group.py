"""What a container, a batch system or a service manager lets this process have: the limits of its control groups.

    free_memory()       bytes: what the machine has free, or what is left below the tightest limit
    memory_limit()      bytes; None = no limit below the machine's memory
    cpu_quota()         cores' worth of time; None = no limit

A process lies in a folder of groups, and the limits of its parents hold too. Linux alone has them, in two versions; both are
read as the kernel documents them (Documentation/admin-guide/cgroup-v1/memory.rst, cgroup-v2.rst).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil

GROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
"""`0::/user.slice/job` (version 2) and `9:memory:/job` (version 1): the groups of this process."""


def free_memory() -> int:
    """Bytes that this process may still take."""
    return min([psutil.virtual_memory().available, *(max(0, limit - used) for limit, used in _memory())])


def memory_limit() -> int | None:
    """Bytes that the groups allow; None = no limit below the machine's memory."""
    return min((limit for limit, _ in _memory()), default=None)


def cpu_quota() -> float | None:
    """Cores' worth of time that the groups allow; None = no limit."""
    found = []
    for folder in _folders("cpu"):
        with contextlib.suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
            found += [] if quota == "max" else [int(quota) / int(period)]
        with contextlib.suppress(OSError, ValueError):
            quota_us = int((folder / "cpu.cfs_quota_us").read_text(encoding="utf-8"))
            found += (
                [] if quota_us <= 0 else [quota_us / int((folder / "cpu.cfs_period_us").read_text(encoding="utf-8"))]
            )
    return min(found, default=None)


def _memory() -> Iterator[tuple[int, int]]:
    """Limit and what is taken of it, file cache left out, of each group that has a limit."""
    total = psutil.virtual_memory().total
    for folder in _folders("memory"):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            with contextlib.suppress(OSError, ValueError):
                allowed = int((folder / limit).read_text(encoding="utf-8"))
                if allowed < total:
                    yield allowed, max(0, int((folder / used).read_text(encoding="utf-8")) - _cached(folder))


def _cached(folder: Path) -> int:
    """Bytes of files that the kernel gives back where memory is wanted."""
    stat = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="utf-8").strip().split("\n"))
    return int(stat.get("total_inactive_file") or stat.get("inactive_file") or 0)


def _folders(controller: str) -> Iterator[Path]:
    """Of this process's groups, the innermost first. In a container the path that the kernel names may lie out of sight."""
    named = ["0::/", f"0:{controller}:/"]
    with contextlib.suppress(OSError):
        named += OWN.read_text(encoding="utf-8").split("\n")
    seen = set()
    for line in named:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        root = GROUPS / controller if controllers else GROUPS
        inner = root / path.lstrip("/")
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(root) and folder not in seen:
                seen.add(folder)
                yield folder
