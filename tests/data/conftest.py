"""Fixtures of the data stage's tests: an empty run folder, and the stage ready to run over a recipe's data part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data_rows import locked

from lathe.data.stage import prepare
from lathe.records import Manifest
from lathe.runs import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


@pytest.fixture
def prepared(run: RunFolder) -> Callable[..., Manifest]:
    """Runs the stage over a recipe's data part."""

    def prepared(data: dict[str, Any], schema: dict[str, Any] | None = None) -> Manifest:
        return prepare(run, locked(data, schema), "inputs", lambda _: None)

    return prepared
