"""Rows that an earlier run was trained on: named by `lathe check`, and known to the run whose base grew out of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from data_rows import good_lines, good_row, locked

from lathe.data.check import Looking, check_file
from lathe.data.stage import prepare
from lathe.errors import InputError
from lathe.records import Manifest
from lathe.runs import RunFolder

Prepared = Callable[..., Manifest]
WORDS = " ".join(f"word{number}" for number in range(40))


def put(path: Path, lines: list[bytes]) -> str:
    path.write_bytes(b"\n".join(lines) + b"\n")
    return str(path)


def row_line(number: int, text: str) -> bytes:
    return json.dumps({"id": f"row-{number}", "input": text, "target": {"a": number}}).encode()


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A run that was trained on rows 0 to 59 and two texts of its own."""
    run = RunFolder(tmp_path / "earlier")
    rows = [*good_lines(60), row_line(900, f"{WORDS} tail"), row_line(901, "One  TWO three")]
    data = {
        "train": put(tmp_path / "old.jsonl", rows),
        "validation": put(tmp_path / "old_validation.jsonl", good_lines(5, 5000)),
        "test": put(tmp_path / "old_test.jsonl", good_lines(30, 6000)),
    }
    prepare(run, locked(data), "inputs", lambda _: None)
    return run.path


def parts(folder: Path) -> dict[str, str]:
    """Training rows that are new, and test rows of which three are known: one equal, one equal but for case, one nearly."""
    known = [good_row(7)["input"], "one two three", f"{WORDS} other"]
    test = [*good_lines(40, 300), *(row_line(950 + number, text) for number, text in enumerate(known))]
    return {
        "train": put(folder / "train.jsonl", good_lines(80, 100)),
        "validation": put(folder / "validation.jsonl", [*good_lines(12, 200), good_lines(1)[0]]),
        "test": put(folder / "test.jsonl", test),
    }


def test_test_rows_that_an_earlier_run_was_trained_on_are_known_by_id(
    tmp_path: Path, earlier: Path, prepared: Prepared
) -> None:
    manifest = prepared({**parts(tmp_path), "against": [str(earlier)]})
    assert manifest.seen_before == ("row-950", "row-951", "row-952")
    (finding,) = (one for one in manifest.findings if one.id == "seen_before")
    assert finding.message.startswith("4 of 56 held-out rows stand in the training rows of an earlier run")
    place = earlier / "data" / "train.jsonl"
    assert finding.examples[1] == f"{tmp_path / 'test.jsonl'}:41 (test) ~ {place}:8: 1.00"
    assert f"{place}:61: 0.95" in finding.examples[3]


def test_without_earlier_runs_nothing_is_held_against_a_row(tmp_path: Path, prepared: Prepared) -> None:
    manifest = prepared(parts(tmp_path))
    assert manifest.seen_before == ()
    assert "seen_before" not in {finding.id for finding in manifest.findings}


def test_check_names_them_in_files_for_sides_and_in_a_file_of_none(tmp_path: Path, earlier: Path) -> None:
    files = [Path(place) for place in parts(tmp_path).values()]
    report = check_file(files, looking=Looking(against=[earlier]))
    (finding,) = (one for one in report.findings if one.id == "seen_before")
    assert finding.message.startswith("4 of 56 prompts")
    assert "4 of 56 rows trained an earlier run" in report.headline
    alone = check_file(files[2], looking=Looking(against=[earlier]))
    assert next(one.count for one in alone.findings if one.id == "seen_before") == 3


def test_training_again_on_the_same_rows_is_no_finding(tmp_path: Path, earlier: Path) -> None:
    train, test = put(tmp_path / "train.jsonl", good_lines(60)), put(tmp_path / "test.jsonl", good_lines(40, 300))
    report = check_file([Path(train), Path(test)], looking=Looking(against=[earlier]))
    assert "seen_before" not in {finding.id for finding in report.findings}


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    rows = Path(put(tmp_path / "rows.jsonl", good_lines(40)))
    with pytest.raises(InputError, match=r"data/train\.jsonl is not there"):
        check_file(rows, looking=Looking(against=[tmp_path]))
