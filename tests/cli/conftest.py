"""The command line in a process of its own, as a person or a script would use it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Lathe = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def lathe(tmp_path: Path) -> Lathe:
    """Runs `lathe WORDS` in an empty folder. before: Python that runs in the process first, to make something go wrong."""

    def run(*words: str, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        code = f"import sys\n{before}\nfrom lathe.cli.main import main\nsys.exit(main(sys.argv[1:]))"
        return subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **environment},
        )

    return run
