"""The two plain classifiers: made from some texts, they name others."""

from __future__ import annotations

import numpy as np
import pytest

from lathe import tfidf

TEXTS = ["where is my card", "my card has not come", "top up failed", "the top up did not work", "change my pin"]
LABELS = ["arrival", "arrival", "top_up", "top_up", "pin"]


@pytest.mark.parametrize("width", [3, 64, 4096])
def test_the_linear_model_names_texts_like_those_that_it_saw(width: int) -> None:
    """3 columns: fewer than texts, so that the other of the two systems is solved; all that counts then is that it answers."""
    name = tfidf.linear(TEXTS, LABELS, width)
    said = [name(text) for text in ("is my card here", "a top up that failed", "a new pin")]
    assert set(said) <= set(LABELS)
    if width == 4096:
        assert said == ["arrival", "top_up", "pin"]


def test_both_systems_give_the_same_answers() -> None:
    many = [f"{text} {number}" for number in range(30) for text in TEXTS]
    labels = LABELS * 30
    narrow, wide = tfidf.linear(many, labels, 149), tfidf.linear(many, labels, 151)
    fresh = [f"please: {text}" for text in TEXTS]
    assert [narrow(text) for text in fresh] == [wide(text) for text in fresh] == LABELS


def test_the_nearest_text_is_the_one_that_shares_its_words() -> None:
    find = tfidf.nearest(TEXTS)
    assert [find(text) for text in TEXTS] == [0, 1, 2, 3, 4]
    assert find("the pin, change it") == 4


def test_a_text_without_words_is_answered_too() -> None:
    assert tfidf.linear(TEXTS, LABELS)("?!") in LABELS
    assert tfidf.nearest(TEXTS)("") == 0


def test_one_label_is_always_the_answer() -> None:
    assert tfidf.linear(["one text"], ["only"])("another") == "only"


def test_a_text_is_weighted_by_the_texts_that_the_model_was_made_from() -> None:
    """Alone a text knows no rare words; held against others it does."""
    found = tfidf.counted(TEXTS)
    together = tfidf.weighted(found, tfidf.rarity(found), 512)
    alone = tfidf.weighted(tfidf.counted(TEXTS[:1]), tfidf.rarity(found), 512)
    assert np.allclose(alone[0], together[0])
    assert not np.allclose(tfidf.sketch(TEXTS[:1], 512)[0], together[0])
