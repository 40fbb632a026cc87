"""What this machine has reached: operations a second, by kind of job, kept beside the user's other state.

    $XDG_STATE_HOME/lathe/rates.json     (~/.local/state/lathe/rates.json)
    {"schema_version": 1, "rates": {"3f9c...": 2.1e10}, "answers": {"77ab...": 882.0}}      answers: tokens written a second

    $XDG_STATE_HOME/lathe/probe.json     what `lathe doctor --probe` measured: {"device": "cpu", "fp32": 1.2e11, "bf16": 9e10, ...}

A file that is missing or damaged is no error: the next run writes it anew. This is the shell of planning; nothing is decided here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from lathe.errors import Unavailable
from lathe.storage import commit_text

PROBE_SECONDS = 120
Measured = Literal["rates", "answers"]
"""What is remembered: rates of training, rates of answering."""
MOST = 200
"""Kinds of job that are remembered; the oldest make room."""


def file() -> Path:
    """Where the rates of this machine stand."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "lathe" / "rates.json"


def known(what: Measured = "rates") -> dict[str, float]:
    """Operations of training, or tokens of answers, a second, by kind of job, oldest first; empty where nothing was measured."""
    try:
        rates = json.loads(file().read_text())[what]
        return {str(kind): float(rate) for kind, rate in rates.items() if float(rate) > 0}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def keep(kind: str, rate: float, what: Measured = "rates") -> None:
    """Remembers what a job of that kind just reached. Raises StorageError where the file cannot be written."""
    sections = {section: known(section) for section in get_args(Measured)}
    sections[what].pop(kind, None)
    sections[what] = dict([*sections[what].items(), (kind, rate)][-MOST:])
    commit_text(file(), json.dumps({"schema_version": 1, **sections}, indent=2) + "\n")


def computes_bf16() -> bool:
    """Whether this processor multiplies bf16 matrices in hardware (AVX512-BF16 or AMX), as the engine asks torch.

    Linux says so in /proc/cpuinfo; elsewhere False.
    """
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return False
    return not {"avx512_bf16", "amx_tile"}.isdisjoint(flags.split())


def probe_file() -> Path:
    """Where the probe of this machine stands."""
    return file().with_name("probe.json")


def probed() -> dict[str, float]:
    """Operations a second of matrix products by number format (fp32, bf16); empty where the machine was not probed."""
    try:
        found = json.loads(probe_file().read_text())
        return {precision: float(found[precision]) for precision in ("fp32", "bf16") if float(found[precision]) > 0}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def probe() -> dict[str, Any]:
    """Measures this machine's matrix products in a child process, some 10 s, and remembers them.

    Raises Unavailable where torch is not there or the child fails, StorageError where the file cannot be written.
    """
    if find_spec("torch") is None:
        hint = "pip install 'lathe-slm[train]'"
        raise Unavailable("the probe multiplies matrices with torch, which is not installed", hint=hint)
    try:
        command = [sys.executable, "-m", "lathe.engine.product_rates"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        raise Unavailable(f"the probe did not end well: {error}", hint="Try: lathe doctor torch") from error
    busy = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0
    found |= {"schema_version": 1, "busy": round(busy, 2)}
    commit_text(probe_file(), json.dumps(found, indent=2) + "\n")
    return found
