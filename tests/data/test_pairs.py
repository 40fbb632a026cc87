"""Texts and answers in two files are read line by line, and never shifted against each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from lathe.data.check import check_file
from lathe.data.files.read import Placed, read_file
from lathe.errors import DataError
from lathe.files import row_files
from lathe.records import DataSpec, Recipe, RejectedRow
from lathe.resolve import find_base, lock


def put(folder: Path, texts: str, answers: str | None) -> Path:
    (folder / "open.nl").write_text(texts, encoding="utf-8")
    if answers is not None:
        (folder / "open.cm").write_text(answers, encoding="utf-8")
    return folder / "open.nl"


def test_each_line_is_a_row_of_text_and_answer(tmp_path: Path) -> None:
    path = put(tmp_path, "list files\nlist ten\u2028files \n", "ls\nls | head -n 10\n")
    rows = [item for item in read_file(path) if isinstance(item, Placed)]
    assert [(row.line, row.row) for row in rows] == [
        (1, {"input": "list files", "target": "ls"}),
        (2, {"input": "list ten\u2028files", "target": "ls | head -n 10"}),
    ]
    assert row_files(tmp_path) == [path]


@pytest.mark.parametrize(("asked", "answered"), [("nl", "cm"), ("src", "tgt"), ("source", "target")])
def test_what_a_check_reads_a_run_reads_too(tmp_path: Path, asked: str, answered: str) -> None:
    """A pair under other endings was checked as clean and then refused as broken JSON."""
    path = tmp_path / f"open.{asked}"
    path.write_text("list files\nshow disk use\n")
    (tmp_path / f"open.{answered}").write_text("ls\ndf -h\n")
    assert [item.row["target"] for item in read_file(path) if isinstance(item, Placed)] == ["ls", "df -h"]
    assert row_files(tmp_path) == [path]
    assert [(one.name, one.rows) for one in check_file(tmp_path).files] == [(str(path), 2)]
    with pytest.raises(DataError, match=rf"holds the answers to open\.{asked}"):
        row_files(tmp_path / f"open.{answered}")


@pytest.mark.parametrize(("texts", "answers"), [("a\nb\n", "x\n"), ("a\n", "x\ny\n")])
def test_files_of_unequal_length_are_refused(tmp_path: Path, texts: str, answers: str) -> None:
    with pytest.raises(DataError, match=r"open\.nl:2: open\.cm has not as many lines"):
        list(read_file(put(tmp_path, texts, answers)))


def test_a_missing_file_of_answers_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"open\.cm"):
        list(read_file(put(tmp_path, "a\n", None)))


def test_a_line_without_its_partner_is_rejected_and_a_blank_one_passed_over(tmp_path: Path) -> None:
    found = list(read_file(put(tmp_path, "a\n\n\nd\n", "x\n\nz\n\n")))
    assert [item.line for item in found] == [1, 3, 4]
    assert [item.reason for item in found if isinstance(item, RejectedRow)] == [
        "the line is empty",
        "the line is empty in open.cm",
    ]


def test_bytes_that_are_no_text_are_rejected_with_their_line(tmp_path: Path) -> None:
    path = put(tmp_path, "a\nb\n", None)
    (tmp_path / "open.cm").write_bytes(b"x\ny\xff\n")
    rejected = [item for item in read_file(path) if isinstance(item, RejectedRow)]
    assert [(item.line, item.column) for item in rejected] == [(2, 2)]


def test_check_reads_them_as_prompt_and_completion(tmp_path: Path) -> None:
    texts = "".join(f"count the lines of file number {n}\n" for n in range(40))
    report = check_file(put(tmp_path, texts, "".join(f"wc -l file{n}\n" for n in range(40))))
    assert report.files[0].format == "prompt-completion"
    assert report.files[0].rows == 40


def test_the_answers_are_locked_like_the_texts(tmp_path: Path) -> None:
    put(tmp_path, "a\n", "x\n")
    spec = DataSpec(source="open.nl")
    recipe = Recipe(name="pairs", base="lathe:nano", task="json_extraction", data=spec)
    locked = lock(recipe, tmp_path, find_base(recipe.base, tmp_path))
    assert [Path(file.path).name for file in locked.data_files] == ["open.nl", "open.cm"]
