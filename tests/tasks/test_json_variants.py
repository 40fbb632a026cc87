"""Variants of a row for json_extraction: other values and lists, right where their row is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe import plugins
from lathe.records import Example, Json, Message, TaskSetup
from lathe.tasks._json.variants.lists import lists
from lathe.tasks._json.variants.places import at, leaves, places

TASK = plugins.load("tasks", "json_extraction")
STEADY = settings(deadline=None, derandomize=True)


def example(text: str, target: Json, number: int = 0, setup: TaskSetup | None = None, **fields: Any) -> Example:
    row = {"id": f"row-{number}", "input": text, "target": target, **fields}
    return TASK.example(row, setup or TaskSetup())


def stations(count: int) -> list[Example]:
    """Rows whose fields hold other values each, but for the state."""
    names = ("Bern", "Lima", "Oslo", "Kiel", "Rome", "Nara", "Pisa", "Graz")[:count]
    rows = []
    for number, name in enumerate(names, start=1):
        degrees, state, built = (
            f"{number}.{number}",
            ("shut", "open")[number % 2],
            f"{1990 + number}-0{number}-1{number}",
        )
        text = f"Station: {name}\nDegrees: {degrees}\nState: {state}\nBuilt: {built}"
        target = {"station": name, "degrees": float(degrees), "state": state, "built": built}
        rows.append(example(text, target, number))
    return rows


def variants(rows: list[Example], count: int = 20, setup: TaskSetup | None = None) -> list[Example]:
    return list(TASK.variants(rows, count, setup or TaskSetup()))


def test_every_value_of_a_variant_stands_in_its_text() -> None:
    for row in variants(stations(8)):
        assert set(places(row.input, row.target)) == {path for path, _ in leaves(row.target)}
        assert row.completion == json.dumps(row.target)
        assert row.messages[-1].content.endswith(row.input)


def test_variants_are_made_of_the_fields_own_values() -> None:
    rows = stations(8)
    made = variants(rows)
    assert {row.target["station"] for row in made} == {row.target["station"] for row in rows}
    assert {row.target["state"] for row in made} == {"open", "shut"}
    for part in range(3):
        assert {row.target["built"].split("-")[part] for row in made} <= {
            row.target["built"].split("-")[part] for row in rows
        }
    assert len({row.input for row in made}) > len(made) * 0.9


def test_equal_rows_give_equal_variants_whose_ids_name_their_row() -> None:
    rows = stations(8)
    assert variants(rows, 3) == variants(rows, 3)
    assert [(row.id, row.made_of) for row in variants(rows[:1], 2)] == [("row-1+1", "row-1"), ("row-1+2", "row-1")]


def test_whoever_reads_a_row_right_reads_its_variants_right() -> None:
    """The rule for listings and tables, which knows nothing of how variants are made; a word may be new to it."""
    corpus = plugins.load("corpora", "edge_json")
    setup = TaskSetup(schemas=dict(corpus.schemas()))
    rows = [TASK.example(row, setup) for row in corpus.rows(3, 400)]
    rule = TASK.baselines[0].fit(rows, setup)

    def is_right(row: Example) -> bool:
        return TASK.score(row, rule(row), setup).values["json_exact"] == 1.0

    right = {row.id for row in rows if is_right(row)}
    found = [is_right(row) for row in variants(rows, 3, setup) if row.made_of in right]
    assert len(found) > 300
    assert sum(found) >= 0.99 * len(found)


@STEADY
@given(
    st.lists(st.from_regex(r"[A-Z][a-z]{1,7}( [0-9]{1,3})?", fullmatch=True), min_size=2, max_size=6),
    st.integers(0, 99),
    st.integers(1, 5),
)
def test_a_listing_of_any_values_keeps_text_and_answer_together(values: list[str], number: int, count: int) -> None:
    def listing(values: list[str], number: int) -> str:
        return f"Number = {number}\nNames\n" + "".join(f"  - {value}\n" for value in values)

    rows = [example(listing(values, number), {"number": number, "names": values})]
    for row in variants(rows, count):
        assert row.input == listing(row.target["names"], row.target["number"])


READINGS = "Sensor: b-17\nReadings:\n  Value: 3.5\n  Unit: K\n  Value: 8.2\n  Unit: K\nEnd"
ANSWER = {"sensor": "b-17", "readings": [{"value": 3.5, "unit": "K"}, {"value": 8.2, "unit": "K"}]}


def test_items_of_a_list_change_places_and_come_twice_with_their_lines() -> None:
    made = variants([example(READINGS, ANSWER)], 40)
    assert {len(row.target["readings"]) for row in made} == {2, 3}
    for row in made:
        lines = "".join(f"  Value: {one['value']}\n  Unit: {one['unit']}\n" for one in row.target["readings"])
        assert row.input == f"Sensor: {row.target['sensor']}\nReadings:\n{lines}End"


@pytest.mark.parametrize(
    ("text", "target", "why"),
    [
        ("Item 1:\n  Age: 3\nItem 2:\n  Age: 4", [{"age": 3}, {"age": 4}], "a heading over each item would stay behind"),
        ("To: a@b.c\n    d@e.f", ["a@b.c", "d@e.f"], "the first stands behind the list's own name"),
        ("Tags: red, dry", ["red", "dry"], "both stand on one line"),
        ("Fees:\n  Sum: 3\nFees:\n  Sum: 4", [{"fees": {}, "sum": 3}, {"fees": {}, "sum": 4}], "it begins without a value"),
        ("A: 3\nB: x\nA: 4", [{"a": 3, "c": "y"}, {"a": 4}], "one of its values stands nowhere"),
        ("- 3\n- 3\nsum 3", [3, 3], "a value stands more often than it should"),
    ],
)  # fmt: skip
def test_a_list_without_lines_of_its_own_is_left_as_it_is(text: str, target: Json, why: str) -> None:
    assert not lists(text, target, places(text, target)), why


def test_empty_values_at_the_end_of_an_item_go_with_it() -> None:
    text = "A: 3\nFees:\nA: 4\nFees:\nEnd"
    (found,) = lists(text, target := [{"a": 3, "fees": {}}, {"a": 4, "fees": {}}], places(text, target))
    assert found.lines == (range(2), range(2, 4))


def test_a_number_that_is_not_stated_keeps_numbers_and_lists() -> None:
    rows = [
        example(f"Who: {name}\n- 2 at {n}\n- 4 at {n + 1}", {"who": name, "at": [n, n + 1], "sum": 6 * n + 4}, n)
        for n, name in enumerate(("Anna", "Bert", "Cleo", "Dora", "Egon"), start=30)
    ]
    made = variants(rows)
    by_id = {row.id: row for row in rows}
    for row in made:
        assert (row.target["at"], row.target["sum"]) == (
            by_id[row.made_of].target["at"],
            by_id[row.made_of].target["sum"],
        )
    assert {row.target["who"] for row in made} == {"Anna", "Bert", "Cleo", "Dora", "Egon"}


@pytest.mark.parametrize(
    ("text", "target", "stands"),
    [
        ("13 of 131, at 13.5", {"a": 13}, {("a",)}),
        ("at 12:30", {"a": 12}, set()),
        ("Leaves 10:40 am", {"a": "10:40"}, set()),
        ("Anna Weber and Anna", {"a": "Anna", "b": "Anna Weber"}, {("a",), ("b",)}),
        ("Lunch: yes", {"a": True}, {("a",)}),
        ("| Lunch | no | Car | yes |", {"a": False, "b": True}, {("a",), ("b",)}),
        ("There is no way to have lunch", {"a": False}, set()),
        ("No: the answer is no way.", {"a": False}, set()),
        ("x 3 y 3", {"a": 3}, set()),
        ("Sum 3, then 4, then 3", {"b": 4, "a": 3, "c": 3}, {("b",), ("a",), ("c",)}),
        ("One 1, two 2, 3 and 3", {"z": 2, "y": 1, "a": 3, "c": 3}, {("z",), ("y",)}),
        ("One 1, two 2, 3 and 3", {"z": 2, "y": 1, "a": [3, 3]}, {("z",), ("y",), ("a", 0), ("a", 1)}),
        ("nothing here", {"a": None, "b": "", "c": []}, set()),
    ],
)
def test_a_value_has_a_place_only_where_there_is_no_doubt(text: str, target: Json, stands: set[Any]) -> None:
    found = places(text, target)
    assert set(found) == stands
    for path, place in found.items():
        assert text[place.start : place.end] == place.said
        assert isinstance(at(target, path), bool) or place.said == str(at(target, path))


def test_a_variant_fits_its_rows_schema() -> None:
    schema = {"type": "object", "properties": {"size": {"type": "integer", "maximum": 23}}, "required": ["size"]}
    setup = TaskSetup(schemas={"box": schema})
    rows = [example(f"Size {n}", {"size": n}, n, setup, schema_id="box") for n in (13, 19, 21, 23)]
    assert {row.target["size"] for row in variants(rows, setup=setup)} <= set(range(10, 24))


def test_turns_before_the_question_stay() -> None:
    told = Message(role="system", content="Be exact.")
    rows = [row.model_copy(update={"messages": (told, *row.messages)}) for row in stations(8)]
    assert {row.messages[0] for row in variants(rows, 2)} == {told}
