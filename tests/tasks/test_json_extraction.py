"""What the JSON task promises beyond the contract of all tasks: reading, comparing, showing schemas, refusing rows."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe import conformity, plugins
from lathe.contracts import ItemVerdict
from lathe.errors import TaskMismatch
from lathe.records import Example, Json, TaskSetup
from lathe.tasks._counts import f1
from lathe.tasks._json import nuextract, place, reading, slmbench, tolerance, values
from lathe.tasks._json.casting import caster
from lathe.tasks._json.shape import ordered, shape
from lathe.tasks.json_extraction import REASONS

STEADY = settings(deadline=None, derandomize=True)
"""The same examples every time, however busy the machine is."""

TASK = plugins.load("tasks", "json_extraction")
EDGEJSON = Path(__file__).parents[3] / "shared" / "data" / "edgejson"
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=4),
    max_leaves=12,
)


def judged(target: Json, answer: str, **schema: Json) -> ItemVerdict:
    setup = TaskSetup(schemas={"only": schema}) if schema else TaskSetup()
    return TASK.score(TASK.example({"input": "text", "target": target}, setup), answer, setup)


def field_f1(gold: Json, said: Json, **schema: Json) -> float:
    return f1(values.by_class(gold, said, place.top(schema), readable=True)[0])


# ----------------------------------------------------------------------------------------------- comparing


@STEADY
@given(JSON, JSON)
def test_a_full_f1_is_the_same_as_equality(gold: Json, said: Json) -> None:
    assert (field_f1(gold, said) == 1.0) == values.equal(gold, said)


@STEADY
@given(JSON, JSON)
def test_a_fault_is_named_exactly_where_values_differ(gold: Json, said: Json) -> None:
    assert (values.fault(gold, said) == "") == values.equal(gold, said)


@STEADY
@given(JSON, JSON)
def test_f1_is_symmetric_and_between_zero_and_one(gold: Json, said: Json) -> None:
    assert 0.0 <= field_f1(gold, said) == field_f1(said, gold) <= 1.0


@STEADY
@given(JSON)
def test_a_value_equals_itself_written_and_read(gold: Json) -> None:
    assert values.equal(gold, json.loads(json.dumps(gold)))


@pytest.mark.parametrize(
    ("gold", "said", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ([1, 2], [2, 1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ("1", 1, False),
        (None, 0, False),
        ({}, [], False),
        ({"a": [True]}, {"a": [1]}, False),
        ("é", "e\u0301", False),
        (10**20, 1e20, True),
    ],
)
def test_equality_is_by_json_value(gold: Json, said: Json, same: bool) -> None:
    assert values.equal(gold, said) is same


def test_one_forgotten_item_does_not_spoil_the_items_after_it() -> None:
    gold = [{"name": name, "n": n} for n, name in enumerate("abcd")]
    assert values.matched(gold, gold[1:]) == [("[].name", "string"), ("[].n", "number")] * 3
    assert field_f1(gold, gold[1:]) == pytest.approx(12 / 14)


def test_items_in_another_order_match_as_far_as_the_order_is_kept() -> None:
    assert len(values.matched([1, 2, 3], [3, 1, 2])) == 2


def test_leaving_out_an_empty_list_costs_a_leaf() -> None:
    assert field_f1({"a": 1, "b": []}, {"a": 1}) == pytest.approx(2 / 3)


# ------------------------------------------------------------------------------------------ lists without order

FREE: Json = {
    "properties": {
        "tags": {"type": "array", "x-unordered": True},
        "steps": {"type": "array", "items": {"properties": {"tools": {"type": "array", "x-unordered": True}}}},
    }
}


@pytest.mark.parametrize(
    ("gold", "said", "matched"),
    [
        ({"tags": ["a", "b", "c"]}, {"tags": ["c", "a", "b"]}, 3),
        ({"tags": ["a", "a"]}, {"tags": ["a", "b"]}, 1),
        ({"tags": [{"x": 1, "y": 2}, {"x": 1, "y": 3}]}, {"tags": [{"x": 1, "y": 3}, {"x": 1}]}, 3),
        ({"steps": [{"tools": [1, 2]}, {"tools": [3]}]}, {"steps": [{"tools": [2, 1]}, {"tools": [3]}]}, 3),
        ({"steps": [{"tools": [1, 2]}, {"tools": [3]}]}, {"steps": [{"tools": [3]}, {"tools": [2, 1]}]}, 2),
        ({"tags": ["a"]}, {"tags": []}, 0),
        ({"tags": []}, {"tags": []}, 1),
    ],
)
def test_items_of_a_list_without_order_meet_where_most_leaves_match(gold: Json, said: Json, matched: int) -> None:
    assert len(values.matched(gold, said, place.top(FREE))) == matched


@STEADY
@given(st.lists(JSON, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_a_list_counts_unless_the_schema_leaves_it_free(gold: list[Json], random: Random) -> None:
    said = list(gold)
    random.shuffle(said)
    assert field_f1(gold, said, **{"x-unordered": True}) == 1.0
    assert tolerance.same(gold, said, place.top({"x-unordered": True}))
    assert tolerance.same(gold, said, place.NOWHERE) == values.equal(gold, said)


@STEADY
@given(st.lists(JSON, max_size=4), st.lists(JSON, max_size=4))
def test_a_list_without_order_matches_at_least_as_much_and_fully_only_where_no_item_is_lacking(
    gold: list[Json], said: list[Json]
) -> None:
    free = place.top({"x-unordered": True})
    assert len(values.matched(gold, said, free)) >= len(values.matched(gold, said))
    assert (field_f1(gold, said, **{"x-unordered": True}) == 1.0) == tolerance.same(gold, said, free)


def test_a_list_without_order_is_close_where_each_item_has_one_of_its_own_that_is_near() -> None:
    near: Json = {"x-unordered": True, "items": {"x-tolerance": 1}}
    assert tolerance.same([1, 2, 3], [4, 2, 1], place.top(near))
    assert not tolerance.same([1, 2, 9], [2, 3, 1], place.top(near))


# ------------------------------------------------------------------------------------------ aligned trees


@pytest.mark.parametrize(
    ("gold", "said", "score"),
    [
        ({"title": "Dune", "year": 1965}, {"year": 1966, "title": "Dune 2"}, 0.4),
        ({"a": "", "b": 1}, {"a": "", "b": 1.0}, 1.0),
        ({"a": "kitten"}, {"a": "sitting"}, 8 / 13),
        ({"a": 1}, {"a": True}, 0.0),
        ({"a": None}, {"a": "none"}, 0.0),
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1}, 1 / 3),
        ({"a": {"b": 1, "c": 2}}, {"a": 1}, 0.0),
        ({"a": []}, {"a": ["x", "y"]}, 0.0),
        ([], [], 1.0),
        (["ab", "cd"], ["cd", "ab"], 1.0),
        (["ab"], ["cd", "ab", "ef"], 1 / 3),
        ([{"n": "ab", "k": 1}, {"n": "ab", "k": 2}], [{"n": "ab", "k": 2}, {"n": "xy", "k": 1}], 3 / 4),
    ],
)
def test_leaves_of_aligned_trees_are_scored_as_nuextract_scores_them(gold: Json, said: Json, score: float) -> None:
    assert nuextract.score(gold, said, place.NOWHERE) == pytest.approx(score)


@pytest.mark.parametrize("fixed", [{"enum": ["open", "opened"]}, {"const": "open"}, {"format": "date"}])
def test_texts_of_a_fixed_form_are_right_or_wrong(fixed: dict[str, Json]) -> None:
    schema: Json = {"properties": {"a": {"type": "string", **fixed}}}
    assert nuextract.score({"a": "open"}, {"a": "opened"}, place.top(schema)) == 0.0
    assert nuextract.score({"a": "open"}, {"a": "opened"}, place.NOWHERE) == 0.8


@STEADY
@given(JSON, JSON)
def test_aligned_trees_score_one_only_where_nothing_is_missing_or_invented(gold: Json, said: Json) -> None:
    score = nuextract.score(gold, said, place.NOWHERE)
    assert 0.0 <= score <= 1.0
    fields, types = values.by_class(gold, said, readable=True)
    assert score < 1.0 or all(wanted == found for tally in (fields, types) for _, wanted, found in tally.values())
    assert nuextract.score(gold, gold, place.NOWHERE) == 1.0


@STEADY
@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_the_common_subsequence_is_the_longest(one: str, other: str) -> None:
    row = [0] * (len(other) + 1)
    for letter in one:
        before, row = row, [0]
        for place_, said in enumerate(other):
            row.append(before[place_] + 1 if letter == said else max(row[-1], before[place_ + 1]))
    length = len(one) + len(other)
    assert nuextract.indel_similarity(one, other) == (2 * row[-1] / length if length else 1.0)


# ------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Sure! {"a": {"b": {"c": [1, {"d": 2}]}}} Anything else?', {"a": {"b": {"c": [1, {"d": 2}]}}}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('As said in [1], see {"a": 1}', {"a": 1}),
        ('use {braces} like {"a": 1}', {"a": 1}),
        ('{"a": 1} {"a": 2}', {"a": 1}),
        ("[1, 2]", [1, 2]),
        ('{"a": "}{"}', {"a": "}{"}),
        ('[see {"a": 1}]', {"a": 1}),
        ('{"a": oops, "b": {"c": 1}} {"k": 3}', {"k": 3}),
        ('{"a": "}" oops, "b": {"c": 1}} {"k": 3}', {"k": 3}),
        ('["x" y, {"c": 1}] {"k": 3}', {"k": 3}),
        ('[a {"k": 3}', {"k": 3}),
    ],
)
def test_the_first_object_is_read_whatever_stands_around_it(text: str, value: Json) -> None:
    assert reading.read(text, "object") == reading.Reading(value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON"),
        ("There is none.", "no JSON"),
        ('{"a": {"b": 1}, "c": ', "cut off"),
        ('{"a": "no end', "cut off"),
        ('{"a": {"b": 1}, c: 3}', "broken JSON"),
        ('{"a": oops, "b": {"c": 1}}', "broken JSON"),
        ('{"a": 1 "b": {"c": 1}', "broken JSON"),
        ("{'a': 1}", "broken JSON"),
        ('{"a": NaN}', "broken JSON"),
        ('{"a": 1e999}', "broken JSON"),
        ('{"a": ' + "9" * 5000 + "}", "broken JSON"),
        ('{"a": 1, "a": 1}', "duplicate key"),
        ("[" * 100_000, "broken JSON"),
        ("[" * 90 + "]" * 90, "broken JSON"),
        ('{"a":' * 50_000, "broken JSON"),
    ],
)
def test_an_answer_that_holds_no_value_says_why(text: str, problem: str) -> None:
    assert reading.read(text, "object").problem == problem


@STEADY
@given(JSON.filter(lambda value: isinstance(value, dict)), st.text(alphabet="abc .,!?\n", max_size=30))
def test_any_object_is_read_back_from_between_words(value: Json, words: str) -> None:
    assert values.equal(reading.read(f"{words}{json.dumps(value)}{words}", "object").value, value)


def test_reasons_are_a_closed_vocabulary_and_each_worked_answer_uses_it() -> None:
    setup = TASK.worked_setup()
    said = set()
    for worked in TASK.worked:
        said.add(TASK.score(TASK.example(dict(worked.row), setup), worked.answer, setup).reason)
    assert said - {""} <= set(REASONS)
    assert len(said) >= 8


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ('{"a": "1", "b": [1, 2]}', "wrong type"),
        ('{"a": true, "b": [1, 2]}', "wrong type"),
        ('{"b": [1, 2]}', "missing field"),
        ('{"a": 1, "b": [1, 2], "c": 3}', "extra field"),
        ('{"a": 1, "b": [1]}', "wrong list length"),
        ('{"a": 2, "b": [1, 2]}', "wrong value"),
        ('{"a": 2, "b": [1]}', "wrong list length"),
        ("[1]", "wrong type"),
    ],
)
def test_the_most_informative_reason_is_given(answer: str, reason: str) -> None:
    assert judged({"a": 1, "b": [1, 2]}, answer).reason == reason


# ------------------------------------------------------------------------------------------ schema validity


def test_schema_validity_is_not_measured_without_a_schema() -> None:
    assert judged({"a": 1}, '{"a": 1}').values["schema_valid"] is None


def test_schema_validity_is_asked_of_the_schema_not_of_the_gold_value() -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"]}
    assert judged({"a": "x"}, '{"a": "y"}', **schema).values["schema_valid"] == 1.0
    assert judged({"a": "x"}, '{"a": "z"}', **schema).values["schema_valid"] == 0.0


def test_format_is_not_asserted() -> None:
    assert conformity.conforms({"type": "string", "format": "date"}, "no date") is True


@pytest.mark.parametrize(
    "schema", [{"$ref": "#"}, {"$ref": "https://example.org/s.json"}, {"$ref": "#/nowhere"}, {"type": 5}, 1, [], "x"]
)
def test_a_schema_that_cannot_be_applied_measures_nothing_and_refuses_its_rows(schema: Json) -> None:
    assert conformity.conforms(schema, {"a": 1}) is None
    with pytest.raises(TaskMismatch, match="cannot be applied"):
        TASK.example({"input": "x", "target": {"a": 1}, "schema_id": "s"}, TaskSetup(schemas={"s": schema}))


@pytest.mark.parametrize("pattern", ["(a+)+$", "((a+))+$", "(a|a)*$", "(?:a*)*$", "(a{1,9})+$", "([(]a+)*$"])
def test_a_pattern_that_could_take_for_ever_is_not_asserted(pattern: str) -> None:
    assert conformity.conforms({"type": "string", "pattern": pattern}, "a" * 40 + "b") is True
    assert conformity.conforms({"patternProperties": {pattern: {}}}, {"a" * 40 + "b": 1}) is None


@pytest.mark.parametrize("pattern", ["^[0-9]+$", "^([a-z]+)-[0-9]{2}$", "^(?:[0-9]{2}:)+$", "^[+*(]{3}$", r"^\(\+$"])
def test_an_ordinary_pattern_is_asserted(pattern: str) -> None:
    assert conformity.conforms({"type": "string", "pattern": pattern}, "!!") is False


# ------------------------------------------------------------------------------------- SLM-Bench's own scores


@pytest.mark.parametrize(
    ("gold", "text", "exact", "f1", "compliance"),
    [
        ({"a": 1}, '{"a": true}', 1.0, 1.0, 0.0),
        ({"a": 1}, '{"a": 1.0}', 1.0, 1.0, 1.0),
        ({"a": {"b": 1}}, 'So: {"a": {"b": 1}} done', 1.0, 1.0, 1.0),
        ({"a": {"b": {"c": 1}}}, 'So: {"a": {"b": {"c": 1}}} done', 0.0, 0.0, 0.0),
        ({"a": {"b": {"c": 1}}}, '{"a": {"b": {"c": 1}}}', 1.0, 1.0, 1.0),
        ({"a": [1], "b": 2}, '{"a": [2], "b": 2, "c": 0}', 0.0, 0.4, 1.0),
        ({"a": 1}, "nothing", 0.0, 0.0, 0.0),
        ({}, "{}", 1.0, 1.0, 0.0),
    ],
)
def test_slmbench_scores_keep_their_flaws(gold: Json, text: str, exact: float, f1: float, compliance: float) -> None:
    said = slmbench.extract(text)
    assert slmbench.json_exact(gold, said) == exact
    assert slmbench.field_f1(gold, said) == pytest.approx(f1)
    assert slmbench.schema_compliance(gold, said) == compliance


def test_where_slmbench_loses_an_answer_the_strict_scorer_reads_it() -> None:
    verdict = judged({"a": {"b": {"c": 1}}}, 'So: {"a": {"b": {"c": 1}}} done')
    assert (verdict.values["json_exact"], verdict.values["slmbench_json_exact"]) == (1.0, 0.0)


# ------------------------------------------------------------------------------------------ showing schemas


@pytest.mark.parametrize(
    ("schema", "line"),
    [
        ({"type": "string"}, "string"),
        ({"type": "string", "format": "date"}, "date"),
        ({"type": ["string", "null"]}, "string|null"),
        ({"enum": ["a", 1, None]}, '"a"|1|null'),
        ({"const": "x"}, '"x"'),
        ({}, "any"),
        (True, "any"),
        (False, "never"),
        ({"type": "array", "items": {"type": "integer"}}, "[integer]"),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, "[integer, string]"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer|null"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "{*: number}"),
        (
            {"properties": {"a": {"type": "string", "description": "Name. Rule: in capitals"}}},
            '{"a"?: string (in capitals)}',
        ),
        (
            {
                "properties": {"a": {"$ref": "#/$defs/n"}},
                "required": ["a"],
                "$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}},
            },
            '{"a": {"next"?: <n>}}',
        ),
        ({"$ref": "https://example.org/other.json"}, "<other.json>"),
    ],
)
def test_a_schema_is_shown_as_a_short_line(schema: Json, line: str) -> None:
    assert shape(schema) == line


@STEADY
@given(JSON)
def test_showing_never_raises_on_any_json(schema: Json) -> None:
    assert isinstance(shape(schema), str)


KEYWORDS = st.sampled_from(
    [
        "type", "properties", "items", "enum", "anyOf", "oneOf", "allOf", "not", "$ref", "$defs", "$id", "$schema", "required",
        "description", "prefixItems", "format", "pattern", "patternProperties", "additionalProperties", "minItems", "const",
    ]
)  # fmt: skip
ODD = st.recursive(
    st.sampled_from(
        ["string", "object", "array", "#", "#/items", "#/properties/a", 1, None, True, "Rule: x", "(", "http://[x"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS | st.just("a"), inner, max_size=4),
    max_leaves=15,
)


@settings(parent=STEADY, max_examples=300)
@given(ODD, JSON)
def test_nothing_raises_on_malformed_schemas(schema: Json, value: Json) -> None:
    """Whatever stands in a schema file: it is shown, orders keys, is judged or is said to be unusable."""
    assert isinstance(shape(schema), str)
    assert values.equal(ordered(schema, schema, value), value)
    conformity.problem_with(schema)
    assert conformity.conforms(schema, value) in (True, False, None)


def test_a_schema_that_explodes_is_shown_as_json() -> None:
    names = [f"d{number}" for number in range(30)]
    defs = {
        name: {"type": "object", "properties": {"l": {"$ref": f"#/$defs/{after}"}, "r": {"$ref": f"#/$defs/{after}"}}}
        for name, after in zip(names, [*names[1:], "leaf"])
    }
    schema = {"$ref": "#/$defs/d0", "$defs": {**defs, "leaf": {"type": "string"}}}
    assert json.loads(shape(schema)) == schema


def test_the_completion_has_the_schemas_order_of_keys() -> None:
    schema = {
        "type": "object",
        "properties": {"b": {"type": "array", "items": {"$ref": "#/$defs/x"}}, "a": {"type": "integer"}},
        "$defs": {"x": {"type": "object", "properties": {"q": {}, "p": {}}}},
    }
    row = {"input": "x", "target": {"z": 0, "a": 1, "b": [{"p": 1, "q": 2}]}}
    example = TASK.example(row, TaskSetup(schemas={"only": schema}))
    assert example.completion == '{"b": [{"q": 2, "p": 1}], "a": 1, "z": 0}'


# ---------------------------------------------------------------------------------------------------- rows


def test_the_prompt_shows_the_schema_only_where_it_should() -> None:
    row = {"input": "Ada is 36", "target": {"age": 36}, "schema_id": "s"}
    schemas = {"s": {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}}
    shown = TASK.example(row, TaskSetup(schemas=schemas)).messages[0].content
    hidden = TASK.example(row, TaskSetup(schemas=schemas, schema_in_prompt=False)).messages[0].content
    assert shown == 'Extract as JSON of this shape:\n{"age": integer}\n\nText:\nAda is 36'
    assert hidden == "Extract as JSON.\n\nText:\nAda is 36"


def test_own_names_of_fields_are_mapped_and_text_targets_are_read() -> None:
    setup = TaskSetup(fields={"input": "prompt", "target": "expected_output"}, schema_key="kind")
    row = {"prompt": "Ada", "expected_output": '{"name": "Ada"}', "kind": "person", "complexity": "simple"}
    example = TASK.example(row, setup)
    assert (example.input, example.target) == ("Ada", {"name": "Ada"})
    assert example.meta == {"schema": "person", "complexity": "simple", "style": "unstated"}


def test_a_row_without_id_is_named_by_its_prompt() -> None:
    one, same, other = (TASK.example({"input": text, "target": {}}, TaskSetup()) for text in ("a", "a", "b"))
    assert one.id == same.id != other.id


@pytest.mark.parametrize(
    ("row", "setup", "said", "hint"),
    [
        ({"prompt": "x", "target": {}}, {}, "'input'", "fields: {input: prompt}"),
        ({"input": "x", "expected_output": {}}, {}, "'target'", "fields: {target: expected_output}"),
        ({"input": "x", "targets": {}}, {}, "'targets'", "fields: {target: targets}"),
        ({"input": 5, "target": {}}, {}, "got 5", "fields"),
        ({"input": "x", "target": "not json"}, {}, "is none", "one JSON object"),
        ({"input": "x", "target": '{"a": NaN}'}, {}, "is none", "one JSON object"),
        ({"input": "x", "target": 3}, {}, "got 3", "Wrap"),
        ({"input": "x", "target": json.loads("[" * 70 + "]" * 70)}, {}, "64 levels", "flatten"),
        ({"input": "half \ud800", "target": {}}, {}, "surrogate", "UTF-8"),
        ({"input": "x", "target": {"a": "\ud800"}}, {}, "is none", "Mend"),
        ({"input": "x", "target": {"a": float("nan")}}, {}, "is none", "Mend"),
        ({"input": "x", "target": {}, "schema_id": "tickt"}, {"ticket": {}, "other": {}}, "'tickt'", "'ticket'"),
        ({"input": "x", "target": {}}, {"ticket": {}, "other": {}}, "'schema_id'", "schema: {key"),
        ({"input": "x", "target": {"a": "b"}}, {"t": {"properties": {"a": {"type": "integer"}}}}, "at a: 'b'", "Mend"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_what_to_do(row: dict, setup: dict, said: str, hint: str) -> None:
    with pytest.raises(TaskMismatch) as caught:
        TASK.example(row, TaskSetup(schemas=setup))
    assert said in caught.value.message
    assert hint in (caught.value.hint or "")


# ------------------------------------------------------------------------------------------ rules, no model


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "number"}, "$1,240.50", 1240.5),
        ({"type": "integer"}, "12 pieces", 12),
        ({"type": "integer"}, "many", None),
        ({"type": "boolean"}, "Yes", True),
        ({"type": "string", "format": "date"}, "3 May 2024", "2024-05-03"),
        ({"type": "string", "format": "date"}, "03.05.2024", "2024-05-03"),
        ({"type": "string", "format": "date"}, "soon", "soon"),
        ({"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}$"}, "1:05 pm", "13:05"),
        ({"enum": ["in_work", "done"]}, "In work", "in_work"),
        ({"enum": ["dog", "cat"], "description": "Which. Rule: puppy = dog, kitten = cat"}, "Kitten", "cat"),
        ({"type": ["integer", "null"]}, "7", 7),
        ({}, "as it is", "as it is"),
    ],
)
def test_the_rules_cast_words_by_the_schema(schema: Json, text: str, value: Json) -> None:
    assert caster([schema])(text) == value


LISTING = """Ticket

