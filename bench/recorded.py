"""What benchmarks found stays: a dated line a measurement in bench/results/NAME.jsonl, with the machine and the versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lathe.doctor.machine import cpu_model
from lathe.processes import usable_cores

FOLDER = Path(__file__).parent / "results"


def here(packages: Sequence[str] = ("lathe-slm", "torch", "transformers", "peft")) -> dict[str, Any]:
    """Where a measurement is taken: machine, cores, versions."""
    return {
        "machine": cpu_model(),
        "cores": usable_cores(),
        "versions": {name: version(name) for name in packages},
    }


def keep(name: str, found: Mapping[str, Any]) -> None:
    """Appends one measurement."""
    FOLDER.mkdir(exist_ok=True)
    with open(FOLDER / f"{name}.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"date": datetime.now(UTC).isoformat(timespec="seconds"), **found}) + "\n")


def kept(name: str) -> list[dict[str, Any]]:
    """All measurements of that name, oldest first."""
    path = FOLDER / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
