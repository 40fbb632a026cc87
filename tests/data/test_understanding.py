"""Rows are understood by several processes where there are many of them; nobody can tell from what is prepared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data_rows import good_row

from lathe import worker, workers
from lathe.data.preparing import understanding
from lathe.data.preparing.understanding import AT_ONCE
from lathe.errors import LatheError, TaskMismatch
from lathe.records import Manifest
from lathe.runs import RunFolder

Prepared = Callable[..., Manifest]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes start before the first row."""
    monkeypatch.setattr(understanding, "FEW", 0)


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    return lambda count: monkeypatch.setattr(workers, "usable_cores", lambda: count)


def source(tmp_path: Path, rows: list[Any]) -> str:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def test_any_number_of_processes_prepares_the_same_bytes(
    tmp_path: Path, run: RunFolder, prepared: Prepared, cores: Callable[[int], None]
) -> None:
    rows: list[Any] = [good_row(number) for number in range(3 * AT_ONCE + 40)]
    rows[10] = rows[300] = "no JSON"
    rows[20] = rows[600] = {"prompt": "a row of something else"}
    rows[400] = {**rows[30], "id": "another"}
    rows[410] = {**good_row(9999), "id": rows[5]["id"]}
    data = {
        "source": source(tmp_path, rows), "max_rejected": 0.1,
        "invariants": {"*": ["degrees < 100"]},
    }  # fmt: skip

    def made(count: int) -> tuple[dict[str, bytes], Manifest]:
        cores(count)
        manifest = prepared(data)
        files = {path.name: path.read_bytes() for path in run.manifest.parent.glob("*.jsonl")}
        return files, manifest.model_copy(update={"seconds": 0.0})

    alone = made(1)
    assert alone[1].rejected == 4
    assert {"rejected_row", "repeated_id", "invariant"} <= {one.id for one in alone[1].findings}
    assert made(2) == alone
    assert made(4) == alone


def test_the_first_rows_that_cannot_be_used_are_the_ones_named(
    tmp_path: Path, prepared: Prepared, cores: Callable[[int], None]
) -> None:
    rows = [good_row(number) if number < 2 * AT_ONCE else {"text": "of no task"} for number in range(4 * AT_ONCE)]
    cores(3)
    with pytest.raises(TaskMismatch, match=rf"rows.jsonl:{2 * AT_ONCE + 1}: .* at least 19 more rows"):
        prepared({"source": source(tmp_path, rows)})


def test_a_process_that_was_killed_is_named(
    tmp_path: Path, prepared: Prepared, cores: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cores(2)
    start = worker.start

    def killed(*given: Any) -> Any:
        child = start(*given)
        child.kill()
        return child

    monkeypatch.setattr(worker, "start", killed)
    with pytest.raises(LatheError, match="a process that read rows ended with code -9"):
        prepared({"source": source(tmp_path, [good_row(number) for number in range(3 * AT_ONCE)])})
