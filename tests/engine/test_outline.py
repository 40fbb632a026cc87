"""What is guessed from the form of an answer: true along it, silent within values, and no answer changes by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lathe.conformity.outline import outline
from lathe.contracts import Choice, GenerateSettings, JsonForm, Model, Request
from lathe.engine import model
from lathe.engine import outline as outline_module
from lathe.engine.decoding.decoder import Decoder
from lathe.engine.generate import generate, taken
from lathe.engine.outline import GAP, Outlines, Way
from lathe.engine.writing import Prompt
from lathe.records import Json
from lathe.runtimes.native import NativeSession
from lathe.text import tokenizer
from lathe.text.tokenizer import Tokenizer

NANO = Path(outline_module.__file__).parents[1] / "assets" / "nano"
CAKE: Json = {
    "properties": {
        "cake": {"type": "string"},
        "portions": {"type": "integer"},
        "nuts": {"type": "boolean"},
        "layers": {"type": "array", "items": {"properties": {"of": {"type": "string"}, "cm": {"type": "number"}}}},
    }
}

leaves = st.sampled_from(
    [
        ({"type": "string"}, "plum"),
        ({"enum": ["a", "b"]}, "b"),
        ({"type": ["null", "integer"]}, 7),
        ({}, None),
        (True, [1]),
    ]
)
values: st.SearchStrategy[tuple[Json, Json]] = st.recursive(
    leaves,
    lambda inner: st.dictionaries(st.sampled_from(["id", "naïve", 'q"', "x y"]), inner, min_size=1).map(
        lambda made: (
            {"type": "object", "properties": {key: schema for key, (schema, _) in made.items()}},
            {key: value for key, (_, value) in made.items()},
        )
    ),
)


def told(value: Json) -> list[str]:
    """The leaves of a value as they stand between the texts of an outline: strings without their quotes."""
    if isinstance(value, dict):
        return [text for inner in value.values() for text in told(inner)]
    return [value if isinstance(value, str) else json.dumps(value)]


@given(values)
def test_an_outline_with_its_values_is_the_answer_as_json_dumps_writes_it(drawn: tuple[Json, Json]) -> None:
    schema, value = drawn
    first, *others = outline(schema)
    leaves = told(value)
    assert len(others) == len(leaves)
    written = first + "".join(leaf + text for leaf, text in zip(leaves, others, strict=True))
    assert written == json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize(
    ("schema", "texts"),
    [
        ({"type": "array", "items": {"type": "string"}}, ('["', '", "', '"]')),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"b": {"const": "c"}}}}}, ('{"b": "c"}',)),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, ('"', '"')),
        ({"anyOf": [{"const": 1}, {"const": 2}]}, ("1, 2",)),
        ({"type": "object"}, ("", "")),
        ({"properties": "no schema"}, ("", "")),
        ({"$ref": "https://elsewhere.example/schema"}, ("", "")),
    ],
)
def test_lists_references_and_alternatives_stand_in_an_outline(schema: Json, texts: tuple[str, ...]) -> None:
    assert outline(schema) == texts


def test_a_schema_that_refers_to_itself_or_multiplies_has_an_end() -> None:
    node = {"properties": {"next": {"$ref": "#"}, "label": {"type": "string"}}}
    doubling = {
        "$ref": "#/$defs/n30",
        "$defs": {"n0": {}}
        | {f"n{n}": {"properties": {k: {"$ref": f"#/$defs/n{n - 1}"} for k in "ab"}} for n in range(1, 31)},
    }
    for schema in (node, {"$ref": "#"}, doubling):
        assert len("".join(outline(schema))) < 50_000


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    """Tokens of several letters, as models have them."""
    return tokenizer.load(NANO)


def followed(tok: Tokenizer, schema: Json, ids: list[int]) -> tuple[int, int]:
    """Of the tokens of an answer those that were guessed, and those that were guessed wrongly."""
    way, right, wrong = Way(Outlines(tok).of(JsonForm(schema))), 0, 0
    for token in ids:
        guess = way.guess(1)
        right, wrong = right + (guess == [token]), wrong + (guess not in ([], [token]))
        way.append(token)
    return right, wrong


def test_along_its_form_all_of_an_answer_but_its_values_is_guessed(words: Tokenizer) -> None:
    answer: dict[str, Any] = {"cake": "plum", "portions": 12, "nuts": True, "layers": [{"of": "cream", "cm": 2}] * 2}
    values = [*("plum", "12", "true"), *("cream", "2") * 2]
    unforeseen = sum(len(words.encode(value)) for value in values) + len(values)  # and the end of each
    ids = words.encode(json.dumps(answer))
    assert followed(words, CAKE, ids) == (len(ids) - unforeseen, 0)


@pytest.mark.parametrize(
    "answer", [{"cake": "plum", "nuts": False}, {"cake": "plum", "layers": [{"of": "a", "cm": 1}] * 4}]
)
def test_an_answer_that_leaves_a_key_out_or_repeats_more_is_found_again(
    words: Tokenizer, answer: dict[str, Any]
) -> None:
    ids = words.encode(json.dumps(answer))
    right, wrong = followed(words, CAKE, ids)
    assert right > 0.5 * len(ids)
    assert wrong < 0.2 * len(ids)


def test_what_is_no_json_gets_few_guesses(words: Tokenizer) -> None:
    ids = words.encode("I am sorry, but I can not see any cake in this text at all.")
    assert sum(followed(words, CAKE, ids)) < 0.2 * len(ids)


def test_an_outline_changes_no_answer_and_a_true_one_saves_passes(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    plain = Decoder.forward
    monkeypatch.setattr(Decoder, "forward", lambda self, *given: passes.append(len(given)) or plain(self, *given))
    weights = taken(model.load_base(tiny_base))

    def answers(*outlines: tuple[int, ...]) -> list[list[int]]:
        passes.clear()
        prompts = [Prompt([5 + place, 90, 17], 40, outline=one) for place, one in enumerate(outlines)]
        found = generate(weights, prompts, token_budget=400, stop_ids=frozenset())
        return [answer.ids for answer in sorted(found, key=lambda answer: answer.index)]

    freely = answers((), (), ())
    without = len(passes)
    gaps = [tuple(GAP if place % 9 == 4 else token for place, token in enumerate(ids)) for ids in freely]
    assert answers(*gaps) == freely
    assert len(passes) < without
    assert answers((1, 2, 3), gaps[0], (GAP,)) == freely


def test_a_request_whose_form_is_likely_is_answered_as_without_it(tiny_base: Path, tok: Tokenizer) -> None:
    session = NativeSession(Model(tiny_base), taken(model.load_base(tiny_base)), 1, tok, None)
    answers = [
        [answer.text for answer in session.generate([Request("a", (), (5, 6, 7), 30, likely=form)], GenerateSettings())]
        for form in (None, JsonForm(CAKE), Choice(("yes", "no")))
    ]
    assert answers[0] == answers[1] == answers[2]
