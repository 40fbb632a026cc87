"""The generated JSON-extraction rows: each value can be read back from the text, and the invariants hold in every row."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from math import isclose
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe import plugins
from lathe.corpora import edge_json
from lathe.corpora.edge_json import PLANS, drawn
from lathe.records import Json, TaskSetup
from lathe.tasks._json.shape import shape

STEADY = settings(deadline=None, derandomize=True)
"""The same examples every time, however busy the machine is."""

CORPUS = plugins.load("corpora", "edge_json")
SCHEMAS = CORPUS.schemas()
ROWS = list(CORPUS.rows(0, 2000))
PLACES = st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))
NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905


# ------------------------------------------------------------------- reading values back, by the schema alone


def leaves(schema: Json, value: Json, place: tuple = ()) -> Iterator[tuple[tuple, Json, Json]]:
    """(place, schema, value) of each scalar; items of a list of scalars have the list's description."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(schema["properties"][key], part, (*place, key))
    elif isinstance(value, list):
        inner = schema["items"]
        if inner["type"] != "object":
            inner = {**inner, "description": schema["description"]}
        for number, part in enumerate(value):
            yield from leaves(inner, part, (*place, number))
    else:
        yield place, schema, value


def read_back(schema: Json, words: str) -> Json:
    """The value that some words stand for, by what the schema says and nothing else; written apart from the generator."""
    description = schema["description"]
    if schema["type"] == "boolean":
        yes, no = (re.findall(r'"([^"]+)"', half) for half in description.split("; false:"))
        if words.lower() in ("yes", "true", "y", *yes):
            return True
        assert words.lower() in ("no", "false", "n", *no)
        return False
    if "enum" in schema:
        rules = dict(pair.split(" = ") for pair in description.partition("Rule: ")[2].split(", ") if pair)
        return rules.get(words, words.replace(" ", "_"))
    if schema["type"] in ("integer", "number"):
        first = words.split()[0]
        if first in NUMBER_WORDS:
            return NUMBER_WORDS.index(first)
        number = re.search(r"[\d,]+(\.\d+)?", words)
        assert number
        digits = number.group().replace(",", "")
        return int(digits) if schema["type"] == "integer" else float(digits)
    if schema.get("format") == "date":
        for form in ("%Y-%m-%d", "%d.%m.%Y", "%d %B %Y", "%d %b %Y", "%B %d, %Y"):
            try:
                return datetime.strptime(words, form).date().isoformat()
            except ValueError:
                continue
        raise AssertionError(words)
    if "HH:MM" in description:
        form = "%I:%M %p" if words.endswith("m") else "%H:%M"
        return datetime.strptime(words, form).strftime("%H:%M")
    return words


@settings(parent=STEADY, max_examples=400)
@given(PLACES)
def test_every_value_stands_in_the_text_or_follows_from_it_by_the_schemas_rule(place: tuple[int, int]) -> None:
    row, mentions = drawn(*place)
    said = {mention.place: mention.words for mention in mentions}
    found = list(leaves(SCHEMAS[row["schema_id"]], row["target"]))
    assert set(said) == {where for where, *_ in found}, "each value is said once, and nothing else is"
    for where, schema, value in found:
        words = said[where]
        # What opens a sentence has a capital there; only values that must be copied as they stand never open one so.
        copied = schema["type"] == "string" and "enum" not in schema
        assert words in row["input"] if copied else words.lower() in row["input"].lower(), (where, words)
        got = read_back(schema, words)
        assert type(got) is type(value)
        assert got == value, (where, words)


# ----------------------------------------------------------------------------------------------- invariants


def dates_in_order(*days: str) -> None:
    assert all(one < other for one, other in pairwise(days)), days


def total(values: Iterator[float]) -> float:
    return round(sum(values), 2)


