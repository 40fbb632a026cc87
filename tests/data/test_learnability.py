"""Rules without a model: each is made from other rows than it answers, and gets what it should on data whose answer is known."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe.data.baselines.learnability import (
    folds_of,
    kind_of,
    linear_scores,
    measure,
    nearest,
    out_of_fold,
)
from lathe.data.baselines.rules import DICTIONARY, MAJORITY, SLOTS, TELLING_WORD, Item, Rule
from lathe.tfidf import sketch

TOPICS = {
    "weather": ["rain", "snow", "storm", "cloud", "sunny", "wind", "forecast", "cold"],
    "food": ["bread", "soup", "cheese", "apple", "dinner", "cook", "salt", "pan"],
    "travel": ["train", "ticket", "hotel", "flight", "border", "visa", "luggage", "map"],
}


def topics(count: int, seed: int = 0) -> list[Item]:
    draw = random.Random(seed)
    items = []
    for number in range(count):
        label = draw.choice(list(TOPICS))
        words = [
            *draw.sample(TOPICS[label], 3),
            *draw.sample(["please", "tell", "me", "about", "the", "what", "is", "my"], 3),
            str(number),
        ]
        draw.shuffle(words)
        items.append(Item(" ".join(words), label))
    return items


def scores(items: list[Item], **options: object) -> dict[str, float]:
    return {one.name: one.exact for one in measure(items, **options)[0].baselines}  # type: ignore[arg-type]


def test_labels_that_words_give_away_are_learned_and_the_majority_is_not_enough() -> None:
    found = scores(topics(300))
    assert found["majority"] < 0.5
    assert found["linear"] >= 0.97
    assert found["nearest_neighbour"] >= 0.9
    assert found["telling_word"] >= 0.9


def test_labels_without_any_sign_in_the_text_are_learned_by_no_rule() -> None:
    draw = random.Random(1)
    items = [Item(item.input, draw.choice("ab")) for item in topics(400)]
    assert all(score < 0.65 for score in scores(items).values())


def test_equal_texts_are_in_one_fold_whatever_their_case_and_spaces() -> None:
    texts = [f"row {number}" for number in range(500)]
    folds = folds_of(texts)
    assert list(folds) == list(folds_of([f"  ROW   {number}\n" for number in range(500)]))
    assert min(np.bincount(folds)) > 60


def test_a_row_never_helps_to_answer_itself_or_its_equals() -> None:
    items = [Item(f"text {number % 50}", f"answer {number % 50}") for number in range(100)]

    def fit(train: list[Item]):  # type: ignore[no-untyped-def]
        seen = {item.input for item in train}
        return lambda item: "seen" if item.input in seen else "unseen"

    assert set(out_of_fold(Rule("probe", "", fit), items, folds_of([item.input for item in items]))) == {"unseen"}  # type: ignore[arg-type]
    assert scores(items)["nearest_neighbour"] == 0


@settings(max_examples=10, deadline=None)
@given(st.integers(20, 60), st.integers(0, 10**6))
def test_the_linear_rule_is_the_same_solved_over_rows_or_over_columns(rows: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    matrix = draw.normal(size=(rows, 12)).astype(np.float32)
    labels, folds = draw.integers(0, 3, rows), np.arange(rows) % 4
    wide = np.concatenate([matrix, np.zeros((rows, rows), np.float32)], axis=1)
    assert np.allclose(linear_scores(matrix, labels, folds), linear_scores(wide, labels, folds), atol=1e-3)


def test_the_nearest_row_is_of_another_fold() -> None:
    matrix = sketch(["red cup", "red cup", "red cups", "blue pot"], 256)
    assert list(nearest(matrix, np.array([0, 0, 1, 1]))) == [2, 2, 0, 0] or nearest(matrix, np.array([0, 0, 1, 1]))[
        3
    ] in (0, 1)
    assert list(nearest(matrix, np.zeros(4, np.int64))) == [-1] * 4


def test_rows_of_a_sketch_have_length_one_and_alike_texts_are_near() -> None:
    matrix = sketch(["where is my card", "Where is my card?", "bake some bread", ""], 2048)
    assert np.allclose(np.linalg.norm(matrix, axis=1), [1, 1, 1, 0])
    assert matrix[0] @ matrix[1] > 0.99
    assert abs(matrix[0] @ matrix[2]) < 0.3


def test_the_same_texts_give_the_same_sketch_in_any_order() -> None:
    texts = [item.input for item in topics(50)]
    assert np.array_equal(sketch(texts, 512), sketch(texts[::-1], 512)[::-1])


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (["a", "b"] * 20, "label"),
        (["1", "2", "3"] * 20, "label"),
        ([{"a": 1}, [2]] * 5, "json"),
        ([f"answer {number}" for number in range(40)], "text"),
        (["long " * 40, "other " * 40] * 20, "text"),
    ],
)
def test_the_kind_of_answers_is_told(answers: list[object], kind: str) -> None:
    assert kind_of(answers) == kind


ORDERS = [
    Item(
        f"{who} wants {number} lamps, paid",
        {"who": who, "paid": True, "items": [{"name": "lamp"}], "n": number},
        "order",
    )
    for number, who in enumerate(["Mira", "Theo", "Ana"] * 20)
]


def test_most_frequent_by_slot_fills_each_field_with_its_most_frequent_value() -> None:
    said = SLOTS.fit(ORDERS)(ORDERS[0])
    assert said["paid"] is True
    assert said["items"] == [{"name": "lamp"}]


def test_a_dictionary_takes_known_values_that_stand_in_the_text() -> None:
    assert DICTIONARY.fit(ORDERS)(Item("Theo wants a lamp", None, "order"))["who"] == "Theo"


def test_groups_have_their_own_majority() -> None:
    items = [Item("x", "a", "one")] * 3 + [Item("x", "b", "two")] * 5
    rule = MAJORITY.fit(items)
    assert (rule(Item("x", "", "one")), rule(Item("x", "", "unknown"))) == ("a", "b")


def test_a_rare_word_is_believed_less_than_a_frequent_one() -> None:
    items = [Item("sun beach", "travel")] * 9 + [Item("sun plan", "work")] + [Item("odd", "work")]
    assert TELLING_WORD.fit(items)(Item("sun odd", "")) == "travel"


def test_json_answers_are_scored_whole_and_by_field() -> None:
    found, model = measure(ORDERS)
    assert model is None
    assert {one.name for one in found.baselines} == {
        "majority",
        "most_frequent_by_slot",
        "dictionary",
        "nearest_neighbour",
    }
    dictionary = next(one for one in found.baselines if one.name == "dictionary")
    assert dictionary.exact == 0
    assert dictionary.fields is not None
    assert dictionary.fields >= 0.7


def test_measuring_twice_gives_the_same() -> None:
    assert measure(topics(120))[0] == measure(topics(120))[0]
