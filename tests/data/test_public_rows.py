"""The shipped recipe over the public set that it is for; skipped where there is no mirror of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lathe.data.stage import prepare
from lathe.records import Manifest
from lathe.resolve import find_base, find_recipe, lock, parse_recipe, read_recipe
from lathe.runs import RunFolder

MIRROR = Path(os.environ.get("LATHE_MIRROR") or Path(__file__).parents[3] / "shared" / "data")
pytestmark = pytest.mark.skipif(
    not (MIRROR / "edgejson").is_dir(), reason="no mirror of EdgeJSON: LATHE_MIRROR names none"
)


def prepared(folder: Path, monkeypatch: pytest.MonkeyPatch, *sets: str) -> Manifest:
    monkeypatch.setenv("LATHE_MIRROR", str(MIRROR))
    recipe = read_recipe(find_recipe("edgejson-v3"), sets)
    return prepare(RunFolder(folder), lock(recipe, folder, find_base(recipe.base, folder)), "", lambda _: None)


def test_all_rows_of_version_3_are_read_and_keep_their_invariants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = prepared(tmp_path, monkeypatch, "data.variants=0")
    assert {side: count.rows for side, count in manifest.sides.items()} == {"train": 440, "validation": 58, "test": 131}
    assert manifest.findings == ()
    assert manifest.dropped_from_train == manifest.rejected == 0
    assert (manifest.sources[0].licence or "").startswith("Apache-2.0")


def test_the_72_rows_of_version_2_with_broken_arithmetic_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = prepared(tmp_path, monkeypatch, "data.source=mirror:edgejson/train_v2_broken.jsonl", "data.variants=0")
    assert [(finding.id, finding.count) for finding in manifest.findings] == [("invariant", 72)]


@pytest.mark.skipif(not (MIRROR / "nl2bash").is_dir(), reason="no mirror of NL2Bash: LATHE_MIRROR names none")
def test_all_pairs_of_nl2bash_are_read_with_licence_and_citation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATHE_MIRROR", str(MIRROR))
    recipe = parse_recipe("name: a\nbase: lathe:nano\ntask: bash\ndata: {source: mirror:nl2bash/open.nl}", "bash.yaml")
    locked = lock(recipe, tmp_path, find_base(recipe.base, tmp_path))
    assert [Path(file.path).name for file in locked.data_files] == ["open.nl", "open.cm"]
    manifest = prepare(RunFolder(tmp_path), locked, "", lambda _: None)
    (source,) = manifest.sources
    assert (source.num_rows, manifest.rejected, source.licence) == (8752, 0, "MIT")
    assert "NL2Bash" in (source.citation or "")


def test_without_the_schema_in_the_prompt_the_split_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = prepared(tmp_path / "a", monkeypatch, "schema.in_prompt=true", "data.variants=1")
    bare = prepared(tmp_path / "b", monkeypatch, "data.variants=1")
    assert {s: c.rows for s, c in shown.sides.items()} == {s: c.rows for s, c in bare.sides.items()}
