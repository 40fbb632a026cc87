"""Bad input through the command itself: exit code 2, one message without a traceback, no row on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from malformed_files import Case, cases

RECIPE = """\
name: bad
base: lathe:nano
task: json_extraction
data: {{source: {source}}}
"""
CHOSEN = ("latin-1-middle", "fifo")


@pytest.mark.parametrize("case", [case for case in cases() if case.name in CHOSEN], ids=lambda case: case.name)
def test_the_command_ends_with_2_and_one_message(case: Case, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = case.make(tmp_path / "in")
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(source=path))
    done = subprocess.run(
        [sys.executable, "-m", "lathe.cli.main", "prepare", "recipe.yaml"],
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert case.says in done.stderr
    assert str(path) in done.stderr.replace("\n", "")
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.count("error: ") == 1
    assert not list((tmp_path / "runs").rglob("data/*"))
