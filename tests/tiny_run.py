"""A run folder with a handful of rows and a locked recipe, enough for the stages that train and ship."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lathe.records import DataSpec, LockedRecipe, Method, Recipe, TrainSpec
from lathe.runs import RunFolder
from lathe.storage import commit_rows
from tiny_base import examples


def quiet(_: Mapping[str, Any]) -> None:
    """A listener that listens to nothing."""


def locked(base: Path, **changes: Any) -> LockedRecipe:
    parts: dict[str, Any] = {
        "method": Method(rank=4),
        "train": TrainSpec(epochs=2, examples_per_step=4, token_budget=200, learning_rate=1e-2, threads=1),
        "ship": ("adapter", "merged"),
    }
    recipe = Recipe(
        name="small",
        base=str(base),
        task="json_extraction",
        data=DataSpec(source="lathe:edge_json"),
        **(parts | changes),
    )
    return LockedRecipe(inputs="locked", recipe=recipe, base_folder=str(base))


def new_run(folder: Path, rows: int = 8) -> RunFolder:
    run = RunFolder(folder)
    commit_rows(run.rows("train"), examples(rows))
    return run
