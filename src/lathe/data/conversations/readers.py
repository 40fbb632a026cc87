"""Rows of every layout read as conversations: one function a layout.

convert({"instruction": "Add", "input": "2 3", "output": "5"}, layout)   ->  Conversation((user "Add\\n\\n2 3", assistant "5"))
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from lathe.data.conversations import markup
from lathe.data.conversations.conversation import (
    Conversation,
    Role,
    Turn,
    list_in,
    shown,
    structured,
    system_in,
    text_in,
    turns_in,
)
from lathe.data.conversations.formats import Layout
from lathe.errors import DataError
from lathe.records import Json, Row, canonical, label_text
from lathe.records.check import FormatName

LONGEST_META = 60
"""Characters of a column that is kept as a slice; a longer one is no name of anything."""


def convert(row: Row, layout: Layout, system: Mapping[str, str] | None = None) -> Conversation:
    """A row as a conversation. system: system prompt by the role of the agent, for interaction logs.

    Raises DataError, without a place, saying what was expected and what is there.
    """
    read = READERS[layout.name]
    turns, target = read(row, layout.columns, system or {})
    if not turns or turns[-1].role != "assistant":
        last = f"it ends with the {turns[-1].role}'s turn" if turns else "it is empty"
        raise DataError(f"the row has no answer at its end: {last}", hint="Take the row out, or add the answer.")
    tools = row.get(layout.columns.get("tools", ""), None)
    return Conversation(
        turns=tuple(turns),
        tools=tuple(list_in(tools, "tools")) if tools else (),
        target=structured(turns[-1].content) if target is None and not turns[-1].tool_calls else target,
        id=str(row["id"]) if isinstance(row.get("id"), str | int) and row["id"] != "" else None,
        meta=_meta(row, layout),
        asked=_asked(row, layout.columns, turns),
        several=layout.name == "question-answer" and len(_answers(row.get(layout.columns["answer"]))) > 1,
    )


Read = Callable[[Row, Mapping[str, str], Mapping[str, str]], tuple[list[Turn], Json]]


def _prompt_completion(row: Row, columns: Mapping[str, str], system: Mapping[str, str]) -> tuple[list[Turn], Json]:
    prompt, completion = row.get(columns["prompt"]), row.get(columns["completion"])
    if isinstance(prompt, list):
        # Only the completion is learned, whatever answers the prompt holds.
        turns = [replace(turn, trained=turn.role != "assistant") for turn in turns_in(prompt, columns["prompt"])]
    else:
        turns = [Turn("user", text_in(prompt, columns["prompt"]))]
    turns = system_in(row, columns) + turns
    if (
        isinstance(completion, list)
        and completion
        and all(isinstance(turn, dict) and "role" in turn for turn in completion)
    ):
        return turns + turns_in(completion, columns["completion"]), None
    if isinstance(completion, dict | list):
        return [*turns, Turn("assistant", json.dumps(completion, ensure_ascii=False))], completion
    if isinstance(completion, bool | int | float):
        return [*turns, Turn("assistant", canonical(completion))], None
    return [*turns, Turn("assistant", text_in(completion, columns["completion"]))], None


def _messages(row: Row, columns: Mapping[str, str], system: Mapping[str, str]) -> tuple[list[Turn], Json]:
    return turns_in(row.get(columns["messages"]), columns["messages"]), None


def _sharegpt(row: Row, columns: Mapping[str, str], system: Mapping[str, str]) -> tuple[list[Turn], Json]:
    turns = turns_in(row.get(columns["conversations"]), columns["conversations"])
    return system_in(row, columns) + turns, None


def _alpaca(row: Row, columns: Mapping[str, str], system: Mapping[str, str]) -> tuple[list[Turn], Json]:
    asked = text_in(row.get(columns["instruction"]), columns["instruction"])
    context = row.get(columns.get("input", ""), "")
    if context:
        asked = f"{asked}\n\n{text_in(context, columns['input'])}"
    answer = row.get(columns["output"])
    if isinstance(answer, dict | list):
        return [
            *system_in(row, columns),
            Turn("user", asked),
            Turn("assistant", json.dumps(answer, ensure_ascii=False)),
        ], answer
    return [*system_in(row, columns), Turn("user", asked), Turn("assistant", text_in(answer, columns["output"]))], None


def _question_answer(row: Row, columns: Mapping[str, str], system: Mapping[str, str]) -> tuple[list[Turn], Json]:
    asked = text_in(row.get(columns["question"]), columns["question"])
    context = row.get(columns.get("context", ""), "")
    if context:
        asked = f"{text_in(context, columns['context'])}\n\n{asked}"
    answers = _answers(row.get(columns["answer"]))
    answer = text_in(answers[0] if answers else [], columns["answer"])
    return [*system_in(row, columns), Turn("user", asked), Turn("assistant", answer)], None


def _answers(given: Json) -> list[Json]:
    """All different right answers, the one to learn first. SQuAD has them as {"text": [...], "answer_start": [...]}."""
    if isinstance(given, dict) and isinstance(given.get("text"), list):
        given = given["text"]
    if not isinstance(given, list):
        return [given]
    return [one for place, one in enumerate(given) if one not in given[:place]]


def _bfcl(row: Row, columns: Mapping[str, str], system: Mapping[str, str]) -> tuple[list[Turn], Json]:
    """Of several right values the first is taken; "" says that an argument may be left out."""
    asked = [turn for part in row[columns["question"]] for turn in (part if isinstance(part, list) else [part])]
    calls = [_call_of(one) for one in row[columns["ground_truth"]]]
    answer = Turn("assistant", "", tuple(calls)) if calls else Turn("assistant", canonical([]))
    return [*turns_in(asked, columns["question"]), answer], None


def _call_of(answer: Json) -> Json:
    """{function: {argument: [values]}} as a call."""
    if not (isinstance(answer, dict) and len(answer) == 1 and all(isinstance(one, dict) for one in answer.values())):
        raise DataError(
            f"expected each possible answer to be {{function: {{argument: [values]}}}}, got {shown(answer)}"
        )
    ((name, arguments),) = answer.items()
    right = {key: [one for one in list_in(values, key) if one != ""] for key, values in arguments.items()}
    return {"name": name, "arguments": {key: some[0] for key, some in right.items() if some}}


def _interaction(row: Row, columns: Mapping[str, str], system: Mapping[str, str]) -> tuple[list[Turn], Json]:
    inner = row.get(columns["execution"])
    if not isinstance(inner, dict):
        raise DataError(f"expected {columns['execution']!r} to be an object, got {shown(inner)}")
    turns = turns_in(inner.get("input_messages"), "execution.input_messages")
    agent = row.get(columns.get("agent", ""))
    role = str(agent.get("role")) if isinstance(agent, dict) else ""
    if role in system:
        turns = [Turn("system", system[role]), *(turn for turn in turns if turn.role != "system")]
    return [*turns, Turn("assistant", text_in(inner.get("output"), "execution.output"))], None


def _text_label(row: Row, columns: Mapping[str, str], system: Mapping[str, str]) -> tuple[list[Turn], Json]:
    given = row.get(columns["label"])
    label = label_text(given)
    if label is None:
        raise DataError(
            f"expected {columns['label']!r} to be a label, which is a text, a whole number, true or false; got {shown(given)}",
            hint="Take the row out, or write the name of its class.",
        )
    return [Turn("user", text_in(row.get(columns["text"]), columns["text"])), Turn("assistant", label)], None


def _plain_text(row: Row, columns: Mapping[str, str], system: Mapping[str, str]) -> tuple[list[Turn], Json]:
    text = text_in(row.get(columns["text"]), columns["text"])
    found = markup.turns(text)
    return (
        [Turn(cast(Role, role), content) for role, content in found[1]] if found else [Turn("assistant", text)]
    ), None


READERS: dict[FormatName, Read] = {
    "prompt-completion": _prompt_completion,
    "messages": _messages,
    "openai": _messages,
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "question-answer": _question_answer,
    "bfcl": _bfcl,
    "interaction": _interaction,
    "text-label": _text_label,
    "text": _plain_text,
}


def _asked(row: Row, columns: Mapping[str, str], turns: Sequence[Turn]) -> str | None:
    """The input by itself, where a row says which part of its prompt's last turn that is; None where it does not."""
    said = row.get(columns["input"]) if {"prompt", "input"} <= columns.keys() else None
    return said if isinstance(said, str) and said and len(turns) > 1 and said in turns[-2].content else None


def _meta(row: Row, layout: Layout) -> dict[str, str]:
    used = set(layout.columns.values())
    inner = row.get("meta")
    meta = {
        key: str(value)
        for key, value in {**row, **(inner if isinstance(inner, dict) else {})}.items()
        if key not in used and key != "id" and isinstance(value, str | int) and len(str(value)) <= LONGEST_META
    }
    if layout.name == "interaction":
        agent, inner = row.get("agent"), row.get("execution")
        meta |= {"agent": str(agent["role"])} if isinstance(agent, dict) and "role" in agent else {}
        meta |= {"status": str(inner["status"])} if isinstance(inner, dict) and "status" in inner else {}
    return meta
