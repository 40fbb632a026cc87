"""Data sets of the Hub are read from files in the layout that the Hub's client keeps, without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lathe.errors import InputError
from lathe.hub import commit_of, dataset, is_dataset, rows_folder

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROWS = [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(40)]


def cached(cache: Path, files: dict[str, list[dict[str, str]]]) -> None:
    """What a download leaves behind in the cache."""
    repo = cache / "datasets--acme--orders"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    for name, rows in files.items():
        path = repo / "snapshots" / COMMIT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            import pyarrow
            import pyarrow.parquet

            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def check(place: str, cache: Path) -> subprocess.CompletedProcess[str]:
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}
    return subprocess.run(
        [sys.executable, "-m", "lathe", "check", place, "--json"],
        env=offline,
        cwd=cache,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_cached_data_set_is_checked_by_its_name(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    cached(tmp_path, {"data/train-00000-of-00001.parquet": ROWS, "data/test-00000-of-00001.parquet": ROWS[:3]})
    done = check("hub:acme/orders", tmp_path)
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert {file["side"]: file["rows"] for file in report["files"]} == {"train": 40, "test": 3}
    assert report["headline"].startswith("3 of 3 test rows are in train")


def test_a_recipe_names_a_data_set_and_the_record_its_commit(tmp_path: Path) -> None:
    answers = [
        {"prompt": f"Order {n}: {n % 7} lamps", "completion": json.dumps({"id": n, "lamps": n % 7})} for n in range(60)
    ]
    cached(tmp_path, {"train.jsonl": answers})
    recipe = "name: orders\nbase: lathe:nano\ntask: json_extraction\ndata: {source: hub:acme/orders}\n"
    (tmp_path / "orders.yaml").write_text(recipe)
    done = check("orders.yaml", tmp_path)
    assert done.returncode == 0, done.stderr
    (manifest,) = tmp_path.glob("runs/*/data/manifest.json")
    (source,) = json.loads(manifest.read_text())["sources"]
    assert (source["revision"], source["num_rows"]) == (COMMIT, 60)
    assert commit_of(tmp_path / "rows.jsonl") is None


def test_one_that_is_neither_cached_nor_reachable_is_unavailable(tmp_path: Path) -> None:
    done = check("hub:acme/nothing", tmp_path)
    assert done.returncode == 69
    assert json.loads(done.stdout)["error"]["message"].startswith("hub:acme/nothing: the Hub cannot be reached")


@pytest.mark.parametrize("place", ["hub:orders", "hub:", "hub:a/b/c", "hub:../x"])
def test_a_name_that_no_data_set_can_have_is_refused(place: str) -> None:
    assert is_dataset(place)
    with pytest.raises(InputError, match="no data set of the Hub"):
        dataset(place)


def test_several_configurations_are_named(tmp_path: Path) -> None:
    cached(tmp_path, {"en/train.jsonl": ROWS, "de/train.jsonl": ROWS})
    with pytest.raises(InputError, match="2 configurations: de, en"):
        rows_folder(tmp_path / "datasets--acme--orders" / "snapshots" / COMMIT)
