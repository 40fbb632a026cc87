"""What a model is asked: the same tokens for base and tuned, examples in front for the few-shot base, and how long it may answer.

Nothing is cut to make it fit. A question that leaves no room for an answer is not asked, a right answer that is longer than what
the model may write is counted, and both are findings of the report.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lathe.contracts import Request
from lathe.records import DataFinding, Example, Message
from lathe.text.shots import with_shots

HEADROOM = 1.25
"""A wrong answer may be this much longer than the longest right one before it is cut; measured habit, not law."""
SPARE_TOKENS = 16
ENOUGH_ALIKE = 5
"""Fewest rows with like slice values that get a limit of their own: fewer would give the length of the answer away."""

Render = Callable[[Sequence[Sequence[Message]]], list[list[int]]]
"""Turns conversations into prompt ids, one list for each."""


@dataclass(frozen=True)
class Asked:
    """The requests of one arm on one side, in the order of its rows, and what has to be said about them."""

    requests: tuple[Request, ...]
    unasked: tuple[str, ...]
    """Ids of the rows whose prompt leaves no room for an answer."""
    prompt_hash: str
    findings: tuple[DataFinding, ...]


@dataclass(frozen=True)
class AnswerLimits:
    """The most new tokens that a model may write: for rows with like slice values, and for all others."""

    otherwise: int
    keys: tuple[str, ...] = ()
    by_slices: Mapping[tuple[str | None, ...], int] = field(default_factory=dict)

    def of(self, example: Example) -> int:
        """The limit for one row."""
        return self.by_slices.get(_slice_values(example, self.keys), self.otherwise)


def answer_limits(
    examples: Sequence[Example], completion_tokens: Sequence[int], slices: Sequence[str], asked_for: int | None
) -> AnswerLimits:
    """The recipe's limit, else 1.25 times the longest right answer (end token included) and 16 more, among the rows of all sides.

    completion_tokens: shape (examples,). slices: keys whose values the question tells; by one that follows from the right answer, a
    call where none is due would be cut before it is a wrong one. Rows with the same values have a limit of their own where there
    are ENOUGH_ALIKE of them: a base that never stops is then not led through six hundred tokens where right answers have sixty.
    """
    if asked_for:
        return AnswerLimits(asked_for)
    alike: dict[tuple[str | None, ...], list[int]] = defaultdict(list)
    for example, tokens in zip(examples, completion_tokens, strict=True):
        alike[_slice_values(example, slices)].append(tokens)
    by_slices = {values: _limit(tokens) for values, tokens in alike.items() if len(tokens) >= ENOUGH_ALIKE}
    return AnswerLimits(_limit(completion_tokens), tuple(slices), by_slices)


def _limit(completion_tokens: Sequence[int]) -> int:
    return math.ceil(HEADROOM * max(completion_tokens, default=0)) + SPARE_TOKENS


def _slice_values(example: Example, slices: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(example.meta.get(key) for key in slices)


def shots_that_fit(
    shots: Sequence[Example], questions: Sequence[Example], render: Render, limits: AnswerLimits, context: int | None
) -> list[Example]:
    """As many of the shots, in order, as leave room for every question and its answer in the model's context."""
    for k in range(len(shots), 0, -1):
        prompts = render([with_shots(example, shots[:k]) for example in questions])
        longest = max(
            (len(ids) + limits.of(example) for ids, example in zip(prompts, questions, strict=True)), default=0
        )
        if context is None or longest <= context:
            return list(shots[:k])
    return []


def ask(
    examples: Sequence[Example],
    shots: Sequence[Example],
    completion_tokens: Sequence[int],
    render: Render,
    limits: AnswerLimits,
    context: int | None,
) -> Asked:
    """The requests for all examples of a side. completion_tokens: shape (examples,), tokens of each right answer."""
    conversations = [with_shots(example, shots) for example in examples]
    prompts = render(conversations)
    rooms = [
        limits.of(example) if context is None else min(limits.of(example), context - len(ids))
        for example, ids in zip(examples, prompts, strict=True)
    ]
    requests = tuple(
        Request(example.id, messages, tuple(ids), room)
        for example, messages, ids, room in zip(examples, conversations, prompts, rooms, strict=True)
        if room > 0
    )
    unasked = tuple(example.id for example, room in zip(examples, rooms, strict=True) if room <= 0)
    cut = [e.id for e, room, gold in zip(examples, rooms, completion_tokens, strict=True) if 0 < room < gold]
    longest = max((request.max_new_tokens for request in requests), default=0)
    findings = (*_unasked(unasked, context), *_cut(cut, longest, context))
    return Asked(requests, unasked, _hash(examples, prompts), findings)


def _hash(examples: Sequence[Example], prompts: Sequence[Sequence[int]]) -> str:
    """Over the ids that the model reads, item by item: tokenizer, template, instruction and shots all end up in them."""
    sha = hashlib.sha256()
    for example, ids in zip(examples, prompts, strict=True):
        sha.update(example.id.encode() + b"\0" + np.asarray([len(ids), *ids], dtype="<i4").tobytes())
    return sha.hexdigest()


def _unasked(ids: Sequence[str], context: int | None) -> list[DataFinding]:
    message = f"{len(ids)} prompts fill the model's context of {context} tokens; they were not asked and count as wrong"
    hint = "Shorten the documents, leave the schema out of the prompt, or take a base with a longer context."
    return _finding("prompt_too_long", message, hint, ids)


def _cut(ids: Sequence[str], longest: int, context: int | None) -> list[DataFinding]:
    limit = f"at most {longest} new tokens" + (f" within a context of {context}" if context else "")
    message = f"{len(ids)} right answers are longer than the model may write ({limit}); nothing can get them right"
    hint = "Raise evaluate.max_new_tokens, or leave it out: Lathe then takes it from the longest right answer."
    return _finding("answer_cut", message, hint, ids)


def _finding(id: str, message: str, hint: str, items: Sequence[str]) -> list[DataFinding]:
    """An error about some items; nothing where there are none."""
    if not items:
        return []
    examples = tuple(items[:10])
    return [DataFinding(id=id, level="error", message=message, hint=hint, examples=examples, count=len(items))]


def fewer_shots(shown: int, wanted: int) -> list[DataFinding]:
    """A warning where fewer examples could be shown than the recipe asks for."""
    if shown >= wanted:
        return []
    message = (
        f"{shown} of {wanted} examples were shown to the few-shot base: there are no more, or no more fit its context"
    )
    return [DataFinding(id="fewer_shots", level="warning", message=message, count=wanted - shown)]
