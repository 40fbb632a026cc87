"""A document under construction: text with a weight for every stretch.

    draft = Draft()
    draft.say("code: ", CUE); draft.say("QX-4471", FREE); draft.say(" => QX-4471", ANSWER)

Weights say how much of the loss a stretch carries. Random material cannot be predicted, so learning from it teaches
little beyond the words; what follows from the context teaches copying and rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

FREE = 0.1
"""Invented material: nothing in the context says what comes next."""
CUE = 0.2
"""Instructions and frames: a few fixed forms, quickly learned."""
ECHO = 0.6
"""Material that partly repeats what stands above, such as the second worked example of one schema."""
ANSWER = 1.0
"""Follows from the context."""

TURN_START, TURN_END, SEPARATOR = "<|im_start|>", "<|im_end|>", "<|endoftext|>"


@dataclass
class Draft:
    """Text in pieces, each with its loss weight."""

    pieces: list[tuple[str, float]] = field(default_factory=list)

    def say(self, text: str, weight: float) -> None:
        """Append `text`; an empty text is dropped."""
        if text:
            self.pieces.append((text, weight))

    def ask(self, text: str, weight: float = FREE) -> None:
        """Append a user turn and open the assistant's."""
        self.say(f"{TURN_START}user\n", CUE)
        self.say(text, weight)
        self.say(f"{TURN_END}\n{TURN_START}assistant\n", CUE)

    def answer(self, text: str, weight: float = ANSWER) -> None:
        """Append the assistant's text with its end token; the line break after the token carries no loss."""
        self.say(f"{text}{TURN_END}", weight)
        self.say("\n", 0.0)

    @property
    def length(self) -> int:
        """Characters so far."""
        return sum(len(text) for text, _ in self.pieces)


def one_turn(question: str, answer: str, rng: Random) -> Draft:
    """The question and its answer as a chat or in one of the plain layouts."""
    draft = Draft()
    draw = rng.random()
    if draw < 0.66:
        draft.ask(question)
        draft.answer(answer)
    else:
        left, right = rng.choice(
            (
                ("Input: ", "\nOutput: "),
                ("", "\n=> "),
                ("Text:\n", "\nJSON:\n"),
                ("", "\n\n"),
                ("### in\n", "\n### out\n"),
                ("", "\n---\n"),
            )
        )
        draft.say(left, CUE)
        draft.say(question, FREE)
        draft.say(right, CUE)
        draft.say(answer, ANSWER)
        draft.say("\n", CUE)
    return draft
