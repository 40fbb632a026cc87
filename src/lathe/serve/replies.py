"""Answers in the shapes of OpenAI's API. Pure: the finished text is judged here, and nothing is sent.

What Lathe says besides stands under `lathe`: which prompt was used, whether the form that was asked for was kept, and for shell
commands how dangerous they are. An answer that may not be given has the reason as `refusal` and no content. Calls of functions
that were offered are told as calls; an answer in which none can be read stays the text that it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lathe.contracts import Task
from lathe.records import Finish, Json, TaskSetup
from lathe.serve.answering import Written
from lathe.serve.asking import Question
from lathe.serve.settings import Policy
from lathe.shell.judge import judge

Ending = Finish | Literal["content_filter", "tool_calls"]


@dataclass(frozen=True)
class Verdict:
    """A finished answer, judged. refusal: why its content is withheld, None where it is given. calls: in place of content."""

    content: str
    refusal: str | None
    finish: Ending
    notes: Mapping[str, Json]
    risk: int | str | None = None
    kept: bool | None = None
    calls: tuple[Mapping[str, Any], ...] = ()


def holds_back(question: Question, task: Task, policy: Policy) -> bool:
    """Whether no word may be told before the whole answer was judged."""
    judged = task.answers == "command" and policy == "block"
    return question.promise.strict or question.offer is not None or judged


def verdict(written: Written, question: Question, task: Task, setup: TaskSetup, policy: Policy) -> Verdict:
    """What is said about an answer, and whether it is given."""
    notes: dict[str, Json] = {"prompt": question.prompt}
    if question.schema is not None:
        notes["schema"] = question.schema
    refusal: str | None = None
    ending: Ending = written.finish
    kept: bool | None = None
    level: int | str | None = None
    calls = task.value(written.text, question.example, setup) if question.offer is not None else None
    if question.promise.asked:
        offer = question.offer
        problem = question.promise.problem(written.text) if offer is None else offer.problem(calls)
        kept = not problem
        notes["format"] = {
            "constrained": question.promise.constrained,
            "left_out": list(question.promise.left_out),
            "kept": kept,
            "problem": problem or None,
        }
        if problem and question.promise.strict:
            cut = ", and it was cut at the limit of tokens" if written.finish == "length" else ""
            refusal = f"{problem}{cut}"
    command = task.value(written.text, question.example, setup) if task.answers == "command" else None
    if isinstance(command, str):
        found = judge(command)
        level = found.level
        notes["risk"] = {"level": level, "class": found.kind, "why": found.why, "safer": found.safer or None}
        if found.dangerous and policy == "block":
            refusal, ending = f"the command was blocked: {found.why}", "content_filter"
    if calls and not refusal:
        return Verdict("", None, "tool_calls", notes, level, kept, tuple(calls))
    return Verdict("" if refusal else written.text, refusal, ending, notes, level, kept)


def usage(written: Written) -> dict[str, Json]:
    """Tokens read and written."""
    total = written.prompt_tokens + written.new_tokens
    return {"prompt_tokens": written.prompt_tokens, "completion_tokens": written.new_tokens, "total_tokens": total}


@dataclass(frozen=True)
class Chat:
    """Answers of /v1/chat/completions."""

    id: str
    created: int
    model: str

    def whole(self, said: Verdict, written: Written) -> dict[str, Json]:
        content = None if said.refusal or said.calls else said.content
        message = {"role": "assistant", "content": content, "refusal": said.refusal, **self._calls(said)}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": said.finish}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": usage(written),
            "lathe": dict(said.notes),
        }

    def begin(self) -> dict[str, Json]:
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, text: str) -> dict[str, Json]:
        return self._chunk({"content": text})

    def judged(self, said: Verdict) -> dict[str, Json] | None:
        """What was held back until it was judged, in one piece; None where nothing is given."""
        if said.calls:
            calls = self._calls(said)["tool_calls"]
            return self._chunk({"tool_calls": [{"index": place, **call} for place, call in enumerate(calls)]})
        return self.piece(said.content) if said.content else None

    def end(self, said: Verdict) -> dict[str, Json]:
        delta = {"refusal": said.refusal} if said.refusal else {}
        return {**self._chunk(delta, said.finish), "lathe": dict(said.notes)}

    def _calls(self, said: Verdict) -> dict[str, Any]:
        """tool_calls, where there are any. Arguments are a text in this API."""
        calls = [
            {
                "id": f"call_{self.id}_{place}",
                "type": "function",
                "function": {
                    "name": call["name"],
                    "arguments": json.dumps(call["arguments"], ensure_ascii=False),
                },
            }
            for place, call in enumerate(said.calls)
        ]
        return {"tool_calls": calls} if calls else {}

    def usage(self, written: Written) -> dict[str, Json]:
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage(written)}

    def _chunk(self, delta: dict[str, Json], finish: Ending | None = None) -> dict[str, Json]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Json]:
        return {"id": f"chatcmpl-{self.id}", "object": kind, "created": self.created, "model": self.model}


@dataclass(frozen=True)
class Text:
    """Answers of /v1/completions; the same calls as `Chat`."""

    id: str
    created: int
    model: str

    def whole(self, said: Verdict, written: Written) -> dict[str, Json]:
        return {**self._chunk(said.content, said.finish), "usage": usage(written), "lathe": self._notes(said)}

    def begin(self) -> dict[str, Json] | None:
        """Nothing stands before the text."""
        return None

    def piece(self, text: str) -> dict[str, Json]:
        return self._chunk(text)

    def judged(self, said: Verdict) -> dict[str, Json] | None:
        return self.piece(said.content) if said.content else None

    def end(self, said: Verdict) -> dict[str, Json]:
        return {**self._chunk("", said.finish), "lathe": self._notes(said)}

    def usage(self, written: Written) -> dict[str, Json]:
        return {**self._head(), "choices": [], "usage": usage(written)}

    def _notes(self, said: Verdict) -> dict[str, Json]:
        """This shape has no other place for a refusal."""
        return {**said.notes, "refusal": said.refusal} if said.refusal else dict(said.notes)

    def _chunk(self, text: str, finish: Ending | None = None) -> dict[str, Json]:
        return {**self._head(), "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}]}

    def _head(self) -> dict[str, Json]:
        return {"id": f"cmpl-{self.id}", "object": "text_completion", "created": self.created, "model": self.model}
