"""The evasions of the benchmark, for the tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("tree_sitter_bash", reason="the packages of the extra `shell` are not installed")
BENCH = Path(__file__).parents[2] / "bench" / "evasions.py"


@pytest.fixture(scope="session")
def evasions() -> ModuleType:
    spec = importlib.util.spec_from_file_location("evasions", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["evasions"] = module
    spec.loader.exec_module(module)
    return module
