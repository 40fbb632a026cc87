"""Answers in the shapes of OpenAI's API. Pure: the finished text is judged here, and nothing is sent.

What Lathe says besides stands under `lathe`: which prompt was used, whether the form that was asked for was kept, and for shell
commands how dangerous they are. An answer that may not be given has the reason as `refusal` and no content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lathe.contracts import Task
from lathe.records import Finish, Json, TaskSetup
from lathe.serve.answering import Written
from lathe.serve.asking import Question
from lathe.serve.settings import Policy
from lathe.shell.judge import judge

Ending = Finish | Literal["content_filter"]


@dataclass(frozen=True)
class Verdict:
    """A finished answer, judged. refusal: why its content is withheld, None where it is given."""

    content: str
    refusal: str | None
    finish: Ending
    notes: Mapping[str, Json]
    risk: int | str | None = None
    kept: bool | None = None


def holds_back(question: Question, task: Task, policy: Policy) -> bool:
    """Whether no word may be told before the whole answer was judged."""
    return question.promise.strict or (task.answers == "command" and policy == "block")


def verdict(written: Written, question: Question, task: Task, setup: TaskSetup, policy: Policy) -> Verdict:
    """What is said about an answer, and whether it is given."""
    notes: dict[str, Json] = {"prompt": question.prompt}
    if question.schema is not None:
        notes["schema"] = question.schema
    refusal: str | None = None
    ending: Ending = written.finish
    kept: bool | None = None
    level: int | str | None = None
    if question.promise.asked:
        problem = question.promise.problem(written.text)
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
        content = None if said.refusal else said.content
        message = {"role": "assistant", "content": content, "refusal": said.refusal}
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

    def end(self, said: Verdict) -> dict[str, Json]:
        delta = {"refusal": said.refusal} if said.refusal else {}
        return {**self._chunk(delta, said.finish), "lathe": dict(said.notes)}

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
