"""BFCL's questions and possible answers: two files, one row for each id."""

from __future__ import annotations

import json
from pathlib import Path

from lathe.data.files.placed import Placed
from lathe.data.files.read import read_file
from lathe.files import answers_of
from lathe.records import RejectedRow

QUESTIONS = [
    {"id": f"simple_{n}", "question": [[{"role": "user", "content": f"Do {n}"}]], "function": []} for n in range(3)
]


def written(folder: Path, answers: list[dict[str, object]]) -> Path:
    (folder / "possible_answer").mkdir()
    for path, rows in ((folder / "BFCL.json", QUESTIONS), (folder / "possible_answer" / "BFCL.json", answers)):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "BFCL.json"


def test_answers_are_joined_by_id_whatever_their_order(tmp_path: Path) -> None:
    answers = [{"id": f"simple_{n}", "ground_truth": [{"f": {"n": [n]}}]} for n in (2, 0, 1)]
    path = written(tmp_path, answers)
    found = list(read_file(path))
    assert answers_of(path) == tmp_path / "possible_answer" / "BFCL.json"
    assert [item.row["ground_truth"] for item in found if isinstance(item, Placed)] == [
        [{"f": {"n": [n]}}] for n in range(3)
    ]
    assert [item.line for item in found if isinstance(item, Placed)] == [1, 2, 3]


def test_a_question_without_an_answer_is_rejected_with_its_line(tmp_path: Path) -> None:
    found = list(
        read_file(written(tmp_path, [{"id": "simple_0", "ground_truth": []}, {"id": "simple_2", "ground_truth": []}]))
    )
    (lost,) = [item for item in found if isinstance(item, RejectedRow)]
    assert (lost.line, lost.reason) == (2, "BFCL.json has no answer to 'simple_1'")
    assert len(found) == 3


def test_a_file_without_such_a_folder_beside_it_is_read_alone(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('{"id": "a"}\n')
    assert answers_of(tmp_path / "rows.json") is None
    assert [item.row for item in read_file(tmp_path / "rows.json") if isinstance(item, Placed)] == [{"id": "a"}]
