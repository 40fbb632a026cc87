"""Wrong labels that were planted come up first."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_rows import good_lines
from test_learnability import topics

from lathe.contracts import ItemVerdict, Task
from lathe.data.baselines import suspects
from lathe.data.baselines.learnability import folds_of, labelled
from lathe.data.baselines.rules import Item
from lathe.records import Example, Manifest, Message, Row, TaskSetup
from lathe.tfidf import sketch

BANKING = Path(__file__).parents[3] / "shared" / "data" / "banking77" / "train.csv"


def found_share(items: list[Item], share: float, looked_at: float, width: int) -> float:
    """Share of planted wrong labels among the most suspect rows."""
    draw, labels = random.Random(0), sorted({str(item.answer) for item in items})
    planted = set(draw.sample(range(len(items)), round(share * len(items))))
    wrong = [
        Item(
            item.input,
            draw.choice([label for label in labels if label != item.answer]) if row in planted else item.answer,
        )
        for row, item in enumerate(items)
    ]
    texts = [item.input for item in wrong]
    model = labelled(wrong, sketch(texts, width), folds_of(texts))
    worst = suspects.ranked(model.scores_NL, model.label_N)[: round(looked_at * len(items))]
    return len(planted & {int(row) for row in worst}) / len(planted)


def test_planted_wrong_labels_are_among_the_worst_rows() -> None:
    assert found_share(topics(600), 0.05, 0.05, 1024) >= 0.9


@pytest.mark.skipif(not BANKING.is_file(), reason="BANKING77 is not beside the repository")
def test_most_of_3_percent_planted_in_real_questions_are_in_the_worst_6_percent() -> None:
    with open(BANKING, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[::5]
    assert found_share([Item(row["text"], row["category"]) for row in rows], 0.03, 0.06, 2048) >= 0.6


def test_a_margin_is_the_given_label_against_the_best_other() -> None:
    scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7]], np.float32)
    margin, likelier = suspects.margins(scores, np.array([0, 1]))
    assert np.allclose(margin, [0.8, -0.6])
    assert list(likelier) == [1, 2]
    assert suspects.suspicious(scores, np.array([0, 1]), 10) == [1]


def test_one_label_alone_is_never_suspect() -> None:
    assert suspects.suspicious(np.ones((3, 1), np.float32), np.zeros(3, np.int64), 10) == []


class Intent(Task):
    """Labels as answers: a task as small as one can be."""

    version = "1"
    primary = "exact"
    metrics = ()
    slices = ()
    baselines = ()
    worked = ()

    def example(self, row: Row, setup: TaskSetup) -> Example:
        turn = Message(role="user", content=row["input"])
        return Example(
            id=row["id"], input=row["input"], messages=(turn,), completion=row["target"], target=row["target"]
        )

    def score(self, example: Example, text: str, setup: TaskSetup) -> ItemVerdict:
        return ItemVerdict({"exact": float(text == example.completion)})

    def worked_setup(self) -> TaskSetup:
        return TaskSetup()


def test_prepared_rows_with_labels_name_the_suspects_and_where_they_stand(
    tmp_path: Path, prepared: Callable[..., Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lathe.plugins.load", lambda kind, name: Intent())
    items = topics(300)
    labels = sorted({str(item.answer) for item in items})
    rows = [
        {
            "id": str(number),
            "input": item.input,
            "target": labels[0] if item.answer == labels[1] and number < 40 else item.answer,
        }
        for number, item in enumerate(items)
    ]
    wrong = {f"{tmp_path}/rows.jsonl:{n + 1}" for n, row in enumerate(rows) if row["target"] != items[n].answer}
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = prepared({"source": str(tmp_path / "rows.jsonl")})
    assert wrong
    assert {suspect.place for suspect in manifest.suspects[: len(wrong)]} == wrong
    found = next(one for one in manifest.findings if one.id == "suspect_label")
    assert found.count >= len(wrong)


def test_answers_that_are_no_labels_have_no_suspects(tmp_path: Path, prepared: Callable[..., Manifest]) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join(good_lines(80)))
    assert prepared({"source": str(tmp_path / "rows.jsonl")}).suspects == ()
