"""Answers that are cut, stand in for one, refuse, ask back or are not filled in; values that the text lacks; labels twice."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lathe import no_answer
from lathe.data.findings import quality
from lathe.data.findings.quality import leaf_values

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Here:\n```python\ndef f(x):", "a code fence is opened and never closed"),
        ("```a```\n```b", "a code fence is opened and never closed"),
        ('{"a": [1, 2', "JSON that ends with {[ unclosed"),
        ('{"a": "half a te', 'JSON that ends with {" unclosed'),
        ("Here:\n```python\ndef f(x): ...\n```", ""),
        ('{"a": [1, 2]}', ""),
        ("{curly} words are no JSON", ""),
        ("A smiley :( is no bracket", ""),
        ("", ""),
    ],
)
def test_an_answer_that_stops_inside_something_is_cut(text: str, said: str) -> None:
    assert no_answer.cut(text) == said


@given(VALUES.filter(lambda value: isinstance(value, dict | list) and value), st.data())
def test_a_json_answer_is_whole_and_every_beginning_of_it_is_cut(value: object, data: st.DataObject) -> None:
    text = json.dumps(value)
    if no_answer.FENCE in text:
        return
    assert no_answer.cut(text) == ""
    assert no_answer.cut(text[: data.draw(st.integers(1, len(text) - 1))]) != ""


@pytest.mark.parametrize(
    "text",
    [
        "Mock response",
        "This is a mock answer.",
        "TODO",
        "lorem ipsum dolor sit",
        "n/a",
        "[Insert response here]",
        "...",
    ],
)
def test_stand_ins_are_told(text: str) -> None:
    assert no_answer.mock(text)


@pytest.mark.parametrize(
    "text", ["A mock object replaces a real one in tests.", "None of them.", "Sample size: 30", "todo lists help", "5"]
)
def test_answers_that_only_speak_of_such_things_are_none(text: str) -> None:
    assert not no_answer.mock(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "As an AI language model, I cannot",
        "I cannot assist with this request.",
        "Sorry, but I can’t do this.",
    ],
)
def test_refusals_are_told(text: str) -> None:
    assert no_answer.refusal(text)


@pytest.mark.parametrize(
    "text",
    ["I'm sorry to hear that; your card is on its way.", "You cannot delete it.", "Sorry for the wait: it is done."],
)
def test_an_apology_is_no_refusal(text: str) -> None:
    assert not no_answer.refusal(text)


def test_asking_back_is_told_and_code_is_an_answer() -> None:
    assert no_answer.clarifying("Sure! Could you please provide the code?")
    assert not no_answer.clarifying("Could you please provide more? Meanwhile:\n```sh\nls\n```")
    assert not no_answer.clarifying("The form asks: what is your name?")


def test_prose_that_stops_mid_sentence_is_told_only_where_it_is_long() -> None:
    assert no_answer.unfinished("It begins well. " * 20 + "However, the problem does not specify the")
    assert not no_answer.unfinished("It begins well. " * 20)
    assert not no_answer.unfinished("find . -name '*.java' | xargs grep Stock; " * 10 + "ls")


def test_placeholders_are_told_unless_the_input_says_them_too() -> None:
    assert quality.placeholder("Dear [Your Name], welcome") == "holds '[Your Name]'"
    assert quality.placeholder("Hello {{ name }}") == "holds '{{ name }}'"
    assert quality.placeholder("{}", leaf_values({"city": "string"})) == "city is 'string'"
    assert quality.placeholder("Hello {{ name }}", asked="Fill {{ name }} in later") == ""
    assert quality.placeholder("{}", leaf_values({"tag": "Example"}), asked="Tag: example") == ""
    assert quality.placeholder("mktemp /tmp/x.XXXXXX") == ""


def test_values_are_read_by_words_and_numbers_by_value() -> None:
    text = "Invoice of  ACME Ltd.\nTotal 1,234.50 EUR, deposit 1.000,00; -7 degrees, 3rd floor"
    held = {
        "who": "acme ltd.",
        "total": 1234.5,
        "deposit": 1000,
        "cold": -7,
        "floor": 3,
        "paid": True,
        "note": "",
        "left": None,
    }
    assert quality.not_found(leaf_values(held), text) == set()
    assert quality.not_found(leaf_values({"who": "Beta", "lines": [{"n": 8}]}), text) == {"who", "lines[].n"}


@given(VALUES)
def test_every_value_that_is_written_out_is_found(value: object) -> None:
    leaves = [(path, leaf) for path, leaf in leaf_values(value) if not isinstance(leaf, int) or abs(leaf) < 10**9]
    text = "\n".join(f"{path} = {leaf}" for path, leaf in leaves)
    assert quality.not_found(leaves, text) == set()


def test_labels_written_in_two_ways_are_paired_with_the_frequent_one() -> None:
    labels = Counter({"card_arrival": 50, "Card Arrival": 3, "card_arrivall": 1, "top_up": 40, "top_up_2": 40})
    assert quality.label_variants(labels) == [("Card Arrival", "card_arrival"), ("card_arrivall", "card_arrival")]


def test_labels_that_are_not_declared_are_counted() -> None:
    assert quality.unknown_labels(Counter({"a": 3, "b": 2}), ["a"]) == {"b": 2}
