"""EleutherAI's lm-eval, asked about a model of ours: is it as able as before at what it was not tuned for?

    measure(model, Tasks(("arc_easy",), limit=200), threads=2)     ->  {"arc_easy": TaskItems(...)}

The package reads its tasks from its own files, a folder of yours, and mostly the Hub.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from lathe.contracts import Model
from lathe.errors import InputError, Unavailable
from lathe.processes import end, start

PACKAGE = "lm_eval"
CHILD = "lathe.engine.harness_child"
INSTALL = "pip install 'lathe-slm[eval]'"
TAIL = 4000
"""Bytes of what a child said last that are read where it ends without an answer."""


@dataclass(frozen=True)
class Tasks:
    """What to ask. names: as `lm-eval ls tasks` lists them; folder: more tasks, as YAML; limit: items of each, None = all."""

    names: tuple[str, ...]
    folder: Path | None = None
    limit: int | None = None


@dataclass(frozen=True)
class TaskItems:
    """One task's items. results: the package's own figures, `metric,filter`; higher_is_better: by metric."""

    items: Sequence[Mapping[str, Any]]
    results: Mapping[str, float]
    higher_is_better: Mapping[str, bool]


def version() -> str:
    """Which package asks, in which version. Raises Unavailable where it is missing."""
    if find_spec(PACKAGE) is None:
        raise Unavailable(f"checking general ability needs the package {PACKAGE}", hint=f"Install it: {INSTALL}")
    return f"{PACKAGE} {metadata.version(PACKAGE)}"


def measure(
    model: Model, tasks: Tasks, threads: int | None, waiting: Callable[[], object] = lambda: None
) -> dict[str, TaskItems]:
    """Every item's values by task. waiting: called once a second; what it raises ends the child and goes through.

    Raises Unavailable without the package, InputError with its own words where a task cannot be asked.
    """
    version()
    asked = {
        "base": str(model.base_folder.absolute()),
        "adapter": None if model.adapter_folder is None else str(model.adapter_folder.absolute()),
        "quantised": model.quantised,
        "precision": model.precision,
        "threads": threads,
        "tasks": list(tasks.names),
        "folder": None if tasks.folder is None else str(tasks.folder.absolute()),
        "limit": tasks.limit,
    }
    with tempfile.TemporaryFile() as said:
        child = start(CHILD, {**os.environ, "TOKENIZERS_PARALLELISM": "false"}, stderr=said.fileno())
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(asked).encode() + b"\n")
            child.stdin.flush()
            line = _line(child.stdout, waiting)
        finally:
            end(child, child.stdin, child.stdout)
        found: dict[str, Any] = json.loads(line) if line else {"error": _last_words(said)}
    if "error" in found:
        raise InputError(
            f"{PACKAGE} stopped at {', '.join(tasks.names)}: {found['error']}",
            hint="Names of tasks: lm-eval ls tasks. Most tasks fetch their rows from the Hub.",
        )
    return {
        name: TaskItems(one["items"], one["results"], one["higher_is_better"]) for name, one in found["tasks"].items()
    }


def _line(stream: IO[bytes], waiting: Callable[[], object]) -> bytes:
    """The child's answer; empty where it ended without one."""
    lines: list[bytes] = []
    reader = threading.Thread(target=lambda: lines.append(stream.readline()), daemon=True)
    reader.start()
    while reader.is_alive():
        reader.join(1.0)
        waiting()
    return lines[0]


def _last_words(said: IO[bytes]) -> str:
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - TAIL))
    lines = said.read().decode(errors="replace").strip().split("\n")
    return lines[-1] or "it ended without a word"
