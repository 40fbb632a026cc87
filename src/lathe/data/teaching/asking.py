"""Requests to a teacher, sent side by side within the budget; what comes back is kept at once."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from lathe import endpoint as endpoints
from lathe.contracts import Endpoint, Progress
from lathe.data.teaching import cost
from lathe.data.teaching.answers import Kept
from lathe.data.teaching.asks import Ask
from lathe.records.teacher import TeacherAnswer, TeacherSpec
from lathe.safe_text import MASK


def host_of(endpoint: Endpoint) -> str:
    """The part of an address that names the machine, with its port."""
    return urlsplit(endpoint.url).netloc


class Asking:
    """Sends requests side by side, within the budget, and keeps what comes back."""

    def __init__(self, endpoint: Endpoint, spec: TeacherSpec, kept: Kept, progress: Progress) -> None:
        self._endpoint, self._spec, self._kept, self._progress = endpoint, spec, kept, progress
        self._key = os.environ.get(endpoints.KEY)
        self.asked: list[Ask] = []
        self.used: list[TeacherAnswer] = []
        """all answers so far, in the order of their requests"""
        self.sent = 0

    def obtain(self, asks: Sequence[Ask]) -> list[tuple[Ask, TeacherAnswer]]:
        """The requests with their answers, from before or from now; those that the budget does not allow are left out."""
        left = [ask for ask in asks if self._kept.of(ask.identity(self._endpoint)) is None]
        before = [answer for ask in asks if (answer := self._kept.of(ask.identity(self._endpoint))) is not None]
        came: list[TeacherAnswer] = []
        total = len(self.used) + len(asks)
        while left and (count := cost.within(left, self._spec.price_per_million, self._budget(before, came))):
            for answer in endpoints.side_by_side(left[:count], self._ask):
                self._kept.keep(answer)
                came.append(answer)
                self.sent += 1
                done = len(self.used) + len(before) + len(came)
                self._progress({"stage": "teach", "done": done, "total": total, "unit": "answer"})
            left = left[count:]
        pairs = [(ask, self._kept.of(ask.identity(self._endpoint))) for ask in asks]
        found = [(ask, answer) for ask, answer in pairs if answer is not None]
        self.asked += [ask for ask, _ in found]
        self.used += [answer for _, answer in found]
        return found

    def _budget(self, *more: Sequence[TeacherAnswer]) -> float | None:
        """What is left of it; None = there is no limit."""
        if self._spec.max_cost is None:
            return None
        done = [*self.used, *(answer for answers in more for answer in answers)]
        return self._spec.max_cost - (cost.spent(self._spec.price_per_million, done) or 0.0)

    def _ask(self, ask: Ask, pause: endpoints.Pause) -> TeacherAnswer:
        manner = endpoints.Manner(ask.temperature, ask.form)
        reply = endpoints.chat(self._endpoint, ask.messages, ask.max_new_tokens, self._key, pause, manner)
        text = reply.text.encode("utf-8", "replace").decode()  # JSON's escapes can hold half of a surrogate pair
        text = text.replace(self._key, MASK) if self._key else text
        counted = reply.prompt_tokens > 0
        return TeacherAnswer(
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
        )

    def spent(self) -> float:
        """What all answers so far did cost."""
        return cost.spent(self._spec.price_per_million, self.used) or 0.0
