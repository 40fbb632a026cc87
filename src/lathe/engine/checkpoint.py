"""Checkpoints: whole or not there, checked before use, never pickled.

    checkpoints/step-000050/  tensors.safetensors  state.json  manifest.json

`manifest.json` names the job, the step, the step of the best weights so far where they are measured, and the size and sha256 of the
other files. A folder whose manifest does not hold, or that of its best weights, is skipped and named; the next older one is used.
Position in the data and random numbers are functions of (seed, step), so the step is all that there is to keep of them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lathe.engine.optim import TABLES, put_tables
from lathe.engine.tensor_file import Gather, write_tensors
from lathe.errors import StorageError
from lathe.records import Json
from lathe.storage import commit_folder, file_sha256, writing

TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
MODEL, OPTIMIZER = "model.", "optimizer."
"""Prefixes of the parameters, and of the optimiser's tensors."""


@dataclass(frozen=True)
class Checkpoint:
    """Training after `step` optimiser steps."""

    step: int
    tensors: Mapping[str, Tensor]
    state: dict[str, Json]
    best: int | None = None
    """The step whose weights are the best so far, this one or an earlier one; None where none are measured."""


@dataclass(frozen=True)
class Search:
    """What looking for a checkpoint found: the newest intact one of the job, and why newer ones were passed over."""

    checkpoint: Checkpoint | None
    skipped: tuple[str, ...]


def save(
    root: Path, checkpoint: Checkpoint, job_hash: str, keep: int, gather: Gather = lambda name, held: held.cpu()
) -> None:
    """Commits a checkpoint under `root`, then removes all but the job's newest `keep` and the best ones that these name.

    gather: makes those tensors whole that are held in shards. Raises StorageError.
    """

    def fill(folder: Path) -> None:
        write_tensors(folder / TENSORS, checkpoint.tensors, gather)
        (folder / STATE).write_text(_json(checkpoint.state), encoding="utf-8")
        files = {
            name: {"num_bytes": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)}
            for name in (TENSORS, STATE)
        }
        manifest = {
            "schema_version": 1,
            "job_hash": job_hash,
            "step": checkpoint.step,
            "best": checkpoint.best,
            "files": files,
        }
        (folder / MANIFEST).write_text(_json(manifest), encoding="utf-8")

    commit_folder(_folder(root, checkpoint.step), fill)
    manifests = {folder: _manifest(folder) for folder in _folders(root)}
    # Those of a job before this one may have gone further; they do not crowd out what this one needs.
    ours = [folder for folder, manifest in manifests.items() if manifest.get("job_hash") == job_hash]
    kept = [*ours, *(folder for folder in manifests if folder not in ours)][:keep]
    best = {_folder(root, step) for folder in kept if isinstance(step := manifests[folder].get("best"), int)}
    for folder in manifests:
        if folder not in kept and folder not in best:
            _remove(folder)


def newest(root: Path, job_hash: str) -> Search:
    """The newest checkpoint whose manifest holds and names this job, as does that of the best weights which it names."""
    skipped: list[str] = []
    for folder in _folders(root):
        try:
            found = _read(folder, job_hash)
            if found.best not in (None, found.step):
                _check_best(_folder(root, found.best), job_hash)
            return Search(found, tuple(skipped))
        except _Unfit as reason:
            skipped.append(f"{folder.name}: {reason}")
    return Search(None, tuple(skipped))


def of_step(root: Path, step: int, job_hash: str) -> Checkpoint:
    """The checkpoint of a step that is known to be there. Raises StorageError where it was damaged meanwhile."""
    folder = _folder(root, step)
    try:
        return _read(folder, job_hash)
    except _Unfit as reason:
        raise StorageError(
            f"{folder} holds the best weights, and {reason}",
            hint="The same command goes on from an older checkpoint and comes to the same weights.",
        ) from reason


class _Unfit(Exception):
    """Why a checkpoint folder cannot be continued from."""


def _read(folder: Path, job_hash: str) -> Checkpoint:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        owner, step, files = manifest["job_hash"], manifest["step"], manifest["files"]
        if set(files) != {TENSORS, STATE}:
            raise _Unfit(f"{MANIFEST} lists {sorted(files)}")
        for name, expected in files.items():
            path = folder / name
            if not path.is_file():
                raise _Unfit(f"{name} is missing")
            size = path.stat().st_size
            if size != expected["num_bytes"]:
                raise _Unfit(f"{name} has {size} bytes, expected {expected['num_bytes']}")
            if file_sha256(path) != expected["sha256"]:
                raise _Unfit(f"{name} differs from its sha256")
        if owner != job_hash:
            raise _Unfit("it belongs to another job (recipe, data or base differ)")
        if folder != _folder(folder.parent, step):
            raise _Unfit(f"it holds step {step}")
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        return Checkpoint(step, load_file(folder / TENSORS), state, manifest.get("best"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise _Unfit(f"it cannot be read: {error}") from error


def _check_best(folder: Path, job_hash: str) -> None:
    try:
        _read(folder, job_hash)
    except _Unfit as reason:
        raise _Unfit(f"its best weights are in {folder.name}: {reason}") from reason


def _manifest(folder: Path) -> dict[str, Json]:
    """What a checkpoint says of itself; nothing where that cannot be read."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _folder(root: Path, step: int) -> Path:
    return root / f"step-{step:06d}"


def _folders(root: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    return sorted((path for path in root.glob("step-*") if path.is_dir()), reverse=True)


def _remove(folder: Path) -> None:
    """Under a hidden name first, so that a kill half-way leaves nothing that looks like a damaged checkpoint."""
    hidden = folder.with_name(f".{folder.name}.old")
    with writing(folder):
        os.replace(folder, hidden)
        shutil.rmtree(hidden)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"


# ------------------------------------------------------------------------------------------ optimiser state


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state, flat: `optimizer.INDEX.KEY`, the index as torch's state_dict counts parameters. Not copied."""
    flat = {}
    parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
    for index, parameter in enumerate(parameters):
        for key, value in optimizer.state.get(parameter, {}).items():
            if key not in TABLES:
                flat[f"{OPTIMIZER}{index}.{key}"] = value if isinstance(value, Tensor) else torch.tensor(value)
    return flat


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts `optimizer_tensors` back. Hyperparameters stay those of `optimizer`: they come from the recipe."""
    state: dict[int, dict[str, Tensor | int]] = {}
    for name, value in tensors.items():
        if name.startswith(OPTIMIZER):
            index, key = name.removeprefix(OPTIMIZER).split(".", 1)
            number = value.ndim == 0 and value.dtype == torch.int64  # as which a plain int was kept
            state.setdefault(int(index), {})[key] = int(value) if number else value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    put_tables(optimizer)
