"""Worked examples in front of a question: which rows they are, and how they are said.

    shots = choose_shots(train, num_tokens, ("kind",), 2)
    with_shots(example, shots)                      # messages: system turn, two questions with their answers, the question

Evaluation asks the few-shot base so, and the plan gives such prompts room.
"""

from __future__ import annotations

from collections.abc import Sequence

from lathe.records import Example, Message


def choose_shots(train: Sequence[Example], num_tokens: Sequence[int], slices: Sequence[str], k: int) -> list[Example]:
    """k training examples that are short and unlike each other, by rule and not by chance.

    num_tokens: shape (rows,), length of each example with its answer. Each choice takes the example that shares the fewest slice
    values with those chosen before; among equals the shortest, then the smallest id.
    """
    chosen: list[int] = []
    seen: list[tuple[str, str | None]] = []
    for _ in range(min(k, len(train))):
        rest = (i for i in range(len(train)) if i not in chosen)
        best = min(rest, key=lambda i: (_shared(train[i], slices, seen), num_tokens[i], train[i].id))
        chosen.append(best)
        seen += [(key, train[best].meta.get(key)) for key in slices]
    return [train[i] for i in chosen]


def _shared(example: Example, slices: Sequence[str], seen: Sequence[tuple[str, str | None]]) -> int:
    return sum(seen.count((key, example.meta.get(key))) for key in slices)


def with_shots(example: Example, shots: Sequence[Example]) -> tuple[Message, ...]:
    """The example's prompt with answered examples before it, each as a user's turn and the assistant's answer.

    The system turn stands once, in front. Where a shot has another one, its text goes to the top of the shot's own turn.
    """
    system = [message for message in example.messages if message.role == "system"]
    turns = []
    for shot in shots:
        own = [message for message in shot.messages if message.role == "system" and message not in system]
        first, *rest = [message for message in shot.messages if message.role != "system"]
        text = "\n\n".join([*(message.content for message in own), first.content])
        turns += [Message(role=first.role, content=text), *rest, Message(role="assistant", content=shot.completion)]
    return (*system, *turns, *(message for message in example.messages if message.role != "system"))
