"""Function calls: read in every layout, compared by type and without order, and no credit for babble."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lathe import plugins
from lathe.data.stage import prepare
from lathe.errors import TaskMismatch
from lathe.records import Example, LockedRecipe, Recipe, TaskSetup, canonical
from lathe.runs import RunFolder
from lathe.storage import read_rows
from lathe.tasks._calls.answers import Call, calls_in
from lathe.tasks._calls.functions import as_json_schema, functions_in, signatures
from lathe.tasks._calls.gold import GoldCall, of_bfcl, of_target
from lathe.tasks._calls.matching import match
from lathe.tasks.function_calling import REASONS

TASK = plugins.load("tasks", "function_calling")
SETUP = TaskSetup()


def tool(name: str, required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


NUMBER, TEXT = {"type": "number"}, {"type": "string"}
TOOLS = [
    tool("add", ("a", "b"), a=NUMBER, b=NUMBER),
    tool("say", ("text",), text=TEXT, loud={"type": "boolean", "default": False}),
]


def example(target: Any, tools: list[dict[str, Any]] = TOOLS, **more: Any) -> Example:
    return TASK.example({"input": "Do it.", "tools": tools, "target": target, **more}, SETUP)


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def scores(target: Any, said: Any, **more: Any) -> dict[str, float | None]:
    return dict(TASK.score(example(target, **more), said if isinstance(said, str) else json.dumps(said), SETUP).values)


def test_right_calls_mean_the_same_in_any_order() -> None:
    calls = [call("add", a=1, b=2), call("say", text="x")]
    means = [TASK.meaning(example(target)) for target in (calls, calls[::-1], calls[:1])]
    assert means[0] == means[1] != means[2]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([call("add", a=1, b=2)], ""),
        ([call("add", b=2.0, a=1)], ""),
        ([call("add", a=1, b="2")], "wrong type"),
        ([call("add", a=1, b=True)], "wrong type"),
        ([call("add", a=1, b=3)], "wrong value"),
        ([call("add", a=1)], "missing argument"),
        ([call("add", a=1, b=2, c=3)], "extra argument"),
        ([call("add", a=1, b=2), call("add", a=1, b=2)], "extra call"),
        ([call("say", text="x")], "wrong function"),
        ([call("plus", a=1, b=2)], "function not offered"),
        ([], "no call"),
        ([{"name": "add"}], "not a call"),
        ("add(1, 2)", "no JSON"),
        ('[{"name": "add", "arguments": {"a": 1', "cut off"),
        ('[{"name": "add", "arguments": {"a": 1, "a": 1, "b": 2}}]', "duplicate key"),
    ],
)
def test_every_wrong_answer_has_its_reason(said: Any, reason: str) -> None:
    text = said if isinstance(said, str) else json.dumps(said)
    verdict = TASK.score(example([call("add", a=1, b=2)]), text, SETUP)
    assert verdict.reason == reason
    assert reason in ("", *REASONS)
    assert verdict.values["function_exact"] == (reason == "")


def test_a_default_may_be_said_or_left_out_on_either_side() -> None:
    plain, said = call("say", text="x"), call("say", text="x", loud=False)
    for gold in (plain, said):
        for answer in (plain, said):
            assert scores([gold], [answer])["function_exact"] == 1
        assert scores([gold], [call("say", text="x", loud=True)])["function_exact"] == 0
    assert scores([call("say", text="x", loud=True)], [plain])["function_exact"] == 0
    assert example([said]).completion == json.dumps([plain])


def test_order_of_calls_never_counts_and_each_counts_once() -> None:
    gold = [call("add", a=1, b=2), call("say", text="x"), call("add", a=3, b=4)]
    assert scores(gold, gold[::-1])["function_exact"] == 1
    assert scores(gold, [gold[0], gold[0], gold[1]])["function_exact"] == 0


def test_calls_of_one_name_are_paired_so_that_most_is_right() -> None:
    """Each said call shares an argument with both gold ones; only one way of pairing them gets three of four."""
    gold = [call("add", a=1, b=2), call("add", a=1, b=3)]
    assert scores(gold, [call("add", a=1, b=3), call("add", a=9, b=2)])["param_f1"] == pytest.approx(3 / 4)


def test_param_f1_counts_calls_that_are_missing_and_that_nobody_wanted() -> None:
    gold = [call("add", a=1, b=2), call("say", text="x")]
    assert scores(gold, gold[:1])["param_f1"] == pytest.approx(2 * 2 / (3 + 2))
    assert scores(gold[:1], gold)["param_f1"] == pytest.approx(2 * 2 / (2 + 3))


def test_a_function_without_arguments_is_judged_by_its_name() -> None:
    tools = [tool("ping"), tool("pong")]
    assert scores([call("ping")], [call("ping")], tools=tools)["param_f1"] == 1
    assert scores([call("ping")], [call("pong")], tools=tools)["param_f1"] == 0


@pytest.mark.parametrize(("said", "score"), [("[]", 1), ("", 0), ("None of them fits.", 0), ('[{"name": "ad', 0)])
def test_only_an_empty_list_says_that_nothing_fits(said: str, score: int) -> None:
    found = scores([], said)
    assert found["irrelevance_accuracy"] == found["function_exact"] == score
    assert found["param_f1"] is None


def test_kinds_follow_from_the_row() -> None:
    one, two = [call("add", a=1, b=2)], [call("add", a=1, b=2), call("add", a=3, b=4)]
    turns = [("user", "Do it."), ("assistant", "[]"), ("tool", "ERROR: no")]
    failed = [{"role": role, "content": text} for role, text in turns]
    kinds = [
        example(one, TOOLS[:1]), example(one), example(two), example([]), example(one, messages=failed),
    ]  # fmt: skip
    assert [found.meta["kind"] for found in kinds] == ["simple", "multiple", "parallel", "irrelevance", "recovery"]
    assert "Result: ERROR: no" in kinds[-1].input
    fine = [*failed[:2], {"role": "tool", "content": '{"error": null, "sum": 3}'}]
    assert example(one, messages=fine).meta["kind"] == "multiple"


def test_the_prompt_shows_what_may_be_called_and_is_read_back() -> None:
    text = example([call("add", a=1, b=2)]).messages[0].content
    assert "add(a: number, b: number)" in text
    assert [name for name, _, _ in signatures(text)] == ["add", "say"]


def test_what_was_called_before_is_shown_as_an_answer_is_written_whatever_the_layout() -> None:
    """The data stage writes calls of OpenAI's layout one a line, with keys in order; Lathe's own rows hold a list."""
    said = [call("add", a=1, b=2), call("say", text="Größe")]
    lines = "\n".join(canonical(one) for one in said)
    shown = [
        example([], messages=[{"role": "user", "content": "Do it."}, {"role": "assistant", "content": text}])
        .messages[0]
        .content
        for text in (lines, json.dumps(said, ensure_ascii=False), "I did: {}", "[]")
    ]
    assert shown[0] == shown[1]
    assert shown[0].endswith(f"User: Do it.\nCalled: {json.dumps(said, ensure_ascii=False)}")
    assert [text.rpartition("Called: ")[2] for text in shown[2:]] == ["I did: {}", "[]"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"target": [call("plus", a=1)]}, "not among the functions"),
        ({"target": [call("add", a=1)]}, "do not fit add"),
        ({"target": [{"name": "add"}]}, "list of calls"),
        ({"target": [], "tools": [{"description": "x"}]}, "has no name"),
        ({"target": [], "tools": [TOOLS[0], TOOLS[0]]}, "same name"),
        ({"target": [], "tools": "x"}, "expected a list"),
    ],
)
def test_rows_that_cannot_be_right_are_refused_in_words(row: dict[str, Any], said: str) -> None:
    with pytest.raises(TaskMismatch, match=said):
        TASK.example({"input": "Do it.", "tools": TOOLS, **row}, SETUP)


# ------------------------------------------------------------------------------------------ BFCL


BFCL = {
    "id": "simple_0",
    "question": [[{"role": "user", "content": "Area of a triangle, base 10, height 5?"}]],
    "function": [
        {
            "name": "triangle_area",
            "description": "Area.",
            "parameters": {
                "type": "dict",
                "properties": {"base": {"type": "integer"}, "height": {"type": "float"}, "unit": {"type": "string"}},
                "required": ["base", "height"],
            },
        }
    ],
    "ground_truth": [{"triangle_area": {"base": [10], "height": [5, 5.0], "unit": ["units", ""]}}],
}


def test_a_row_of_bfcl_is_read_with_all_that_it_allows() -> None:
    found = TASK.example(dict(BFCL), SETUP)
    assert found.completion == '[{"name": "triangle_area", "arguments": {"base": 10, "height": 5}}]'
    assert found.input == "Area of a triangle, base 10, height 5?"
    for unit, exact in ((None, 1), ("units", 1), ("cm", 0)):
        said = call("triangle_area", base=10, height=5, **({"unit": unit} if unit else {}))
        assert TASK.score(found, json.dumps([said]), SETUP).values["function_exact"] == exact


def test_bfcl_without_its_possible_answers_is_no_irrelevance() -> None:
    row = {key: value for key, value in BFCL.items() if key != "ground_truth"}
    with pytest.raises(TaskMismatch, match="ground_truth"):
        TASK.example(row, SETUP)
    assert TASK.example({**row, "ground_truth": []}, SETUP).meta["kind"] == "irrelevance"


def test_bfcls_types_become_those_of_json_schema_at_any_depth() -> None:
    theirs = {
        "type": "dict",
        "properties": {"x": {"type": "tuple", "items": {"type": "float"}}, "type": {"type": "any"}},
    }
    assert as_json_schema(theirs) == {
        "type": "object", "properties": {"x": {"type": "array", "items": {"type": "number"}}, "type": {}},
    }  # fmt: skip


def test_objects_inside_bfcls_values_hold_lists_of_values_again() -> None:
    (found,) = of_bfcl([{"f": {"options": [{"size": [1], "colour": ["", "red"]}]}}])
    assert found.allowed == {"options": [{"size": 1}]}


# ------------------------------------------------------------------------------------------ OpenAI, through the data stage


def openai_row(number: int, content: str | None, *calls: dict[str, Any]) -> dict[str, Any]:
    made = [
        {"type": "function", "id": str(i), "function": {**one, "arguments": json.dumps(one["arguments"])}}
        for i, one in enumerate(calls)
    ]
    answer = {"role": "assistant", "content": content, **({"tool_calls": made} if made else {})}
    return {"messages": [{"role": "user", "content": f"Wish {number}"}, answer], "tools": TOOLS}


def prepared(tmp_path: Path, rows: list[dict[str, Any]]) -> list[Example]:
    """The rows of a file as the data stage makes them."""
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {
        "name": "r",
        "base": "lathe:nano",
        "task": "function_calling",
        "data": {"source": str(tmp_path / "rows.jsonl")},
    }
    run = RunFolder(tmp_path / "run")
    prepare(
        run, LockedRecipe(inputs="", recipe=Recipe.model_validate(recipe), base_folder=""), "inputs", lambda _: None
    )
    return [one for side in ("train", "validation", "test") for one in read_rows(run.rows(side), Example)]


def test_rows_in_openais_layout_are_read_without_renaming_anything(tmp_path: Path) -> None:
    rows = [openai_row(n, None, call("add", a=n, b=1), call("say", text="hi")) for n in range(40)]
    rows += [openai_row(n, "I cannot do that.") for n in range(40, 60)]
    found = {one.input: one for one in prepared(tmp_path, rows)}
    assert len(found) == 60
    assert json.loads(found["Wish 3"].completion) == [call("add", a=3, b=1), call("say", text="hi")]
    assert found["Wish 50"].completion == "[]"


def test_rows_of_bfcl_are_read_from_a_file(tmp_path: Path) -> None:
    rows = [
        {**BFCL, "id": f"simple_{n}", "question": [[{"role": "user", "content": f"Triangle {n}?"}]]} for n in range(40)
    ]
    assert {one.meta["kind"] for one in prepared(tmp_path, rows)} == {"simple"}


# ------------------------------------------------------------------------------------------ laws

values = st.one_of(st.integers(0, 3), st.booleans(), st.sampled_from(["a", "b"]))
said_calls = st.lists(
    st.builds(Call, st.sampled_from(["f", "g"]), st.dictionaries(st.sampled_from("xyz"), values, max_size=3)),
    max_size=5,
)


@given(said_calls, st.randoms(use_true_random=False))
def test_calls_match_themselves_in_any_order_and_scores_stay_in_bounds(calls: list[Call], chance: Any) -> None:
    gold = [GoldCall(one.name, {name: [value] for name, value in one.arguments.items()}) for one in calls]
    other = list(calls)
    chance.shuffle(other)
    assert match(gold, other).fault == ""
    assert match(gold, other).param_f1 == 1
    assert of_target([one.target() for one in gold]) == gold
    fewer = match(gold, other[1:])
    assert 0 <= fewer.param_f1 <= 1
    assert bool(fewer.fault) == bool(calls)


def test_many_calls_are_matched_too() -> None:
    calls = [Call("f", {"x": number}) for number in range(40)]
    gold = [GoldCall("f", {"x": [number]}) for number in range(40)]
    assert match(gold, calls[::-1]).fault == ""


def test_functions_and_answers_in_plain_and_nested_layouts_are_the_same() -> None:
    plain = [one["function"] for one in TOOLS]
    assert functions_in(plain) == functions_in(TOOLS)
    nested = {"type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
    assert calls_in(json.dumps([nested])) == calls_in(json.dumps(call("add", a=1, b=2)))


def test_many_calls_of_one_name_are_paired_by_the_best_of_all_ways() -> None:
    """Taking the best pair first would give the first said call to the first gold one, and leave nothing for the second."""
    gold = [GoldCall("f", {"x": [number], "y": [0]}) for number in range(12)]
    said = [Call("f", {"x": number + 1, "y": 1}) for number in range(12)]
    assert match(gold, said).right == 11
