"""Answers held to a form: whatever an untrained model writes to its end parses and fits, and guesses change nothing of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taken_apart import copied
from transformers import PreTrainedModel

from lathe.conformity import conforms
from lathe.conformity.narrowed import Bounds, bounded, closed, reduced
from lathe.contracts import Choice, Form, JsonForm, Model
from lathe.engine.backtracking import HeldAnswer
from lathe.engine.decoding.weights import Weights
from lathe.engine.generate import generate, taken
from lathe.engine.generate_in_processes import generate_in_processes
from lathe.engine.grammar import Grammars, Guide
from lathe.engine.model import load_base
from lathe.engine.slots import Slots
from lathe.engine.writing import Answer, Prompt, Writing
from lathe.errors import InputError, LatheError, Unavailable
from lathe.records import Json
from lathe.text.tokenizer import Tokenizer
from tiny_base import write_base

pytestmark = pytest.mark.usefixtures("one_thread")

ORDER: dict[str, Json] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "total": {"type": "number"},
        "paid": {"type": ["boolean", "null"]},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"enum": ["nut", "bölt"]}, "count": {"type": "integer", "minimum": 0}},
                "required": ["name", "count"],
            },
        },
    },
    "required": ["id", "total", "lines"],
}
GOLD = {"id": "A-17", "total": 4.5, "paid": True, "lines": [{"name": "bölt", "count": 12}]}


@pytest.fixture(scope="module", params=[0, 2])
def untrained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    """Networks that know nothing; each writes other nonsense."""
    folder = tmp_path_factory.mktemp("untrained")
    return load_base(write_base(folder, "llama", initializer_range=0.05 + 0.1 * request.param))


def ending(schema: Json, *values: Json) -> JsonForm:
    """A form of a schema, bounded by values that are right."""
    return JsonForm(bounded(closed(schema), Bounds.over(values)))


def written(net: PreTrainedModel, grammars: Grammars, form: Form, new: int = 240, **more: Any) -> list[Answer]:
    """Answers to some prompts that differ, each held to the form."""
    prompts = [Prompt([5 + (11 * row + place) % 200 for place in range(6 + row)], new, form) for row in range(6)]
    stop_ids = frozenset({0, 2})
    return sorted(
        generate(copied(net), prompts, token_budget=3000, stop_ids=stop_ids, grammars=grammars, **more),
        key=lambda answer: answer.index,
    )


# ------------------------------------------------------------------------------------------ what is written


SCHEMAS: dict[str, tuple[Json, Json]] = {
    "an order": (ORDER, GOLD),
    "a list of numbers": ({"type": "array", "items": {"type": "number"}}, [1.5, -20, 3]),
    "one of two": ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "sold out"),
    "a reference": (
        {"$defs": {"side": {"type": "string", "maxLength": 3}}, "type": "array", "items": {"$ref": "#/$defs/side"}},
        ["ab", "abc"],
    ),
    "a pattern": ({"type": "array", "items": {"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$"}}, ["12:30"]),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_finished_answer_of_an_untrained_model_parses_and_fits(
    untrained: PreTrainedModel, grammars: Grammars, tok: Tokenizer, name: str
) -> None:
    schema, right = SCHEMAS[name]
    answers = written(untrained, grammars, ending(schema, right))
    assert {answer.finish for answer in answers} == {"stop"}, "bounded as right answers are, each comes to its end"
    for answer in answers:
        value = json.loads(tok.decode(answer.ids))
        assert conforms(schema, value), value
        between = re.sub(r'"(\\.|[^"\\])*"', "", tok.decode(answer.ids))
        assert not re.search(r"(?<![,:])\s|\s{2}", between), "white space stands after commas and colons alone"


def test_an_untrained_model_says_one_of_the_labels(
    untrained: PreTrainedModel, grammars: Grammars, tok: Tokenizer
) -> None:
    labels = ("card", "card_arrival", 'a "quoted" one', "größer", "two words")
    said = {tok.decode(answer.ids) for answer in written(untrained, grammars, Choice(labels))}
    assert said <= set(labels)


def test_guesses_change_nothing(untrained: PreTrainedModel, grammars: Grammars) -> None:
    form = ending(ORDER, GOLD)
    alone = [answer.ids for answer in written(untrained, grammars, form, most_guesses=0)]
    assert [answer.ids for answer in written(untrained, grammars, form)] == alone


def test_other_architectures_are_held_to_a_form_too(tmp_path: Path, grammars: Grammars, tok: Tokenizer) -> None:
    """Written out by transformers, a token at a time."""
    net = load_base(write_base(tmp_path / "base", "mistral", sliding_window=64))
    for answer in written(net, grammars, ending(ORDER, GOLD)):
        assert conforms(ORDER, json.loads(tok.decode(answer.ids)))


def test_beside_answers_that_are_held_the_free_ones_stay_as_they_are(
    untrained: PreTrainedModel, grammars: Grammars
) -> None:
    ids = [[5 + (7 * row + place) % 200 for place in range(8)] for row in range(8)]
    free = {
        a.index: a.ids
        for a in generate(copied(untrained), [Prompt(i, 30) for i in ids], token_budget=900, stop_ids=frozenset({0}))
    }
    form = ending(ORDER, GOLD)
    mixed = [Prompt(one, 30, form if row % 2 else None) for row, one in enumerate(ids)]
    found = {
        a.index: a.ids
        for a in generate(copied(untrained), mixed, token_budget=900, stop_ids=frozenset({0}), grammars=grammars)
    }
    assert all((found[row] == free[row]) == (row % 2 == 0) for row in range(8))


def test_two_processes_give_the_answers_of_one(tiny_base: Path, grammars: Grammars) -> None:
    net = load_base(tiny_base)
    form = ending(ORDER, GOLD)
    prompts = [Prompt([5 + (7 * row + place) % 200 for place in range(8)], 150, form) for row in range(6)]
    stop_ids = frozenset({0, 2})
    alone = {
        a.index: a.ids for a in generate(copied(net), prompts, token_budget=900, stop_ids=stop_ids, grammars=grammars)
    }
    shared = generate_in_processes(copied(net), Model(tiny_base), prompts, 2, token_budget=900, stop_ids=stop_ids)
    assert {answer.index: answer.ids for answer in shared} == alone


def test_an_answer_whose_form_cannot_be_followed_further_is_none(
    tiny_base: Path, grammars: Grammars, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, left = Guide.allowed, [4]

    def lost(self: Guide) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise LatheError("the grammar of this answer cannot be followed: too large")
        return plain(self)

    monkeypatch.setattr(Guide, "allowed", lost)
    form = ending(ORDER, GOLD)
    (answer,) = generate(
        taken(load_base(tiny_base)),
        [Prompt([5, 6, 7], 50, form)],
        token_budget=99,
        stop_ids=frozenset({0}),
        grammars=grammars,
    )
    assert (answer.finish, len(answer.ids)) == ("none", 4)


# ------------------------------------------------------------------------------------------ what is accepted


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(-1e6, 1e6)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc é", max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_whatever_json_dumps_writes_is_accepted(grammars: Grammars, tok: Tokenizer, value: Json) -> None:
    assert grammars.accepts(JsonForm({}), [*tok.encode(json.dumps(value, ensure_ascii=False)), 2])


def test_other_white_space_and_half_an_answer_are_not_accepted(grammars: Grammars, tok: Tokenizer) -> None:
    form = JsonForm(ORDER)
    text = json.dumps(GOLD, ensure_ascii=False)
    assert grammars.accepts(form, [*tok.encode(text), 2])
    assert not grammars.accepts(form, tok.encode(text[:-1]))
    assert not grammars.accepts(form, tok.encode(text + "\n"))
    assert not grammars.accepts(form, tok.encode(json.dumps(GOLD, ensure_ascii=False, indent=1)))
    assert not grammars.accepts(form, tok.encode(json.dumps({**GOLD, "total": "4.5"}, ensure_ascii=False)))


def test_a_schema_has_no_say_in_how_its_answers_are_spaced(grammars: Grammars, tok: Tokenizer) -> None:
    form = JsonForm({"type": "array", "x-guidance": {"whitespace_flexible": True, "item_separator": ";"}})
    assert grammars.accepts(form, tok.encode("[1, 2]"))
    assert not grammars.accepts(form, tok.encode("[1;2]"))
    assert not grammars.accepts(form, tok.encode("[1,  2]"))


@pytest.mark.parametrize(
    "schema", [{"type": "object", "not": {}}, {"$ref": "https://example.com/x"}, {"minimum": 10**30}, False]
)
def test_a_schema_that_cannot_be_followed_is_told(grammars: Grammars, schema: Json) -> None:
    assert grammars.problem_with(JsonForm(schema))
    with pytest.raises(InputError, match="no answer can be held to this form"):
        grammars.begin(JsonForm(schema))


def test_without_the_package_it_is_said_how_to_install_it(tok: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lathe.engine.grammar.find_spec", lambda name: None)
    with pytest.raises(Unavailable) as missing:
        Grammars(tok, tok.stop_ids)
    assert "pip install 'lathe-slm[constrain]'" in str(missing.value.hint)


def test_slots_are_given_back_by_answers_that_are_held(tiny_base: Path, grammars: Grammars) -> None:
    from lathe.engine.decoding.decoder import Decoder

    slots = Slots(Decoder(Weights(load_base(tiny_base))), 1, 90, frozenset({0, 2}))
    for index in range(3):
        held = HeldAnswer(grammars.begin(Choice(("yes", "no"))))
        slots.begin(Writing.of(index, Prompt([5, 6, 7], 20), held))
        while not (answers := list(slots.finished())):
            slots.write_on()
        assert [answer.index for answer in answers] == [index]


# ------------------------------------------------------------------------------------------ schemas made to fit


def test_the_fewest_keywords_are_left_out(grammars: Grammars, tok: Tokenizer) -> None:
    """`format` is not asserted by the standard, so right answers may break it; `uniqueItems` no grammar can follow."""
    schema = {
        "type": "object",
        "properties": {
            "format": {"type": "string", "format": "email", "minLength": 2},
            "tags": {"type": "array", "uniqueItems": True, "maxItems": 3},
        },
    }
    right = tok.encode('{"format": "by post", "tags": ["a"]}')
    found = reduced(schema, lambda some: grammars.accepts(JsonForm(some), right))
    assert found is not None
    assert set(found[1]) == {"format", "uniqueItems"}
    assert found[0] == {
        "type": "object",
        "properties": {"format": {"type": "string", "minLength": 2}, "tags": {"type": "array", "maxItems": 3}},
    }
    assert reduced(schema, lambda some: grammars.accepts(JsonForm(some), tok.encode('{"format": 3}'))) is None


def test_one_of_is_taken_as_any_of(grammars: Grammars) -> None:
    schema = {"oneOf": [{"type": "integer"}, {"type": "number", "maximum": 3}]}
    found = reduced(schema, lambda some: not grammars.problem_with(JsonForm(some)))
    assert found == ({"anyOf": schema["oneOf"]}, ("oneOf",))


def test_what_a_schema_says_itself_stands_and_what_it_leaves_open_is_bounded() -> None:
    bounds = Bounds.over([{"a": ["nut", 12.25]}])
    assert bounds == Bounds(characters=22, items=6, digits=6, decimals=6)
    schema = {
        "properties": {
            "a": {"type": "string", "maxLength": 3}, "b": {"type": "string", "minLength": 50},
            "maxLength": {"type": ["integer", "null"], "maximum": 7}, "c": {"enum": ["x" * 30]},
        }
    }  # fmt: skip
    assert bounded(closed(schema), bounds) == {
        "additionalProperties": False,
        "properties": {
            "a": {"type": "string", "maxLength": 3}, "b": {"type": "string", "minLength": 50, "maxLength": 50},
            "maxLength": {"type": ["integer", "null"], "minimum": -(10**6), "maximum": 7}, "c": {"enum": ["x" * 30]},
        },
    }  # fmt: skip
    assert Bounds.over([1e-05]).digits is None, "what is written with an exponent has no digits to count"
