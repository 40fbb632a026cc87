"""What is wrong with a request, in words for the one who wrote it: the key, what stands there, and what is expected.

    told(error.errors(...), document)   ->  ("temperature: got a text, expected a number", "temperature")

The words are Lathe's, and of what was sent they show keys and kinds of values only. A part that is wrong makes the whole around it
wrong too, and a value that may be of two kinds is wrong in both ways: only the innermost faults are said, each place once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lathe.records import Json

SHOWN = 3
EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "none_required": "null",
    "literal_error": "{expected}",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than_equal": "{le:g} or less",
    "too_short": "{min_length} or more of them",
    "too_long": "{max_length} of them at most",
    "string_too_short": "a text that is not empty",
    "string_too_long": "{max_length} characters at most",
    "string_pattern_mismatch": "a text that matches {pattern}",
}
"""By the name that pydantic has for a fault; in braces stands what it knows of it."""

WRONG_KIND = frozenset(name for name in EXPECTED if name.endswith("_type"))
"""Faults for which it helps to say what kind of value was sent."""

ONLY = {
    "temperature": "only 0 is taken, for answers are greedy here",
    "frequency_penalty": "only 0 is taken, for answers are greedy here",
    "presence_penalty": "only 0 is taken, for answers are greedy here",
    "n": "only 1 is taken, for answers are greedy here: others would be the same",
    "best_of": "only 1 is taken, for answers are greedy here: others would be the same",
    "logprobs": "only false is taken, for chances of tokens are not told here",
    "store": "only false is taken, for no request is kept here",
    "echo": "only false is taken, for the prompt is not repeated here",
}
"""Keys of which one value is taken, and why."""

Path = tuple[str | int, ...]


def told(faults: Sequence[Mapping[str, Any]], document: Json) -> tuple[str, str | None]:
    """(what is wrong, the key of the first fault). faults: as pydantic lists them, with their context; document: what was sent."""
    by_path: dict[Path, list[Mapping[str, Any]]] = {}
    for fault in faults:
        by_path.setdefault(path_of(fault, document), []).append(fault)
    innermost = [path for path in by_path if not any(other[: len(path)] == path for other in by_path if other != path)]
    said = [f"{_key(path) or 'the body'}: {_words(path, by_path[path], document)}" for path in innermost]
    more = f"; and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
    return "; ".join(said[:SHOWN]) + more, _key(innermost[0]) or None


def path_of(fault: Mapping[str, Any], document: Json) -> Path:
    """Where a fault is, without the steps that name no key: pydantic puts in which of several kinds it tried."""
    path: list[str | int] = []
    here, steps = document, fault["loc"]
    for place, step in enumerate(steps, start=1):
        missing = fault["type"] == "missing" and place == len(steps)
        if isinstance(step, int) or missing or (isinstance(here, Mapping) and step in here):
            path.append(step)
            here = _inside(here, step)
    return tuple(path)


def _inside(value: Json, step: str | int) -> Json:
    """A part of a value; None where there is none."""
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return value.get(step) if isinstance(value, Mapping) and isinstance(step, str) else None


def _key(path: Path) -> str:
    return ".".join(str(step) for step in path)


def _words(path: Path, faults: Sequence[Mapping[str, Any]], document: Json) -> str:
    """All that is wrong at one place."""
    first, key = faults[0], _key(path)
    kind, context = first["type"], first.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not taken here"
    if kind == "value_error":
        return str(context["error"])
    if kind == "json_invalid":
        return f"cannot be read as JSON: {context['error']}"
    if key in ONLY and kind not in WRONG_KIND:
        return ONLY[key]
    expected = [EXPECTED[one["type"]].format(**one.get("ctx", {})) for one in faults if one["type"] in EXPECTED]
    if not expected:
        return str(first["msg"])
    value = document
    for step in path:
        value = _inside(value, step)
    got = f"got {_kind_of(value)}, " if all(one["type"] in WRONG_KIND for one in faults) else ""
    return f"{got}expected {' or '.join(dict.fromkeys(expected))}"


def _kind_of(value: Json) -> str:
    """The kind of a JSON value, which tells nothing of it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    kinds = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return kinds.get(type(value), "something else")