Ticket No: 4711
Opened on: 3 May 2024
Parts:
  - Part Name: valve
    Price: $4.50
  - Part Name: hose
Address: 5 Mill Lane
Oakfield
"""
LISTING_SCHEMA = {
    "type": "object",
    "properties": {
        "ticket_no": {"type": "integer"},
        "opened_on": {"type": "string", "format": "date"},
        "parts": {
            "type": "array",
            "items": {"type": "object", "properties": {"part_name": {"type": "string"}, "price": {"type": "number"}}},
        },
        "address": {"type": "string"},
    },
}
LISTING_VALUE = {
    "ticket_no": 4711,
    "opened_on": "2024-05-03",
    "parts": [{"part_name": "valve", "price": 4.5}, {"part_name": "hose"}],
    "address": "5 Mill Lane\nOakfield",
}


def rule_answer(training: list[Example], example: Example, setup: TaskSetup) -> Json:
    return json.loads(TASK.baselines[0].fit(training, setup)(example))


def test_the_key_value_rule_reads_a_listing_without_having_seen_one() -> None:
    setup = TaskSetup(schemas={"t": LISTING_SCHEMA})
    assert rule_answer([], TASK.example({"input": LISTING, "target": LISTING_VALUE}, setup), setup) == LISTING_VALUE


def test_the_key_value_rule_learns_labels_and_the_schema_from_training_rows() -> None:
    rows = [
        {"input": f"Wer: Ada {n}\nWo: Ort {n}", "target": {"name": f"Ada {n}", "town": f"Ort {n}"}} for n in range(4)
    ]
    examples = [TASK.example(row, TaskSetup()) for row in rows]
    assert rule_answer(examples[:3], examples[3], TaskSetup()) == rows[3]["target"]


def test_the_majority_rule_gives_the_most_frequent_value_of_each_slot() -> None:
    rows = [{"input": str(n), "target": {"a": n % 3 // 2, **({"b": 1} if n == 0 else {})}} for n in range(6)]
    examples = [TASK.example(row, TaskSetup()) for row in rows]
    assert TASK.baselines[1].fit(examples, TaskSetup())(examples[0]) == '{"a": 0}'


@STEADY
@given(st.text(max_size=300) | st.text(alphabet="ab:=|- \n\t1.", max_size=300))
def test_no_document_makes_a_rule_raise(text: str) -> None:
    setup = TaskSetup(schemas={"t": LISTING_SCHEMA})
    example = TASK.example({"input": LISTING, "target": LISTING_VALUE}, setup).model_copy(update={"input": text})
    for rule in TASK.baselines:
        json.loads(rule.fit([example, example], setup)(example))


# ---------------------------------------------------------------------------------------------- real input


@pytest.fixture(scope="module")
def edgejson() -> tuple[TaskSetup, list[Example]]:
    if not EDGEJSON.is_dir():
        pytest.skip("the EdgeJSON files are not on this machine")
    schemas = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (EDGEJSON / "schemas").rglob("*.json")
    }
    setup = TaskSetup(schemas=schemas, fields={"input": "prompt", "target": "expected_output"})
    lines = (EDGEJSON / "train_v3.jsonl").read_text(encoding="utf-8").splitlines()
    return setup, [TASK.example(json.loads(line), setup) for line in lines]


def test_all_rows_of_edgejson_are_taken_and_those_without_complexity_are_counted(
    edgejson: tuple[TaskSetup, list[Example]],
) -> None:
    _, examples = edgejson
    assert len(examples) == 629
    assert sum(example.meta["complexity"] == "unstated" for example in examples) == 72


def test_gold_of_edgejson_scores_one_on_every_metric(edgejson: tuple[TaskSetup, list[Example]]) -> None:
    setup, examples = edgejson
    for example in examples:
        scored = TASK.score(example, example.completion, setup).values
        assert {name for name, value in scored.items() if value != 1.0} == {"json_close"}, (
            "their schemas tolerate nothing"
        )


def test_the_key_value_rule_is_a_bar_on_edgejson(edgejson: tuple[TaskSetup, list[Example]]) -> None:
    """A rule of forty lines got 0.785 on this set's test file; ours must not be a weaker opponent."""
    setup, examples = edgejson
    answer = TASK.baselines[0].fit([], setup)
    right = sum(TASK.score(example, answer(example), setup).values["json_exact"] == 1 for example in examples)
    assert right / len(examples) >= 0.9


