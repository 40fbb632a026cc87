"""The script of a clone, which makes an environment of its own and hands over to the command in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="a POSIX script")


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in a folder with a blank in its name, whose environment says what it was asked for and can install nothing."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    for name in ("lathe", "pyproject.toml", "constraints.txt"):
        shutil.copy(CLONE / name, folder)
    executable(folder / ".venv" / "bin" / "lathe", 'echo "handed over: $*"; exit 7\n')
    executable(folder / ".venv" / "bin" / "python", "exit 0\n")
    executable(folder / ".venv" / "bin" / "pip", "echo 'no network' >&2; exit 1\n")
    return folder


def called(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script, "run", "my recipe.yaml"], cwd="/", capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("linked", [False, True])
def test_it_hands_over_wherever_it_is_called_from_and_through_a_link(clone: Path, linked: bool) -> None:
    (clone / ".venv" / ".installed").write_text("train\n")
    script = clone / "lathe"
    if linked:
        (clone.parent / "first").symlink_to(script)
        (clone.parent / "bin").mkdir()
        script = clone.parent / "bin" / "lathe"
        script.symlink_to("../first")
    done = called(script)
    assert (done.returncode, done.stdout) == (7, "handed over: run my recipe.yaml\n")


def test_what_cannot_be_installed_is_no_verdict(clone: Path) -> None:
    """pip ends with 1, which would say that the model is not good enough."""
    done = called(clone / "lathe")
    assert done.returncode == 69
    assert "no network" in done.stderr
    assert "lathe-slm could not be installed" in done.stderr
    assert not (clone / ".venv" / ".installed").exists()
