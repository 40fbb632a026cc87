"""Wrong labels that were planted come up first."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import pytest
from test_learnability import topics

from lathe.data.baselines import suspects
from lathe.data.baselines.features import sketch
from lathe.data.baselines.learnability import folds_of, labelled
from lathe.data.baselines.rules import Item

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
