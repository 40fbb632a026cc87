"""The pretraining corpus: pure, covered by weights, answers that stand in their context."""

from __future__ import annotations

import json
import re
from datetime import date
from itertools import islice
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lathe.corpora._structured_text import drills, fields, record_tasks, renderings, tasks, words
from lathe.corpora._structured_text.draft import ANSWER, SEPARATOR
from lathe.corpora._structured_text.facts import Fact, invent
from lathe.corpora.structured_text import CORPUS, Document, document
from lathe.records.pretrain import Mix

SEEDS = st.integers(0, 10**9)
MIX = Mix(longest_characters=1500)


def generate(seed: int, n: int, mix: Mix = MIX, start: int = 0) -> list[Document]:
    return list(islice(CORPUS.documents(seed, start, mix), n))


@given(SEEDS, st.integers(0, 10**6))
def test_a_document_depends_on_seed_and_index_only(seed: int, index: int) -> None:
    assert document(seed, index, MIX) == document(seed, index, MIX)


def test_starting_later_gives_the_same_documents() -> None:
    assert generate(4, 6)[3:] == generate(4, 3, start=3)


@given(SEEDS)
def test_weights_cover_the_text_without_gap_or_overlap(seed: int) -> None:
    made = document(seed, 0, MIX)
    assert made.weights[0][0] == 0
    assert made.weights[-1][1] == len(made.text)
    assert all(left[1] == right[0] for left, right in zip(made.weights[:-1], made.weights[1:], strict=True))
    assert all(start < end and 0 <= weight <= 1 for start, end, weight in made.weights)


@given(SEEDS)
def test_a_document_ends_in_one_separator_and_its_turns_are_closed(seed: int) -> None:
    text = document(seed, 1, MIX).text
    assert text.endswith(SEPARATOR)
    assert text.count(SEPARATOR) == 1
    assert text.count("<|im_start|>") == text.count("<|im_end|>")


def test_every_family_appears_and_about_half_of_the_documents_are_chats() -> None:
    made = generate(1, 1500)
    families = {maker.__name__ for maker, _ in (*tasks.TASKS, *drills.DRILLS)}
    assert {d.family for d in made} == families
    chats = sum("<|im_start|>" in d.text for d in made) / len(made)
    assert 0.4 < chats < 0.7


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict | list):
        return [leaf for part in (value.values() if isinstance(value, dict) else value) for leaf in _leaves(part)]
    return [value]


@given(SEEDS)
def test_a_lookup_asks_for_strings_that_its_text_gives_letter_for_letter_unless_they_have_another_notation(
    seed: int,
) -> None:
    made = document(seed, 0, Mix(longest_characters=900, lookup_share=1.0))
    assert made.family == "lookup"
    question, _, answer = made.text.partition("<|im_start|>assistant\n")
    if not answer.startswith("{"):
        return
    text, choices = question.lower(), set(re.findall(r'"([^"]+)"(?=[|,}\] ])', question))
    rewritten = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d")
    strings = [leaf for leaf in _leaves(json.loads(answer.split("<|im_end|>")[0])) if isinstance(leaf, str)]
    assert all(leaf.lower() in text for leaf in strings if not rewritten.fullmatch(leaf) and leaf not in choices)


@given(SEEDS)
def test_facts_of_one_set_have_different_labels_and_the_text_calls_no_two_of_them_the_same(seed: int) -> None:
    facts = [item for item in invent(Random(seed), 9, 0) if isinstance(item, Fact)]
    assert len({fact.label for fact in facts}) == len({fact.spoken for fact in facts}) == 9


@given(SEEDS)
def test_clock_times_mean_their_target(seed: int) -> None:
    value = fields.scalar(fields.Field(("x",), "time"), Random(seed))
    hour, minute = map(int, value.target.split(":"))
    for shown in value.surfaces[1:]:
        spoken, spoken_minute, half = re.fullmatch(r"(\d+)[:.h](\d\d)\s?([ap]?)\.?m?\.?", shown.lower()).groups()
        assert int(spoken_minute) == minute
        assert (int(spoken) % 12 + (12 if half == "p" else 0) if half else int(spoken)) == hour


@pytest.mark.parametrize("family", ["lookup", "nesting"])
def test_documents_that_drill_nothing_apart_do_not_depend_on_the_share_of_drills(family: str) -> None:
    plain, mixed = generate(3, 60), generate(3, 60, MIX.model_copy(update={f"{family}_share": 0.5}))
    kept = [(one, other) for one, other in zip(plain, mixed, strict=True) if other.family != family]
    assert 15 < len(kept) < 45
    assert all(one == other for one, other in kept)


def test_documents_grow_with_the_room_and_may_fill_a_long_window() -> None:
    short, long = (
        max(len(d.text) for d in generate(2, 150, Mix(longest_characters=longest, drill_share=0.4)))
        for longest in (1100, 18_000)
    )
    assert short < 6_000
    assert long > 12_000


@given(SEEDS)
def test_scalars_of_an_extraction_stand_in_the_text_when_they_are_plain(seed: int) -> None:
    rng = Random(seed)
    record = fields.fill(fields.schema(rng, 4, 1), rng)
    text = renderings.listing(record, rng, plain=True)
    for value in _leaves(fields.target(record, "snake")):
        shown = (
            {True: "true", False: "false", None: "null"}.get(value, str(value))
            if not isinstance(value, int | float) or isinstance(value, bool)
            else str(value)
        )
        assert shown in text


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [value]


@pytest.mark.parametrize("kind", sorted({*fields.STRING_KINDS, *fields.NUMBER_KINDS, *fields.OTHER_KINDS}))
def test_the_first_surface_of_a_value_is_its_json_text(kind: str) -> None:
    rng = Random(kind)
    for _ in range(50):
        value = fields.scalar(fields.Field(("x",), kind, choices=("one_way", "other")), rng)
        plain = json.dumps(value.target, ensure_ascii=False)
        assert value.surfaces[0] == (json.loads(plain) if isinstance(value.target, str) else plain)


def test_spelled_dates_mean_their_target() -> None:
    rng = Random(1)
    for _ in range(200):
        value = fields.scalar(fields.Field(("x",), "date"), rng)
        when = date.fromisoformat(value.target)
        for shown in value.surfaces:
            assert str(when.year) in shown
            assert re.search(rf"\b0?{when.day}(st|nd|rd|th)?\b", shown)


@given(SEEDS)
def test_answers_of_extractions_are_json(seed: int) -> None:
    text = "".join(text for text, weight in record_tasks.extract(Random(seed), 900).pieces if weight == ANSWER)
    assert isinstance(json.loads(text.replace("<|im_end|>", "")), dict)


@given(SEEDS)
def test_copied_strings_were_said_before(seed: int) -> None:
    pieces = drills.repeat(Random(seed), 600).pieces
    said = ""
    for text, weight in pieces:
        if weight == ANSWER:
            assert text in said or text.rstrip("\n")[:-1] in said or text in {t for t, w in pieces if w != ANSWER}
        said += text


def test_rows_hold_what_documents_hold() -> None:
    row, made = next(iter(CORPUS.rows(5, 1))), document(5, 0, MIX)
    assert row["text"] == made.text
    assert [tuple(stretch) for stretch in row["weights"]] == list(made.weights)


def test_coined_words_come_from_no_list() -> None:
    rng = Random(0)
    listed = {*words.NOUNS, *words.ATTRIBUTES, *words.VERBS}
    made = {words.coined(rng) for _ in range(2000)}
    assert len(made) > 1900
    assert len(made & listed) < 20
