"""Rows of calls, whatever their layout: Lathe's own, OpenAI's turned into it by the data stage, and BFCL's."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lathe.errors import TaskMismatch
from lathe.records import Json, Row, TaskSetup
from lathe.tasks._calls import gold
from lathe.tasks._calls.answers import Call, call_of, called, calls_in
from lathe.tasks._calls.functions import Function, functions_in
from lathe.tasks._calls.gold import GoldCall
from lathe.tasks._json import reading
from lathe.tasks._rows import Fields, column_of, is_unicode, shown

FIELDS = Fields(
    "function_calling",
    {
        "input": ("question", "prompt", "query", "instruction"),
        "tools": ("functions", "function"),
        "target": ("calls", "answers", "tool_calls"),
    },
)
CALLS_BEGIN = re.compile(r"\s*(?:```\w*\s*|<\|?tool_calls?\|?>\s*)?[\[{]")
"""A text that is meant as calls begins so, in a code fence or a model's own marks or in none; prose with calls in it does not."""
SPEAKERS = {"user": "User", "assistant": "Called", "tool": "Result"}
"""How the turns of a longer conversation are shown."""


@dataclass(frozen=True)
class Read:
    """A row understood. failed: whether the last thing that was called said that it failed."""

    document: str
    functions: Sequence[Function]
    calls: Sequence[GoldCall]
    failed: bool


def read(row: Row, setup: TaskSetup) -> Read:
    """Reads a row. Raises TaskMismatch where a part is missing, unreadable, or the gold calls do not fit the functions."""
    functions, calls = _bfcl(row) if {"question", "function"} <= row.keys() else _own(row, setup)
    for call in calls:
        if problem := gold.misfit(call, functions):
            raise TaskMismatch(
                f"the gold calls of the row cannot be made: {problem}", hint="Mend the row, or take it out."
            )
    turns = turns_of(row, setup)
    return Read(document_of(turns), functions, calls, failed(turns))


def _own(row: Row, setup: TaskSetup) -> tuple[list[Function], list[GoldCall]]:
    functions = _functions(FIELDS.value(row, setup, "tools", "the functions that may be called, a list"))
    target = FIELDS.value(row, setup, "target", "the right calls, a list, or their text")
    if isinstance(target, str):
        return functions, [gold.of_call(call, functions) for call in _written(target, functions)]
    listed = target if isinstance(target, list) else [target]
    calls = [call_of(one) for one in listed]
    if None in calls:
        raise TaskMismatch(
            f"function_calling expects {column_of(setup, 'target')!r} to be a list of calls, got {shown(target)}",
            hint='Write each as {"name": ..., "arguments": {...}}, and [] where nothing is to be called.',
        )
    return functions, [gold.of_call(call, functions) for call in calls if call is not None]


def _written(target: str, functions: Sequence[Function]) -> list[Call]:
    """The calls of a text that a person or a program wrote, prose beside them; none where it is prose alone.

    Raises TaskMismatch where it is empty, or meant as calls of which not all can be read: to call nothing would be learnt from it.
    """
    found, meant = list(called(target)), calls_in(target)
    as_code = any(re.search(rf"(?<![\w.]){re.escape(one.name)}\s*\(", target) for one in functions)
    lost = not target.strip() or (as_code and not found)
    if lost or (CALLS_BEGIN.match(target) and meant.problem):
        raise TaskMismatch(
            f"function_calling expects the text of the target to be calls that can all be read, got {shown(target)}"
            + (f" ({meant.problem})" if meant.problem else ""),
            hint='Write them as [{"name": ..., "arguments": {...}}], and [] where nothing is to be called.',
        )
    return found


def _bfcl(row: Row) -> tuple[list[Function], list[GoldCall]]:
    if "ground_truth" not in row:
        raise TaskMismatch(
            f"function_calling expects the field 'ground_truth' beside BFCL's question and function; the row has "
            f"{', '.join(map(repr, row))}",
            hint="Put the answers, under the same file name, into a folder possible_answer beside the questions: they are joined "
            "by id. Where nothing is to be called, the ground_truth is [].",
        )
    try:
        return _functions(row["function"]), gold.of_bfcl(row["ground_truth"])
    except ValueError as error:
        raise TaskMismatch(
            f"the ground_truth of the row is none of BFCL's: {error}", hint="Take the row out."
        ) from error


def _functions(tools: Json) -> list[Function]:
    if isinstance(tools, str):
        try:
            tools = reading.read_exactly(tools)
        except ValueError:
            tools = None
    try:
        return functions_in(tools)
    except ValueError as error:
        raise TaskMismatch(
            f"the functions of the row cannot be read: {error}",
            hint='Write each as {"name": ..., "description": ..., "parameters": JSON Schema}, as OpenAI and BFCL do.',
        ) from error


# ------------------------------------------------------------------------------------------ the conversation


def turns_of(row: Row, setup: TaskSetup) -> list[tuple[str, str]]:
    """(role, text) of the turns before the answer, system turns left out; a row without turns has its input as the only one."""
    bfcl = isinstance(row.get("question"), list)
    listed = row.get("messages", row["question"] if bfcl else None)
    if isinstance(listed, list) and listed and isinstance(listed[0], list):  # BFCL: turns of turns
        listed = [one for part in listed if isinstance(part, list) for one in part]
    if isinstance(listed, list) and listed:
        turns = [(one.get("role"), one.get("content")) if isinstance(one, dict) else (None, None) for one in listed]
        found = [(str(role), text) for role, text in turns if role in SPEAKERS and isinstance(text, str)]
        if (
            found
            and len(found) == sum(role != "system" for role, _ in turns)
            and all(is_unicode(text) for _, text in found)
        ):
            return [(role, _in_one_list(text) if role == "assistant" else text) for role, text in found]
        raise TaskMismatch(
            "function_calling expects turns of user, assistant and tool with a text each, got others",
            hint="Take the row out, or write what was called as text.",
        )
    name = "question" if "question" in row and column_of(setup, "input") not in row else "input"
    return [("user", FIELDS.text(row, setup, name, "what is asked, a text"))]


def _in_one_list(text: str) -> str:
    """What was called, as an answer is written; the data stage writes calls of OpenAI's layout one a line, with keys in order."""
    try:
        calls = [call_of(reading.read_exactly(line)) for line in text.split("\n")]
    except ValueError:
        return text
    if None in calls:
        return text
    return json.dumps([{"name": one.name, "arguments": one.arguments} for one in calls if one], ensure_ascii=False)


def document_of(turns: Sequence[tuple[str, str]]) -> str:
    """The conversation as the model reads it: a single question as it is, else each turn after who it is from."""
    if len(turns) == 1:
        return turns[0][1]
    return "\n".join(f"{SPEAKERS[role]}: {text}" for role, text in turns)


def failed(turns: Sequence[tuple[str, str]]) -> bool:
    """Whether the last turn is the result of a call and says that it failed: an object with `error`, or a text that begins so."""
    role, text = turns[-1]
    if role != "tool":
        return False
    try:
        value = reading.read_exactly(text)
    except ValueError:
        return text.strip().casefold().startswith("error")
    return isinstance(value, dict) and bool(value.get("error"))
