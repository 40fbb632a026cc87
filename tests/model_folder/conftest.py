from __future__ import annotations

from pathlib import Path

import pytest

from small_folder import write_folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "base")
