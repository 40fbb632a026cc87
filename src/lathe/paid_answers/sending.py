"""Requests to an endpoint, sent side by side within the budget; what comes back is kept at once."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from lathe import endpoint as endpoints
from lathe.contracts import Endpoint, Told
from lathe.errors import InputError
from lathe.paid_answers import cost
from lathe.paid_answers.ask import Ask
from lathe.paid_answers.kept import Kept
from lathe.records.paid import PaidAnswer, Prices
from lathe.safe_text import MASK

About = TypeVar("About")

HOPELESS = 8
"""Requests that are refused for what they say, and none answered: all others would be."""


def host_of(endpoint: Endpoint) -> str:
    """The part of an address that names the machine, with its port."""
    return urlsplit(endpoint.url).netloc


class Sending(Generic[About]):
    """Sends requests side by side, within the budget, and keeps what comes back."""

    def __init__(
        self, endpoint: Endpoint, prices: Prices | None, max_cost: float | None, kept: Kept, told: Told
    ) -> None:
        """prices: None = no cost is counted; max_cost: None = there is no limit. told: how many answers there are, and will be."""
        self._endpoint, self._prices, self._max_cost, self._kept, self._told = endpoint, prices, max_cost, kept, told
        self._key = endpoints.key_in(os.environ)
        self._not_taken = 0
        self.asked: list[Ask[About]] = []
        self.used: list[PaidAnswer] = []
        """all answers so far, in the order of their requests"""
        self.sent = 0

    def obtain(self, asks: Sequence[Ask[About]]) -> list[tuple[Ask[About], PaidAnswer]]:
        """The requests with their answers, from before or from now; those that the budget does not allow are left out.

        Raises Unavailable, and InputError where the endpoint takes no request at all.
        """
        requests = [ask.identity(self._endpoint) for ask in asks]
        there = {request: answer for request in requests if (answer := self._kept.of(request)) is not None}
        left = [ask for request, ask in zip(requests, asks, strict=True) if request not in there]
        total = len(self.used) + len(asks)
        while left and (count := cost.within(left, self._prices, self._budget(there.values()))):
            for answer in endpoints.side_by_side(left[:count], self._ask):
                there[answer.request] = answer
                self._count(answer)
                self._told(len(self.used) + len(there), total)
            left = left[count:]
        found = [(ask, there[request]) for request, ask in zip(requests, asks, strict=True) if request in there]
        self.asked += [ask for ask, _ in found]
        self.used += [answer for _, answer in found if not answer.refusal]
        return found

    def spent(self) -> float:
        """What all answers so far did cost."""
        return cost.spent(self._prices, self.used) or 0.0

    def _count(self, answer: PaidAnswer) -> None:
        if not answer.refusal:
            self.sent += 1
            return
        self._not_taken += 1
        if self._not_taken >= HOPELESS and not self.sent:
            raise InputError(
                answer.refusal,
                hint="It took none of the first requests: look at the name of the model, and at the temperature.",
            )

    def _budget(self, more: Iterable[PaidAnswer]) -> float | None:
        """What is left of it; None = there is no limit."""
        if self._max_cost is None:
            return None
        return self._max_cost - (cost.spent(self._prices, [*self.used, *more]) or 0.0)

    def _ask(self, ask: Ask[About], pause: endpoints.Pause) -> PaidAnswer:
        manner = endpoints.Manner(ask.temperature, ask.form)
        try:
            reply = endpoints.chat(self._endpoint, ask.messages, ask.max_new_tokens, self._key, pause, manner)
        except InputError as error:  # of this request: too long, or filtered; the others may be taken
            return self._answer(ask, endpoints.Reply("", "none", 0, 0, 0.0), self._clean(error.message))
        answer = self._answer(ask, reply)
        self._kept.keep(answer)  # before this thread asks on: a kill loses what is under way, and nothing else
        return answer

    def _answer(self, ask: Ask[About], reply: endpoints.Reply, refusal: str = "") -> PaidAnswer:
        text = self._clean(reply.text)
        counted = reply.prompt_tokens > 0 or bool(refusal)
        return PaidAnswer(
            request=ask.identity(self._endpoint),
            host=host_of(self._endpoint),
            model=self._endpoint.model,
            messages=ask.messages,
            text=text,
            finish=reply.finish,
            prompt_tokens=reply.prompt_tokens if counted else math.ceil(cost.read(ask).high),
            new_tokens=reply.new_tokens if counted else math.ceil(cost.tokens(text).high),
            counted=counted,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            answered_as=self._clean(reply.answered_as),
            refusal=refusal,
        )

    def _clean(self, text: str) -> str:
        """A text of the server's without the key, should it say that, and without halves of surrogate pairs: no file holds them."""
        whole = text.encode("utf-8", "replace").decode()
        return whole.replace(self._key, MASK) if self._key else whole
