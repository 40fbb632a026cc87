"""Killed at any rename, the data stage leaves no record of what is not whole, and the same call then makes the same bytes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from data_rows import files_of, good_lines, locked

from lathe.data.stage import prepare
from lathe.records import LockedRecipe, Manifest
from lathe.runs import RunFolder

NUM_RENAMES = 7
"""train, validation, test, rejected, dropped, setup, manifest"""


def recipe(folder: Path, name: str, count: int) -> LockedRecipe:
    (folder / name).write_bytes(b"\n".join([*good_lines(count), b""]))
    return locked({"source": str(folder / name)})


def killed_at(rename: int, run: RunFolder, fixed: LockedRecipe) -> bool:
    """Runs the stage in a child that kills itself in front of that rename. Returns whether it was killed."""
    child = os.fork()
    if child == 0:
        real, seen = os.replace, 0

        def replace(old: object, new: object) -> None:
            nonlocal seen
            seen += 1
            if seen == rename:
                os.kill(os.getpid(), signal.SIGKILL)
            real(old, new)  # type: ignore[arg-type]

        os.replace = replace  # type: ignore[assignment]
        try:
            prepare(run, fixed, "second", lambda _: None)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def contents(run: RunFolder) -> dict[str, bytes]:
    """Bytes of all files but the manifest, which holds the seconds that it took, and the lock."""
    return {
        name: (run.path / name).read_bytes() for name in files_of(run) if name not in ("data/manifest.json", ".lock")
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("rename", range(1, NUM_RENAMES + 2))
def test_a_kill_at_any_rename_is_mended_by_the_same_call(tmp_path: Path, rename: int) -> None:
    first, second = recipe(tmp_path, "first.jsonl", 60), recipe(tmp_path, "second.jsonl", 90)
    whole = RunFolder(tmp_path / "whole")
    prepare(whole, second, "second", lambda _: None)
    run = RunFolder(tmp_path / "run")
    prepare(run, first, "first", lambda _: None)
    assert killed_at(rename, run, second) == (rename <= NUM_RENAMES)
    for inputs in ("first", "second"):
        vouched = run.done(run.manifest, Manifest, inputs)
        assert vouched is None or rename > NUM_RENAMES
    with run.lock():
        prepare(run, second, "second", lambda _: None)
    assert contents(run) == contents(whole)
