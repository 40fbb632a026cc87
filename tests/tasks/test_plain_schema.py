"""The quick answer about a schema is the full check's answer."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator, Draft7Validator, Draft202012Validator

from lathe.conformity import validator
from lathe.conformity.once import once_per_schema
from lathe.conformity.plain_schema import VALID, plainly_fits, surely_valid
from lathe.corpora.edge_json import CORPUS
from lathe.records import Json

ORDER: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["id", "lines"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "pattern": "^[A-Z]-[0-9]+$", "maxLength": 6},
        "state": {"enum": ["open", "closed"]},
        "total": {"type": ["number", "null"], "minimum": 0},
        "lines": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "properties": {"n": {"type": "integer"}}},
        },
    },
}
texts = st.sampled_from(["a", "b", "open", "A-17", ""])
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.sampled_from([0.0, 0.5, 1.0, -1.5]), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
bounds = st.sampled_from([0, 1, 2, 1.5])
schemas = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.one_of(
                st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"]),
                st.just(["integer", "null"]),
            ),
            "enum": st.lists(st.one_of(texts, st.integers(0, 1), st.booleans()), min_size=1, max_size=3, unique=True),
            "pattern": st.sampled_from(["^a", "[0-9]+$"]),
            "minimum": bounds,
            "maximum": bounds,
            "minLength": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
            "description": texts,
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array"]),
            "properties": st.dictionaries(texts, inner, max_size=3),
            "additionalProperties": st.one_of(st.booleans(), inner),
            "required": st.lists(texts, max_size=2, unique=True),
            "items": inner,
            "minItems": st.integers(0, 2),
        },
    ),
    max_leaves=6,
)


@given(schemas, values)
def test_what_plainly_fits_fits_by_the_full_check_of_every_draft(schema: Json, value: Json) -> None:
    if plainly_fits(schema)(value):
        for draft in (Draft4Validator, Draft7Validator, Draft202012Validator):
            assert draft(schema).is_valid(value)


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"id": "A-17", "lines": [{"n": 1}]}, True),
        ({"id": "A-17", "lines": [{"n": 1}], "state": "open", "total": None}, True),
        ({"id": "A-17", "lines": []}, False),
        ({"id": "A-17", "lines": [{"n": True}]}, False),
        ({"id": "A-17", "lines": [{}], "total": -1}, False),
        ({"id": "a-17", "lines": [{}]}, False),
        ({"id": "A-17777", "lines": [{}]}, False),
        ({"id": "A-17", "lines": [{}], "state": "gone"}, False),
        ({"id": "A-17", "lines": [{}], "more": 1}, False),
        ({"lines": [{}]}, False),
        ([], False),
    ],
)
def test_an_ordinary_schema_is_answered_quickly(value: Json, fits: bool) -> None:
    assert plainly_fits(ORDER)(value) is fits
    assert Draft202012Validator(ORDER).is_valid(value) is fits


@pytest.mark.parametrize(
    "schema", [True, {"$ref": "#"}, {"anyOf": [{}]}, {"type": "any"}, {"minimum": True}, {"required": True}]
)
def test_a_schema_that_is_not_plain_is_left_to_the_full_check(schema: Json) -> None:
    assert not plainly_fits(schema)({})


def test_what_follows_from_a_schema_is_worked_out_once_for_each_object() -> None:
    asked = []

    @once_per_schema
    def size(schema: Json) -> int:
        """Counts."""
        asked.append(schema)
        return len(schema)

    first, second = {"type": "string"}, {"type": "string"}
    assert [size(first), size(first), size(second)] == [1, 1, 1]
    assert [one is first for one in asked] == [True, False]
    assert size.__doc__ == "Counts."


keyword_values = st.one_of(
    st.sampled_from(
        [
            "string",
            "open",
            "^a",
            "(",
            ["string"],
            ["string", "string"],
            [],
            [3],
            0,
            2,
            -1,
            1.5,
            True,
            None,
            math.nan,
            {},
        ]
    ),
    st.just("https://json-schema.org/draft/2020-12/schema"),
)
any_schemas = st.recursive(
    st.dictionaries(st.sampled_from([*VALID, "$id", "const"]), keyword_values, max_size=3),
    lambda inner: st.fixed_dictionaries(
        {}, optional={"properties": st.dictionaries(texts, inner, max_size=2), "items": inner, "type": keyword_values}
    ),
    max_leaves=4,
)


@given(st.one_of(any_schemas, schemas))
def test_a_schema_that_is_surely_valid_is_one_to_the_package(schema: Json) -> None:
    if surely_valid(schema):
        validator.of(schema)


def test_schemas_as_people_write_them_are_surely_valid() -> None:
    assert surely_valid(ORDER)
    assert all(map(surely_valid, CORPUS.schemas().values()))


def test_a_row_that_fits_a_plain_schema_needs_no_package() -> None:
    """jsonschema takes 0.1 s to load: a twentieth of a plan's time."""
    asked = (
        "import sys; from lathe import conformity; schema = {'type': 'object', 'required': ['id']}; "
        "print(conformity.conforms(schema, {'id': 1}), conformity.problem_with(schema), 'jsonschema' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize("value", [19.99, 0.07, 1.1, 4.35, 20, 1e22, 10**400])
def test_a_price_is_a_multiple_of_a_cent_as_it_is_written(value: float) -> None:
    """19.99 / 0.01 is 1998.9999999999998 in binary fractions; the row is right all the same."""
    cents: Json = {"type": "number", "multipleOf": 0.01}
    assert validator.first_misfit(cents, value) == ""
    assert validator.first_misfit(cents, 19.995) == "the top: 19.995 is not a multiple of 0.01"
    assert validator.first_misfit({"multipleOf": 7}, 15) == "the top: 15 is not a multiple of 7"
    assert validator.first_misfit(cents, "19.995") == "the top: '19.995' is not of type 'number'"
