"""A prepared run of the toy task, with its leaves in place of the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from shouting_world import WORDS, Script, Shouting, World, example, right, write_base

from lathe import plugins
from lathe.records import FileHash, LockedRecipe, Manifest, Recipe, SideCount, TaskSetup
from lathe.runs import RunFolder
from lathe.storage import commit_rows


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    base = write_base(tmp_path / "base")
    run = RunFolder(tmp_path / "run")
    rows = {
        "train": [example(f"{word}wood", length=str(len(word))) for word in WORDS],
        "validation": [example(f"{word}leaf", length=str(len(word))) for word in WORDS[:4]],
        "test": [example(word, length=str(len(word))) for word in WORDS],
    }
    sides = {side: SideCount(rows=len(some), sha256=commit_rows(run.rows(side), some)) for side, some in rows.items()}
    run.commit(run.setup, TaskSetup())
    run.commit(run.manifest, Manifest(inputs="data", sources=(), sides=sides))
    recipe = Recipe.model_validate({"name": "toy", "base": "base", "task": "shouting", "data": {"source": "lathe:toy"}})
    locked = LockedRecipe(
        inputs="recipe",
        recipe=recipe,
        base_folder=str(base),
        base_files=(FileHash(path=str(base / "model.safetensors"), sha256="0" * 64, num_bytes=1),),
    )
    script = Script(right)
    leaves = {("tasks", "shouting"): Shouting(), ("runtimes", "native"): script}
    monkeypatch.setattr(plugins, "load", lambda kind, name: leaves[kind, name])
    return World(run, locked, script, [])