def hold_invariants(name: str, one: Json) -> None:
    """The invariants that the schemas' descriptions promise, checked from the values alone."""
    match name:
        case "parcel_pickup":
            dates_in_order(one["window_start"], one["window_end"])
        case "room_booking":
            dates_in_order(one["from_time"], one["until_time"])
        case "meter_reading":
            assert one["reading"] == one["last_reading"] + one["used"]
        case "library_loan":
            dates_in_order(one["lent_on"], one["due_on"])
        case "pet_boarding":
            dates_in_order(one["arrives_on"], one["leaves_on"])
        case "parking_permit":
            dates_in_order(one["valid_from"], one["valid_until"])
        case "tool_rental":
            assert isclose(one["charge"], one["rental_days"] * one["day_rate"], abs_tol=0.005)
        case "repair_job":
            dates_in_order(one["received_on"], one["promised_on"])
            assert isclose(one["cost"], one["parts_cost"] + one["labour_cost"], abs_tol=0.005)
        case "garden_visit":
            assert one["minutes_in_all"] == sum(job["minutes"] for job in one["jobs"])
        case "catering_offer":
            assert all(
                isclose(row["row_sum"], row["plates"] * row["plate_price"], abs_tol=0.005) for row in one["menu"]
            )
            assert one["net_sum"] == total(row["row_sum"] for row in one["menu"])
            assert isclose(one["gross_sum"], one["net_sum"] + one["vat"], abs_tol=0.005)
        case "course_list":
            dates_in_order(one["first_day"], one["last_day"])
        case "stock_move":
            assert one["boxes_in_all"] == sum(pallet["boxes"] for pallet in one["pallets"])
        case "site_inspection":
            dates_in_order(one["inspected_on"], one.get("next_visit", "9999"))
        case "kitchen_card":
            assert one["minutes_in_all"] == one["prepare_minutes"] + one["cook_minutes"]
        case "travel_claim":
            dates_in_order(one["trip"]["out_on"], one["trip"]["back_on"])
            assert one["claimed"] == total(row["paid"] for row in one["outlays"])
        case "van_service":
            dates_in_order(one["serviced_on"], one["next_service"])
        case "building_tender":
            dates_in_order(one["opens_on"], one["closes_on"])
            for trade in one["trades"]:
                assert all(
                    isclose(row["line_sum"], row["quantity"] * row["rate"], abs_tol=0.005) for row in trade["lines"]
                )
                assert trade["trade_sum"] == total(row["line_sum"] for row in trade["lines"])
            assert one["net_sum"] == total(trade["trade_sum"] for trade in one["trades"])
            assert isclose(one["gross_sum"], one["net_sum"] + one["vat"], abs_tol=0.005)
        case "school_outing":
            dates_in_order(*(time for stop in one["stops"] for time in (stop["arrive"], stop["leave"])))
            tickets = [ticket for stop in one["stops"] for ticket in stop.get("tickets", [])]
            assert all(isclose(row["ticket_sum"], row["number"] * row["price"], abs_tol=0.005) for row in tickets)
            assert one["ticket_total"] == total(row["ticket_sum"] for row in tickets)
        case "cargo_manifest":
            dates_in_order(one["voyage"]["sails_on"], one["voyage"]["lands_on"])
            for container in one["containers"]:
                assert container["packages"] == sum(goods["number"] for goods in container["contents"])
            assert one["packages_in_all"] == sum(container["packages"] for container in one["containers"])
        case "festival_plan":
            dates_in_order(one["starts_on"], one["ends_on"])
            for stage in one["stages"]:
                dates_in_order(*(time for act in stage["acts"] for time in (act["starts_at"], act["ends_at"])))
                for act in stage["acts"]:
                    start, end = (int(act[key][:2]) * 60 + int(act[key][3:]) for key in ("starts_at", "ends_at"))
                    assert end - start == act["minutes"]
        case "harvest_book":
            for plot in one["plots"]:
                dates_in_order(*(load["picked_on"] for load in plot["loads"]))
                assert all(load["picked_on"].startswith(str(one["season"])) for load in plot["loads"])
                assert plot["crates"] == sum(load["crates"] for load in plot["loads"])
            assert one["crates_in_all"] == sum(plot["crates"] for plot in one["plots"])
        case _:
            assert name in ("lost_property", "shift_swap", "cake_order", "ferry_ticket"), f"{name} promises nothing?"


