"""Answers to rows of each kind, and the scores that they must get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lathe.contracts import Worked

_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "set_timer",
            "description": "Counts down and rings.",
            "parameters": {
                "type": "object",
                "properties": {
                    "minutes": {"type": "number"},
                    "label": {"type": "string"},
                    "loud": {"type": "boolean", "default": False},
                },
                "required": ["minutes"],
            },
        },
    },
    {"name": "stop_timer", "parameters": {"type": "object", "properties": {"label": {"type": "string"}}}},
]
_TWO = {
    "id": "two",
    "input": "Ten minutes for the eggs and four for the tea.",
    "tools": _TOOLS,
    "target": [
        {"name": "set_timer", "arguments": {"minutes": 10, "label": "eggs"}},
        {"name": "set_timer", "arguments": {"minutes": 4, "label": "tea"}},
    ],
}
_NONE = {"id": "none", "input": "What is the capital of Peru?", "tools": _TOOLS, "target": []}
_AGAIN = {
    "id": "again",
    "messages": [
        {"role": "user", "content": "Ten minutes, please."},
        {"role": "assistant", "content": '[{"name": "set_timer", "arguments": {"minutes": "10"}}]'},
        {"role": "tool", "content": '{"error": "minutes must be a number"}'},
    ],
    "tools": _TOOLS,
    "target": [{"name": "set_timer", "arguments": {"minutes": 10}}],
}
_BFCL = {
    "id": "simple_0",
    "question": [[{"role": "user", "content": "Start a timer of half an hour."}]],
    "function": [
        {
            "name": "start",
            "description": "Starts.",
            "parameters": {
                "type": "dict",
                "properties": {"amount": {"type": "float"}, "unit": {"type": "string"}},
                "required": ["amount"],
            },
        }
    ],
    "ground_truth": [{"start": {"amount": [30, 30.0], "unit": ["minutes", "min", ""]}}],
}
NAMES = ("function_exact", "function_name", "param_f1", "irrelevance_accuracy", "error_recovery")


def _worked(row: Mapping[str, Any], answer: str, why: str, *scores: float | None) -> Worked:
    return Worked(row, answer, dict(zip(NAMES, scores, strict=True)), why)


WORKED = (
    _worked(
        _TWO,
        '[{"name": "set_timer", "arguments": {"minutes": 10, "label": "eggs"}}, '
        '{"name": "set_timer", "arguments": {"minutes": 4, "label": "tea"}}]',
        "right", 1, 1, 1, None, None,
    ),
    _worked(
        _TWO,
        '{"name": "set_timer", "arguments": {"label": "tea", "minutes": 4.0, "loud": false}}\n'
        '{"type": "function", "function": {"name": "set_timer", "arguments": "{\\"minutes\\": 10, \\"label\\": \\"eggs\\"}"}}',
        "right: other order, a number written otherwise, a default said, OpenAI's nesting", 1, 1, 1, None, None,
    ),
    _worked(
        _TWO,
        '[{"name": "set_timer", "arguments": {"minutes": 10, "label": "tea"}}, '
        '{"name": "set_timer", "arguments": {"minutes": 4, "label": "eggs"}}]',
        "the values of two calls exchanged: two of four arguments are right", 0, 1, 0.5, None, None,
    ),
    _worked(
        _TWO, '[{"name": "set_timer", "arguments": {"minutes": 10, "label": "eggs"}}]', "missing call", 0, 0, 2 * 2 / 6, None, None
    ),
    _worked(
        _TWO,
        '[{"name": "set_timer", "arguments": {"minutes": "10", "label": "eggs"}}, '
        '{"name": "set_timer", "arguments": {"minutes": 4, "label": "tea"}}]',
        "wrong type: a text is no number", 0, 1, 0.75, None, None,
    ),
    _worked(
        _TWO,
        '[{"name": "stop_timer", "arguments": {"label": "eggs"}}, '
        '{"name": "set_timer", "arguments": {"minutes": 4, "label": "tea"}}]',
        "wrong function", 0, 0, 2 * 2 / 7, None, None,
    ),
    _worked(_TWO, '[{"name": "set_timer", "arguments": {"minutes": 10, "la', "cut off: not read in part", 0, 0, 0, None, None),
    _worked(_TWO, "Your timers are set.", "words instead of calls", 0, 0, 0, None, None),
    _worked(_NONE, "[]", "right: nothing fits, and it says so", 1, 1, None, 1, None),
    _worked(_NONE, '[{"name": "set_timer", "arguments": {"minutes": 1}}]', "a call that nobody wanted", 0, 0, None, 0, None),
    _worked(_NONE, "Lima", "words are no list of calls: babble must not pass for restraint", 0, 0, None, 0, None),
    _worked(_AGAIN, '[{"name": "set_timer", "arguments": {"minutes": 10}}]', "the second attempt is right", 1, 1, 1, None, 1),
    _worked(_AGAIN, '[{"name": "set_timer", "arguments": {"minutes": "10"}}]', "the same mistake again", 0, 1, 0, None, 0),
    _worked(_BFCL, '[{"name": "start", "arguments": {"amount": 30}}]', "an optional argument left out", 1, 1, 1, None, None),
    _worked(
        _BFCL, '[{"name": "start", "arguments": {"amount": 30, "unit": "min"}}]', "another value that is allowed",
        1, 1, 1, None, None,
    ),
    _worked(
        _BFCL, '[{"name": "start", "arguments": {"amount": 30, "unit": "hours"}}]', "a value that is not", 0, 1, 0.5, None, None
    ),
)  # fmt: skip
