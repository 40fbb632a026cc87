"""Locking: every path absolute, every file hashed, the versions written down."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from lathe import resolve
from lathe.data.check import bundled
from lathe.errors import DataError, InputError
from lathe.records import LockedRecipe, Recipe, RunRecord
from lathe.runs import RunFolder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A recipe's folder with rows and schemas beside it."""
    (tmp_path / "rows.jsonl").write_text('{"input": "a"}\n')
    (tmp_path / "more").mkdir()
    for name in ("b.jsonl", "a.csv", "notes.md", ".hidden.jsonl"):
        (tmp_path / "more" / name).write_text(name)
    (tmp_path / "schemas" / "deep").mkdir(parents=True)
    (tmp_path / "schemas" / "deep" / "x.json").write_text("{}")
    return tmp_path


def recipe(data: dict[str, Any], **parts: Any) -> Recipe:
    return Recipe.model_validate({"name": "t", "base": "lathe:nano", "task": "json_extraction", "data": data, **parts})


def lock(recipe: Recipe, folder: Path) -> LockedRecipe:
    return resolve.lock(recipe, folder, resolve.find_base(recipe.base, folder))


def test_paths_are_relative_to_the_recipe_and_absolute_after(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    locked = lock(recipe({"source": "rows.jsonl"}, schema={"from": "./schemas"}), project)
    assert locked.recipe.data.source == str(project / "rows.jsonl")
    assert locked.recipe.schema_.from_ == str(project / "schemas")
    assert [Path(file.path).name for file in locked.data_files] == ["rows.jsonl", "x.json"]
    assert locked.data_files[0].sha256 == hashlib.sha256(b'{"input": "a"}\n').hexdigest()
    assert locked.data_files[0].num_bytes == 15
    assert Path(locked.base_folder).is_dir()
    assert {"config.json", "tokenizer.json"} <= {file.path for file in locked.base_files}


def test_a_folder_of_rows_is_all_of_its_files(project: Path) -> None:
    locked = lock(recipe({"source": "more"}), project)
    assert [Path(file.path).name for file in locked.data_files] == ["a.csv", "b.jsonl"]


def test_a_generated_corpus_needs_no_file(project: Path) -> None:
    locked = lock(recipe({"source": "lathe:edge_json"}), project)
    assert locked.recipe.data.source == "lathe:edge_json"
    assert locked.data_files == ()


def test_locking_twice_gives_the_same_record(project: Path) -> None:
    wanted = recipe({"train": "rows.jsonl", "test": "more/b.jsonl"})
    assert lock(wanted, project) == lock(wanted, project)


def test_one_changed_byte_changes_the_record(project: Path) -> None:
    before = lock(recipe({"source": "rows.jsonl"}), project)
    (project / "rows.jsonl").write_text('{"input": "b"}\n')
    after = lock(recipe({"source": "rows.jsonl"}), project)
    assert before.data_files[0].sha256 != after.data_files[0].sha256
    assert before.base_files == after.base_files


def test_versions_of_what_decides_results_are_written_down(project: Path) -> None:
    packages = lock(recipe({"source": "rows.jsonl"}), project).packages
    assert {"python", "tokenizers", "numpy", "safetensors"} <= set(packages)


def test_a_lock_survives_being_written_and_read(project: Path) -> None:
    locked = lock(recipe({"source": "rows.jsonl"}), project)
    assert LockedRecipe.from_json(locked.to_json()) == locked
    assert json.loads(locked.to_json())["recipe"]["schema"]["from"] is None


# the mirror of public sets ----------------------------------------------------------------------------


def test_mirror_paths_lie_in_the_folder_that_the_variable_names(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATHE_MIRROR", str(project))
    locked = lock(recipe({"source": "mirror:rows.jsonl"}, schema={"from": "mirror:schemas"}), Path("/"))
    assert locked.recipe.data.source == str(project / "rows.jsonl")
    assert locked.recipe.schema_.from_ == str(project / "schemas")


@pytest.mark.parametrize("value", [None, ""])
def test_a_mirror_without_the_variable_says_which_variable(
    project: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("LATHE_MIRROR", raising=False)
    if value is not None:
        monkeypatch.setenv("LATHE_MIRROR", value)
    with pytest.raises(InputError) as caught:
        lock(recipe({"source": "mirror:rows.jsonl"}), project)
    assert "LATHE_MIRROR" in caught.value.message
    assert "export LATHE_MIRROR=" in (caught.value.hint or "")


def test_a_known_public_file_with_other_content_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATHE_MIRROR", str(project))
    (project / "edgejson").mkdir()
    (project / "edgejson" / "train_v3.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="is not the file that is known as EdgeJSON v3"):
        lock(recipe({"source": "mirror:edgejson/train_v3.jsonl"}), Path("/"))
    assert lock(recipe({"source": "edgejson/train_v3.jsonl"}), project).data_files


# what is not there ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "parts", "says"),
    [
        ({"source": "row.jsonl"}, {}, "no such file"),
        ({"source": "schemas"}, {}, "no file of rows"),
        ({"train": "rows.jsonl", "test": "gone.jsonl"}, {}, "no such file"),
        ({"source": "rows.jsonl"}, {"schema": {"from": "shemas"}}, "no such folder of schemas"),
        ({"source": "rows.jsonl"}, {"schema": {"from": "more"}}, "no .*schema"),
    ],
)
def test_data_that_is_not_there_is_named(project: Path, data: dict[str, str], parts: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        lock(recipe(data, **parts), project)


def test_a_missing_file_is_answered_with_the_nearest(project: Path) -> None:
    with pytest.raises(DataError) as caught:
        lock(recipe({"source": "row.jsonl"}), project)
    assert caught.value.hint == f"Did you mean {project / 'rows.jsonl'}?"


def test_a_pipe_is_refused_instead_of_waited_for(project: Path) -> None:
    os.mkfifo(project / "pipe.jsonl")
    with pytest.raises(DataError, match="pipe"):
        lock(recipe({"source": "pipe.jsonl"}), project)


def test_a_base_that_lies_in_a_run_brings_that_run_and_those_before_it(project: Path) -> None:
    base = project / "runs" / "second" / "bundle" / "merged"
    shutil.copytree(bundled(), base)
    runs = [RunFolder(project / "runs" / name) for name in ("first", "second", "third")]
    for run in runs:
        run.rows("train").parent.mkdir(parents=True)
        run.rows("train").write_text('{"input": "a"}\n')
    known = lock(recipe({"source": "rows.jsonl", "against": ["runs/first"]}), project)
    runs[1].commit(runs[1].lock_record, known)
    runs[1].commit(runs[1].run_record, RunRecord(id="second", name="t", created="", lathe_version=""))
    wanted = recipe({"source": "rows.jsonl", "against": ["runs/third"]}, base="runs/second/bundle/merged")
    locked = lock(wanted, project)
    assert locked.recipe.data.against == tuple(str(runs[number].path) for number in (2, 1, 0))
    assert [Path(file.path).parts[-3] for file in locked.data_files[1:]] == ["third", "second", "first"]


def test_a_run_without_training_rows_is_named(project: Path) -> None:
    with pytest.raises(InputError, match=r"data\.against names .*runs/first, and .*train\.jsonl is not there"):
        lock(recipe({"source": "rows.jsonl", "against": ["runs/first"]}), project)