def test_leaves_are_counted_by_field_and_by_type_wherever_they_stand_in_a_list() -> None:
    gold = {"day": "2026-11-20", "lines": [{"n": 1, "what": "nut"}, {"n": 2, "what": "pin"}, {"n": 3, "what": ""}]}
    said = {"day": "20 November", "lines": [{"n": 2, "what": "pin"}, {"n": 3, "what": "cup"}], "note": None}
    fields, types = values.by_class(gold, said, readable=True)
    assert fields == {"day": (0, 1, 1), "lines[].n": (2, 3, 2), "lines[].what": (1, 3, 2), "note": (0, 0, 1)}
    assert types == {"date": (0, 1, 0), "null": (0, 0, 1), "number": (2, 3, 2), "string": (1, 3, 3)}
    assert values.by_class(gold, None, readable=False)[1] == {
        "date": (0, 1, 0),
        "number": (0, 3, 0),
        "string": (0, 3, 0),
    }


@given(gold=JSON, said=JSON)
def test_the_classes_of_leaves_add_up_to_what_is_matched(gold: Json, said: Json) -> None:
    for tally in values.by_class(gold, said, readable=True):
        assert sum(matched for matched, _, _ in tally.values()) == len(values.matched(gold, said))
        assert sum(wanted for _, wanted, _ in tally.values()) == values.num_leaves(gold)
        assert sum(found for _, _, found in tally.values()) == values.num_leaves(said)


