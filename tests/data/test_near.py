"""The near-duplicate search finds exactly the pairs that comparing everything with everything finds."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe.data.duplicates.near import jaccard, own_shingles, pairs, rarity
from lathe.data.duplicates.sets import Sets

WORDS = [f"word{number}" for number in range(400)]


def sets_of(texts: list[str]) -> Sets:
    sets = Sets()
    for text in texts:
        sets.add(text)
    return sets


def brute_force(sets: Sets, left: np.ndarray, right: np.ndarray, threshold: float) -> set[int]:
    """Left texts that have a partner, by comparing all with all."""
    own = own_shingles(sets, rarity(sets))
    return {
        int(a)
        for a in np.flatnonzero(left)
        if any(a != b and jaccard(own(int(a)), own(int(b))) >= threshold for b in np.flatnonzero(right))
    }


def edited(text: str, rng: random.Random, edits: int) -> str:
    words = text.split()
    for _ in range(edits):
        words[rng.randrange(len(words))] = rng.choice(WORDS)
    return " ".join(words)


def collection(seed: int, count: int) -> list[str]:
    """Texts, half of them edited copies of others, with a boilerplate phrase in all."""
    rng = random.Random(seed)
    texts: list[str] = []
    for _ in range(count):
        if texts and rng.random() < 0.5:
            texts.append(edited(rng.choice(texts), rng, rng.randrange(4)))
        else:
            body = " ".join(rng.choices(WORDS, k=rng.randrange(3, 60)))
            texts.append(f"please read the following words with care {body} and answer in json as always")
    return texts


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]))
def test_the_search_finds_what_brute_force_finds(seed: int, threshold: float) -> None:
    sets = sets_of(collection(seed, 60))
    left = np.random.default_rng(seed).random(len(sets)) < 0.7
    found = pairs(sets, left, ~left, threshold)
    assert {a for a, _, _ in found} == brute_force(sets, left, ~left, threshold)
    for a, b, overlap in found:
        assert left[a]
        assert not left[b]
        own = own_shingles(sets, rarity(sets))
        assert overlap == jaccard(own(a), own(b)) >= threshold


def test_work_split_into_small_chunks_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = sets_of(collection(7, 200))
    left = np.arange(len(sets)) % 3 != 0
    whole = pairs(sets, left, ~left, 0.5)
    monkeypatch.setattr("lathe.data.duplicates.near.CHUNK", 50)
    monkeypatch.setattr("lathe.data.duplicates.sets.CHUNK", 50)
    assert {a for a, _, _ in pairs(sets, left, ~left, 0.5)} == {a for a, _, _ in whole}


def test_rows_of_one_template_with_other_values_are_no_near_duplicates() -> None:
    rows = [
        f"rating: {n % 5} reviewer: person{n} surname{n * 7} date: 20{n:02} please extract as json" for n in range(60)
    ]
    sets = sets_of(rows)
    everything = np.ones(len(sets), bool)
    assert pairs(sets, everything, everything, 0.7) == []


@pytest.mark.parametrize("count", [100, 5000])
def test_a_long_instruction_in_every_row_makes_no_duplicates(count: int) -> None:
    """Forty words in common and a few of one's own: what is asked differs, so the rows do, and the search stays quick."""
    instruction = " ".join(f"instruction{n}" for n in range(40))
    rows = [f"{instruction} account {n * 7919 % 1_000_003} of branch {n}" for n in range(count)]
    sets = sets_of([*rows, rows[3] + " please"])
    left = np.arange(len(sets)) % 3 == 0
    left[3], left[-1] = True, False
    start = time.process_time()
    assert [(a, b) for a, b, _ in pairs(sets, left, ~left, 0.6)] == [(3, count)]
    assert time.process_time() - start < 5


def test_one_changed_word_in_a_long_text_is_a_near_duplicate() -> None:
    words = [f"w{n}" for n in range(60)]
    sets = sets_of([" ".join(words), " ".join([*words[:30], "other", *words[31:]])])
    assert pairs(sets, np.array([True, False]), np.array([False, True])) == [(0, 1, pytest.approx(51 / 61))]


def test_a_text_shorter_than_a_shingle_is_compared_as_a_whole() -> None:
    sets = sets_of(["yes", "no", "yes", ""])
    assert [len(sets.of(row)) for row in range(4)] == [1, 1, 1, 1]
    assert pairs(sets, np.arange(4) == 0, np.arange(4) > 0) == [(0, 2, 1.0)]


def test_texts_on_both_sides_are_held_against_the_others_and_not_themselves() -> None:
    sets = sets_of(collection(3, 150))
    everything = np.ones(len(sets), np.bool_)
    found = pairs(sets, everything, everything, 0.5)
    assert {a for a, _, _ in found} == brute_force(sets, everything, everything, 0.5)
    assert all(a != b for a, b, _ in found)


def test_nothing_on_one_side_is_no_pair() -> None:
    sets = sets_of(["a b c d e f"])
    assert pairs(sets, np.array([True]), np.array([False])) == []


def test_texts_in_a_script_without_blanks_are_near_where_most_of_their_characters_are() -> None:
    """Each was one word, like no other but itself; the number of the order alone differs."""
    asked = "请问第{}号订单什么时候能够送到我在北京市朝阳区的家里呢谢谢您"
    texts = [asked.format(17), asked.format(18), "我想把明天下午三点的会议改到后天上午十点可以吗麻烦您了", "order 17"]
    everything = np.ones(len(texts), bool)
    assert [(a, b) for a, b, _ in pairs(sets_of(texts), everything, everything)] == [(0, 1), (1, 0)]
