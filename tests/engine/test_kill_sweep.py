"""Killed at any moment, the training stage ends with the same bytes (bench/kill_sweep.py; its default is 20 points)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_five_seeded_kills_leave_the_same_adapter() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "kill_sweep.py"), "--points", "5", "--seed", "20"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("held 5 of 5\n")