# ------------------------------------------------------------------------------------------ tolerance

LOOSE: Json = {
    "type": "object",
    "properties": {
        "price": {"anyOf": [{"type": "number", "x-tolerance": 0.01}, {"type": "null"}]},
        "when": {"type": "string", "x-tolerance": 60},
        "name": {"type": "string"},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}},
    },
    "$defs": {
        "part": {"type": "object", "properties": {"size": {"x-tolerance": 1}, "inner": {"$ref": "#/$defs/part"}}}
    },
}


@pytest.mark.parametrize(
    ("gold", "said", "same"),
    [
        ({"price": 12.5}, {"price": 12.51}, True),
        ({"price": 12.5}, {"price": 12.52}, False),
        ({"price": 19.99}, {"price": 20.0}, True),
        ({"price": 0.3}, {"price": 0.31}, True),
        ({"price": 19.99}, {"price": 10**400}, False),
        ({"price": 19.99}, {"price": 1e308}, False),
        ({"price": 12.5}, {"price": None}, False),
        ({"price": 1}, {"price": True}, False),
        ({"price": 12.5}, {"price": "12.5"}, False),
        ({"when": "2026-11-20"}, {"when": "2026-11-20T00:00:30Z"}, True),
        ({"when": "2026-11-20T09:15+01:00"}, {"when": "2026-11-20 08:15"}, True),
        ({"when": "2026-11-20"}, {"when": "20 November 2026"}, False),
        ({"when": "2026-03-03"}, {"when": "2026-02-31"}, False),
        ({"when": "2024-02-29"}, {"when": "2024-02-29T00:01"}, True),
        ({"when": "2026-11-20"}, {"when": "2026-11-20T00:01:00.25"}, False),
        ({"when": "0000-11-20"}, {"when": "2026-13-20"}, False),
        ({"name": "2026-11-20"}, {"name": "2026-11-20T00:00Z"}, False),
        ({"parts": [{"inner": {"size": 4}}]}, {"parts": [{"inner": {"size": 5}}]}, True),
        ({"parts": [{"size": 4}]}, {"parts": [{"size": 4}, {"size": 4}]}, False),
        ({"price": 12.5}, {"price": 12.5, "name": ""}, False),
    ],
)
def test_a_schema_may_tolerate_numbers_and_times_that_are_near(gold: Json, said: Json, same: bool) -> None:
    assert place.tolerates(LOOSE)
    assert tolerance.same(gold, said, place.top(LOOSE)) is same


@given(JSON, JSON)
def test_a_schema_that_tolerates_nothing_asks_for_equal_values(gold: Json, said: Json) -> None:
    assert tolerance.same(gold, said, place.top({"type": "object"})) == values.equal(gold, said)
    assert tolerance.same(gold, gold, place.top(LOOSE))


def test_alternatives_that_refer_to_each_other_are_followed_once() -> None:
    knot: Json = {"anyOf": [{"$ref": "#/$defs/a"}] * 9, "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}] * 9}}}
    assert not tolerance.same(1, 2, place.top(knot))
