"""An answer that is held to a form, and goes back where the form shows that it went astray.

    held = HeldAnswer(grammars.begin(form))
    held.go_on(logits_TV, guess)               # (tokens of the answer that stay, tokens behind them, last ones not yet read)

The best token that a form allows can lead to where all that the model would say is forbidden. Behind `"unit": "No"` it writes a
comma, the next key of its text stands in the object already, and the form lets it name only a wrong one; a brace and a new object
would have been right, and nearly as likely. So wherever the form refuses the likeliest token, what was nearly written shortly
before is weighed against what is to be written now, and the answer goes on from the better of them.

The loss of a token is by how much its logit is below the largest, allowed or not; of an answer, the sum over its tokens. A token
that the model prefers costs nothing, however unsure it was, so that a long answer is as cheap as a short one. The search is for the
answer of least loss: best-first, over discrepancies from what the model prefers (Harvey and Ginsberg 1995, Limited Discrepancy
Search), each open only for the next `REACH` tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

import torch
from torch import Tensor

from lathe.engine.grammar import Guide

REACH = 32
"""Tokens that an answer goes back at most: what is older stays."""
OTHERS = 2
"""Tokens beside the best one that a place of an answer is open for."""
MOST_RETURNS = 32
"""How often an answer goes back; then it takes the best token that is allowed, as it comes."""


@dataclass(eq=False)
class Step:
    """A token of an answer, behind those before it."""

    token: int
    before: Step | None
    length: int
    """Tokens up to this one."""
    loss: float
    """Of all tokens up to this one."""
    others: tuple[tuple[int, float], ...] = ()
    """Tokens that could have stood here, and the loss of each."""

    def back_to(self, length: int) -> Iterator[Step]:
        """This step and those before it, the last first, down to the one behind `length` tokens."""
        step: Step | None = self
        while step is not None and step.length > length:
            yield step
            step = step.before


class HeldAnswer:
    """An answer under way. returns: whether it may go back; one that is drawn may not."""

    def __init__(self, guide: Guide, *, returns: bool = True) -> None:
        self._guide = guide
        self._last: Step | None = None
        self._open: list[tuple[float, int, Step]] = []
        """Where the answer could go on instead, by loss; of equal ones the first."""
        self._numbers = count()
        self._returns = MOST_RETURNS if returns else 0

    def guess(self, guess: Sequence[int]) -> list[int]:
        """The beginning of a guess that the form lets through."""
        return self._guide.passable(guess)

    def go_on(self, logits_TV: Tensor, guess: Sequence[int]) -> tuple[int, list[int], int]:
        """Takes the next tokens: how many of the answer's stay, those that are written behind them, and how many of these are not
        yet read, always the last.

        logits_TV: after the answer's last token and after each of the guesses. Raises LatheError where the form cannot be followed.
        """
        stay = _length(self._last)
        written: list[int] = []
        for logits_V in logits_TV:
            here = self._next(logits_V)
            best = self._better(here) if here.loss > _loss(here.before) else here
            if best is not here:
                common = _common(best, here)
                self._guide.take_back(here.length - 1 - common)
                new = [step.token for step in best.back_to(common)][::-1]
                for token in new:
                    self._guide.take(token)
                self._last = best
                kept = min(stay, common)
                return kept, written[: common - kept] + new, len(new)
            self._guide.take(here.token)
            self._last = here
            written.append(here.token)
            if self._guide.ends(here.token) or list(guess[: len(written)]) != written:
                break
        return stay, written, 1

    def _next(self, logits_V: Tensor) -> Step:
        """The best token that the form allows."""
        allowed_V = torch.from_numpy(self._guide.allowed()).to(logits_V.device)
        # A model may have more outputs than there are tokens.
        among_V = logits_V[: len(allowed_V)].masked_fill(~allowed_V[: len(logits_V)], float("-inf"))
        best = among_V.topk(min(1 + OTHERS * (self._returns > 0), len(among_V)))
        losses = (logits_V.max() - best.values).tolist()
        token, *others = best.indices.tolist()
        possible = [(other, loss) for other, loss in zip(others, losses[1:], strict=True) if loss < float("inf")]
        return Step(token, self._last, _length(self._last) + 1, _loss(self._last) + losses[0], tuple(possible))

    def _better(self, here: Step) -> Step:
        """Where the answer goes on: here, or from an open step of less loss."""
        if not self._returns:
            return here
        self._push(here)
        for step in here.back_to(here.length - REACH):
            for token, loss in step.others:
                self._push(Step(token, step.before, step.length, _loss(step.before) + loss))
            step.others = ()
        best = heappop(self._open)[2]
        while here.length - _common(best, here) > REACH:
            best = heappop(self._open)[2]
        self._returns -= best is not here
        return best

    def _push(self, step: Step) -> None:
        heappush(self._open, (step.loss, next(self._numbers), step))


def _length(step: Step | None) -> int:
    return 0 if step is None else step.length


def _loss(step: Step | None) -> float:
    return 0.0 if step is None else step.loss


def _common(one: Step | None, other: Step | None) -> int:
    """Tokens that two answers begin with together."""
    while one is not other:
        longer, shorter = (one, other) if _length(one) > _length(other) else (other, one)
        one, other = longer and longer.before, shorter
    return _length(one)
