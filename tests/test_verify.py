"""A finished run is verified byte by byte: whatever changes is named."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from lathe import ship as shipping
from lathe import train as training
from lathe import verify
from lathe.cli.fidelity import came_later
from lathe.cli.main import main
from lathe.errors import InputError
from lathe.records import LockedRecipe, RunRecord
from lathe.resolve.base import base_files
from lathe.runs import RunFolder
from tiny_base import write_base
from tiny_run import locked, new_run, quiet

FLIPS = 500


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, LockedRecipe]:
    """A run that was trained and shipped, sealed as the pipeline does it at the end."""
    base = write_base(tmp_path_factory.mktemp("models") / "base")
    recipe = locked(base).model_copy(update={"base_files": base_files(base)})
    run = new_run(tmp_path_factory.mktemp("runs") / "run")
    training.train(run, recipe, "inputs", quiet)
    shipping.ship(run, recipe, "inputs", quiet)
    run.commit(run.lock_record, recipe)
    run.commit(run.run_record, RunRecord(id="run", name="small", created="2026-11-20T08:15:00Z", lathe_version="0"))
    run.journal("stage done", stage="ship")
    verify.seal(run)
    return run, recipe


def test_an_untouched_run_is_as_it_was_written(sealed: tuple[RunFolder, LockedRecipe]) -> None:
    run, recipe = sealed
    found = verify.verify(run, recipe)
    assert found.ok
    assert not found.unsealed
    assert found.num_files == len([p for p in run.path.rglob("*") if p.is_file()]) - 1 + len(recipe.base_files)


def test_every_flipped_byte_is_named_by_its_file(sealed: tuple[RunFolder, LockedRecipe]) -> None:
    """500 single bits, drawn over all files of the run and of its base, each restored before the next."""
    run, recipe = sealed
    files = [p for p in run.path.rglob("*") if p.is_file()] + [
        Path(recipe.base_folder) / f.path for f in recipe.base_files
    ]
    files = sorted(path for path in files if path.stat().st_size)
    rng = random.Random(20261120)
    for _ in range(FLIPS):
        path = rng.choice(files)
        place, bit = rng.randrange(path.stat().st_size), 1 << rng.randrange(8)
        flip(path, place, bit)
        damaged = [damage.path for damage in verify.verify(run, recipe).damaged]
        flip(path, place, bit)
        shown = str(path.relative_to(run.path)) if path.is_relative_to(run.path) else str(path)
        assert shown in damaged, (shown, place)
    assert verify.verify(run, recipe).ok


def flip(path: Path, place: int, bit: int) -> None:
    with open(path, "r+b") as file:
        file.seek(place)
        before = file.read(1)[0]
        file.seek(place)
        file.write(bytes([before ^ bit]))


def test_a_missing_and_a_cut_file_are_named(sealed: tuple[RunFolder, LockedRecipe]) -> None:
    run, recipe = sealed
    path = run.adapter / "adapter_model.safetensors"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-1])
        assert "bytes, expected" in verify.verify(run, recipe).damaged[0].reason
        path.unlink()
        assert "cannot be read" in verify.verify(run, recipe).damaged[0].reason
    finally:
        path.write_bytes(whole)


def test_the_journal_may_go_on_and_new_files_are_told_apart(sealed: tuple[RunFolder, LockedRecipe]) -> None:
    run, recipe = sealed
    before = run.journal_file.read_bytes()
    run.journal("asked")
    (run.path / "notes.txt").write_text("mine")
    try:
        found = verify.verify(run, recipe)
        assert found.ok
        assert found.unsealed == ("notes.txt",)
    finally:
        run.journal_file.write_bytes(before)
        (run.path / "notes.txt").unlink()


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "1 file came later and has no digest: f0"),
        (2, "2 files came later and have no digest: f0, f1"),
        (10, "10 files came later and have no digest: f0, f1, f2, f3, f4, f5, f6, f7, f8, f9"),
        (12, "12 files came later and have no digest: f0, f1, f2, f3, f4, f5, f6, f7, f8, f9 and 2 more"),
    ],
)
def test_files_that_came_later_are_named_ten_at_most(number: int, said: str) -> None:
    assert came_later([f"f{place}" for place in range(number)]) == said


def test_the_verb_says_yes_or_names_the_file(
    sealed: tuple[RunFolder, LockedRecipe], capfd: pytest.CaptureFixture[str]
) -> None:
    run, _ = sealed
    assert main(["verify", str(run.path)]) == 0
    assert "all as they were written" in capfd.readouterr().out
    path = run.bundle / "merged" / "model.safetensors"
    flip(path, 100, 1)
    try:
        assert main(["verify", str(run.path), "--json"]) == 1
        (damage,) = json.loads(capfd.readouterr().out)["damaged"]
        assert damage["path"] == "bundle/merged/model.safetensors"
    finally:
        flip(path, 100, 1)


def test_a_run_without_digests_is_not_called_whole(tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    with pytest.raises(InputError, match=r"digests\.json"):
        verify.verify(run, locked(tmp_path))
