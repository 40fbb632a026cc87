"""What this machine can do, tried and not assumed.

    examine(("native", "lora", "adapter"), inputs)  ->  DoctorReport(machine={cores: 2, ...}, capabilities=(...), ok=True)

Without a GPU about 0.3 s, and what it takes to import torch (in a child process) where torch is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lathe import plugins
from lathe.doctor import probes
from lathe.doctor.machine import describe
from lathe.errors import InputError, did_you_mean
from lathe.processes import usable_cores
from lathe.records import Capability, DoctorReport

ALWAYS = ("disk", "tokenizers")
NEEDS_TORCH = ("native", "lora", "qlora", "full", "adamw8bit")


def examine(asked: Sequence[str], inputs: str, folder: Path | None = None) -> DoctorReport:
    """Examines the machine and tries what was asked for.

    asked: names of trainers, runtimes, exporters, methods (lora, qlora, full), optimisers (adamw8bit) and probes (disk, torch ...).
    With nothing asked, all probes are shown and none is required. folder: where runs will stand; None = the working folder.
    Raises InputError for a name that means nothing.
    """
    start = time.monotonic()
    where = (folder or Path()).absolute()
    leaves = probes.leaves()
    known = (*probes.PROBES, *probes.METHOD_NEEDS, *leaves)
    for name in asked:
        if name not in known:
            raise InputError(f"the doctor knows nothing named {name!r}", hint=did_you_mean(name, known))
    implied = ("torch",) if any(name in NEEDS_TORCH for name in asked) else ()
    wanted = tuple(dict.fromkeys((*ALWAYS, *implied, *asked))) if asked else tuple(probes.PROBES)
    with ThreadPoolExecutor(usable_cores()) as several:  # most of them wait for a child process
        capabilities = tuple(several.map(lambda name: capability(name, leaves, where), wanted))
    return DoctorReport(
        inputs=inputs,
        machine=describe(where),
        capabilities=capabilities,
        ok=all(one.ok for one in capabilities) if asked else True,
        seconds=time.monotonic() - start,
    )


def capability(name: str, leaves: dict[str, plugins.Kind], folder: Path) -> Capability:
    """Tries one thing."""
    if name in probes.PROBES:
        return probes.PROBES[name](folder)
    if name in probes.METHOD_NEEDS:
        return probes.method(name)
    return probes.leaf(leaves[name], name)
