"""Rows of function calls as people have them: what is not understood is refused, and never read as "nothing is to be called"."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lathe import plugins
from lathe.errors import TaskMismatch
from lathe.records import Example, Json, TaskSetup

TASK = plugins.load("tasks", "function_calling")
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "get_weather", "description": "Weather of a city", "parameters": CITY}
CALL = '[{"name": "get_weather", "arguments": {"city": "Oslo"}}]'


def example(target: Json, tools: Json = None, **more: Json) -> Example:
    row = {"input": "How is Oslo?", "tools": [WEATHER] if tools is None else tools, "target": target, **more}
    return TASK.example(row, TaskSetup())


@pytest.mark.parametrize(
    "target",
    [
        CALL[:-2],
        CALL.replace("arguments", "parameters"),
        '{"tool_calls": ' + CALL + "}",
        CALL[:-1] + ', {"name": "get_weather"}]',
        f"```json\n{CALL[:-1]},]\n```",
        "<tool_call>{'name': 'get_weather', 'arguments': {'city': 'Oslo'}}</tool_call>",
        '[get_weather(city="Oslo")]',
        'get_weather(city="Oslo")',
        "",
        " \n",
    ],
)
def test_calls_that_cannot_be_read_are_not_taken_for_no_call(target: str) -> None:
    with pytest.raises(TaskMismatch, match="calls that can all be read"):
        example(target)


@pytest.mark.parametrize("target", ["I cannot do that [1].", "Which city do you mean?", "[]", "```json\n[]\n```"])
def test_words_and_an_empty_list_call_nothing(target: str) -> None:
    assert example(target).target == []


@pytest.mark.parametrize("target", [CALL, CALL[1:-1], f"Sure: {CALL}", f"<tool_call>\n{CALL[1:-1]}\n</tool_call>"])
def test_calls_in_a_text_are_read_with_prose_and_marks_around_them(target: str) -> None:
    assert json.loads(example(target).completion) == json.loads(CALL)


@pytest.mark.parametrize("name", ["get weather", "a(b", "Wetter\u00a0jetzt", " lead", "x:y", "ns.f-1"])
def test_the_right_call_of_a_function_is_right_whatever_its_name(name: str) -> None:
    """A signature in the prompt ends its name at a blank or a bracket; what is offered stands in the item."""
    asked = example([{"name": name, "arguments": {}}], [{"name": name, "parameters": {"type": "object"}}])
    verdict = TASK.score(asked, asked.completion, TaskSetup())
    assert (verdict.values["function_exact"], verdict.reason) == (1.0, "")
    nearest = next(rule for rule in TASK.baselines if rule.name == "nearest_neighbour")
    assert nearest.fit([asked], TaskSetup())(asked) == asked.completion


@pytest.mark.parametrize("key", ["parameters", "input_schema", "inputSchema"])
def test_the_schema_of_a_function_is_found_under_the_names_that_other_makers_give_it(key: str) -> None:
    asked = example(json.loads(CALL), [{"name": "get_weather", key: CITY}])
    assert "get_weather(city: string)" in asked.messages[-1].content


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"city": {"type": "string"}}, "expected 'city' among its properties"),
        ({"type": {"type": "str", "default": "game"}}, "expected 'type' among its properties"),
        ({"type": "object", "properties": ["city"]}, "expected properties to be an object"),
        ({"type": "object", "properties": {"city": "string"}}, "expected a schema for city, got 'string'"),
        ("city", "expected an object, got 'city'"),
    ],
)
def test_arguments_that_a_schema_does_not_tell_are_not_left_out_in_silence(parameters: Any, said: str) -> None:
    with pytest.raises(TaskMismatch, match=said):
        example([], [{"name": "get_weather", "parameters": parameters}])


def test_a_gold_call_gives_no_argument_that_the_model_is_not_shown() -> None:
    calls = [{"name": "get_weather", "arguments": {"city": "Oslo", "zip": "0150"}}]
    with pytest.raises(TaskMismatch, match=r"get_weather takes no argument 'zip' \(city\)"):
        example(calls)
    assert example(calls, [{**WEATHER, "parameters": {**CITY, "additionalProperties": True}}]).target


def test_a_column_question_beside_the_input_is_not_asked_in_its_place() -> None:
    assert example([], question="Which row is this?").input == "How is Oslo?"
