"""A reader sees where an answer parts from the right one, and nothing is left out in silence."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from lathe.report.diff import LONGEST_VALUE, MOST_FIELDS, compare, cut, first_json, pieces

leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6)
values = st.dictionaries(st.text(min_size=1, max_size=4), leaves | st.lists(leaves, max_size=3), min_size=1, max_size=5)


@settings(deadline=None)
@given(values)
def test_the_right_answer_has_no_wrong_field(value: dict) -> None:
    found = compare(value, json.dumps(value), json.dumps(value))
    assert found.fields == ()
    assert found.num_same >= 1


@settings(deadline=None)
@given(st.text(max_size=200), st.text(max_size=200))
def test_the_stretches_of_each_side_give_its_whole_text_and_the_shared_ones_are_equal(first: str, second: str) -> None:
    left, right = pieces(first, second)
    assert "".join(piece.text for piece in left) == first
    assert "".join(piece.text for piece in right) == second
    assert "".join(p.text for p in left if p.same) == "".join(p.text for p in right if p.same)


def test_each_wrong_field_has_its_path_and_its_kind() -> None:
    gold = {"name": "Ada", "items": [{"n": 1}, {"n": 2}], "paid": True}
    answer = {"name": "Ida", "items": [{"n": 1}], "paid": 1, "note": "x"}
    found = {field.path: field.state for field in compare(gold, "", json.dumps(answer)).fields}
    assert found == {"name": "differs", "items[1].n": "missing", "paid": "differs", "note": "extra"}


def test_one_and_one_point_nought_are_the_same_number() -> None:
    assert compare({"a": 1}, "", '{"a": 1.0}').fields == ()


def test_text_and_number_look_different() -> None:
    (field,) = compare({"a": "1"}, "", '{"a": 1}').fields
    assert "".join(p.text for p in field.expected) == '"1"'
    assert "".join(p.text for p in field.answered) == "1"


def test_talk_around_the_answer_is_passed_over() -> None:
    assert compare({"a": 1}, "", 'Sure [1]! {"a": 1} Done.').by_field is False, "a list stands first"
    assert compare({"a": 1}, "", 'Sure! {"a": 1} Done.').fields == ()


def test_an_answer_that_was_cut_is_compared_as_text_and_not_by_the_inner_object_it_happens_to_hold() -> None:
    gold = {"customer": {"name": "Ada", "city": "Bonn"}, "total": 3}
    found = compare(gold, json.dumps(gold), json.dumps(gold)[:46])
    assert not found.by_field
    assert any(piece.same for piece in found.fields[0].answered)


def test_an_empty_answer_is_a_missing_one() -> None:
    assert compare({"a": 1}, '{"a": 1}', "  ").fields[0].state == "missing"


def test_thousands_of_brackets_are_shown_as_text() -> None:
    assert compare({"a": 1}, '{"a": 1}', '{"a":' * 50_000).by_field is False
    assert compare([1], "[1]", "[" * 100_000).by_field is False


def test_long_values_and_many_fields_are_cut_and_counted() -> None:
    assert cut("x" * (LONGEST_VALUE + 7)).endswith("and 7 more characters")
    gold = {f"f{i}": i for i in range(MOST_FIELDS + 5)}
    assert compare(gold, "", json.dumps(dict.fromkeys(gold, "no"))).left_out == 5


def test_the_first_json_value_is_found_past_broken_ones() -> None:
    assert first_json('{oops} {"a": 2}') == (True, {"a": 2})
    assert first_json("nothing here") == (False, None)