@settings(parent=STEADY, max_examples=400)
@given(PLACES)
def test_the_invariants_hold_in_every_row(place: tuple[int, int]) -> None:
    row, _ = drawn(*place)
    hold_invariants(row["schema_id"], row["target"])


# --------------------------------------------------------------------------------------------------- shape


def test_the_example_in_the_docstring_is_a_row_of_the_corpus() -> None:
    shown = " ".join((edge_json.__doc__ or "").split())
    example = edge_json.row(0, 370)
    assert " ".join(example["input"].split()) in shown
    assert json.dumps(example["target"]) in shown


def test_there_are_ten_simple_ten_medium_and_five_complex_schemas() -> None:
    assert Counter(plan.complexity for plan in PLANS.values()) == {"simple": 10, "medium": 10, "complex": 5}


def test_every_schema_is_written_in_every_style() -> None:
    seen = {(row["schema_id"], row["style"]) for row in ROWS}
    assert seen == {(name, style) for name in PLANS for style in ("listing", "prose", "table", "chat")}


def test_optional_values_are_sometimes_there_and_sometimes_not() -> None:
    for name, plan in PLANS.items():
        for part in plan.parts:
            there = {part.key in row["target"] for row in ROWS if row["schema_id"] == name}
            assert there == ({True, False} if part.optional else {True}), (name, part.key)


def test_names_and_clauses_of_a_schema_point_to_one_value_each() -> None:
    """Else a row could not be answered: two values under one name."""
    for plan in PLANS.values():
        for parts in groups(plan.parts):
            labels = [label.lower() for part in parts for label in part.labels]
            assert len(labels) == len(set(labels)), (plan.name, Counter(labels).most_common(2))
        clauses = [clause for parts in groups(plan.parts) for part in parts for clause in getattr(part, "say", ())]
        assert len(clauses) == len(set(clauses)), (plan.name, Counter(clauses).most_common(2))


def groups(parts: tuple) -> Iterator[tuple]:
    """Parts that stand side by side, at every depth."""
    yield parts
    for part in parts:
        if hasattr(part, "parts"):
            yield from groups(part.parts)


def test_texts_are_short_enough_for_a_tiny_model() -> None:
    words = [len(row["input"].split()) for row in ROWS]
    assert max(words) <= 400
    assert sum(words) / len(words) <= 80


def test_a_schema_is_shown_in_one_short_line() -> None:
    assert max(len(shape(schema)) for schema in SCHEMAS.values()) < 700


def test_five_thousand_rows_take_seconds_not_minutes() -> None:
    """About half a second alone; the bound leaves room for a busy machine."""
    start = time.process_time()
    assert len(list(CORPUS.rows(5, 5000))) == 5000
    assert time.process_time() - start < 5


def test_the_listing_rule_does_not_solve_prose_or_chat() -> None:
    task = plugins.load("tasks", "json_extraction")
    setup = TaskSetup(schemas=dict(SCHEMAS))
    examples = [task.example(row, setup) for row in ROWS[:450]]
    answer = task.baselines[0].fit(examples[:300], setup)
    right: Counter[str] = Counter()
    for example in examples[300:]:
        right[example.meta["style"]] += task.score(example, answer(example), setup).values["json_exact"] == 1
    assert right["prose"] == right["chat"] == 0
    assert right["listing"] > 0


@pytest.mark.parametrize("name", sorted(PLANS))
def test_no_schema_is_one_of_edgejsons(name: str) -> None:
    """Field sets are our own: no schema shares its set of top-level keys with the public set, where that is at hand."""
    folder = Path(__file__).parents[3] / "shared" / "data" / "edgejson" / "schemas"
    if not folder.is_dir():
        pytest.skip("the EdgeJSON schemas are not on this machine")
    ours = set(SCHEMAS[name]["properties"])
    for path in folder.rglob("*.json"):
        theirs = set(json.loads(path.read_text(encoding="utf-8"))["properties"])
        assert len(ours & theirs) <= len(ours) / 3, path.stem
        assert path.stem != name
