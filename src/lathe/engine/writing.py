"""One answer while it is written.

    entry = Writing.of(index, prompt)           # or of a continuation that is held to a form
    guess = entry.guess(7)                      # tokens that may come next, to be checked in the pass that reads the last one
    entry.go_on(logits_TV, free_T, guess, stop_ids)
    entry.finish(stop_ids)                      # how it ended; None = not yet

What comes next is guessed from the form that the answer probably has (see outline.py), else from what the text said before (see
lookup.py). One that is held to a form (see grammar.py) is made of tokens that the form allows, and may go back (see
backtracking.py); guesses are held to it too.

Shapes: T rows of logits, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from lathe.contracts import Form, Request
from lathe.engine.backtracking import REACH, HeldAnswer
from lathe.engine.lookup import Lookup
from lathe.engine.outline import Way
from lathe.errors import LatheError
from lathe.records import Finish, Prediction
from lathe.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Prompt:
    """Token ids to continue, and by how many at most. form: what the answer is held to; None = it is written freely. outline: what
    it probably looks like (see outline.py); empty = not known."""

    ids: Sequence[int]
    max_new_tokens: int
    form: Form | None = None
    outline: tuple[int, ...] = ()

    @property
    def need(self) -> int:
        """Tokens of cache that the answer can take."""
        return len(self.ids) + self.max_new_tokens


@dataclass(frozen=True)
class Answer:
    """What was written after prompt `index`. ids: without the token that ended it. finish: none = its form could not be followed
    further. seconds: its share of the wall time."""

    index: int
    ids: list[int]
    finish: Finish
    seconds: float


def prediction(answer: Answer, request: Request, tokenizer: Tokenizer) -> Prediction:
    """An answer as what is kept of it."""
    return Prediction(
        id=request.id,
        text=tokenizer.decode(answer.ids),
        finish=answer.finish,
        prompt_tokens=len(request.prompt_ids),
        new_tokens=len(answer.ids),
        seconds=answer.seconds,
    )


@dataclass
class Writing:
    """An answer under way, in one slot."""

    index: int
    limit: int
    prompt: Sequence[int]
    outline: tuple[int, ...]
    held: HeldAnswer | None
    seconds: float = 0.0
    ids: list[int] = field(default_factory=list)
    unread: int = 1
    """How many of the last tokens the model has not read."""
    trust: int = 2
    """Guesses from the text that are worth their place in the next pass."""
    key: int = 0
    """What the noise of an answer that is drawn follows from."""
    lost: bool = False
    """Whether the form could not be followed further."""

    def __post_init__(self) -> None:
        self._look_anew()

    @staticmethod
    def of(index: int, prompt: Prompt, held: HeldAnswer | None = None) -> Writing:
        """An answer to a prompt that is not read yet."""
        return Writing(index, prompt.max_new_tokens, prompt.ids, prompt.outline, held)

    def _look_anew(self) -> None:
        self.lookup = Lookup([*self.prompt, *self.ids])
        self.way = Way(self.outline, self.ids)
        self._from_text = False
        """Whether the last guess was one from the text."""

    @property
    def settled(self) -> Sequence[int]:
        """Its tokens that are not taken back any more."""
        return self.ids if self.held is None else self.ids[:-REACH]

    @property
    def num_read(self) -> int:
        """Tokens of prompt and answer that the model has read."""
        return len(self.prompt) + len(self.ids) - self.unread

    @property
    def room(self) -> int:
        """Tokens that may still be written."""
        return self.limit - len(self.ids)

    def places(self, count: int) -> list[tuple[int, int]]:
        """Where the next tokens stand: the answer's key, and how many come before."""
        return [(self.key, len(self.ids) + ahead) for ahead in range(count)]

    def guess(self, most: int) -> list[int]:
        """Tokens that may come next. From the text twice as many after guesses that were all right, few after wrong ones."""
        most = min(most, self.room - 1)
        guess = self.way.guess(most)
        self._from_text = not guess
        if self._from_text:
            guess = self.lookup.guess(min(most, self.trust))
        return guess if self.held is None else self.held.guess(guess)

    def go_on(self, logits_TV: Tensor, free_T: list[int], guess: Sequence[int], stop_ids: frozenset[int]) -> None:
        """Writes what the model says after the last token, and after each guess as long as they are right.

        logits_TV: after the last token and after each of the guesses; free_T: the likeliest token of each.
        """
        if self.held is None:
            self._write(free_T[: _right(guess, free_T) + 1], len(guess), stop_ids)
            return
        try:
            stay, tokens, self.unread = self.held.go_on(logits_TV, guess)
        except LatheError:
            self.lost = True
            return
        if stay < len(self.ids):
            del self.ids[stay:]
            self._look_anew()
        self._write(tokens, len(guess), stop_ids)

    def _write(self, tokens: Sequence[int], guessed: int, stop_ids: frozenset[int]) -> None:
        """Adds tokens, up to the first that ends the answer: the last one, and before it guesses that were right."""
        if guessed and self._from_text:
            self.trust = 2 * guessed if len(tokens) == guessed + 1 else len(tokens)
        for token in tokens:
            self.ids.append(token)
            self.lookup.append(token)
            self.way.append(token)
            if token in stop_ids:
                break

    def finish(self, stop_ids: frozenset[int]) -> Finish | None:
        """How it came to its end; None = it goes on."""
        if self.lost:
            return "none"
        if self.ids[-1] in stop_ids:
            return "stop"
        return "length" if len(self.ids) >= self.limit else None


def _right(guess: Sequence[int], best: Sequence[int]) -> int:
    """Length of the beginning of `guess` that the model would have written."""
    return next((place for place, token in enumerate(guess) if token != best[place]), len(guess))
