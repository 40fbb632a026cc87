"""Answers of any OpenAI-compatible endpoint, so that a hosted model is measured on the same items.

What is asked are the same turns; the endpoint's own template and tokenizer make tokens of them. The key is read from OPENAI_API_KEY
and is written nowhere. Four requests are under way at a time, so `seconds` is what each caller waits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from functools import partial

from lathe import endpoint as endpoints
from lathe.contracts import Ability, Endpoint, GenerateSettings, Model, Request, Room, Runtime, Service, Session
from lathe.errors import InputError
from lathe.records import Prediction


class OpenAISession(Session):
    """An endpoint and the key to it."""

    def __init__(self, endpoint: Endpoint, key: str | None) -> None:
        self._endpoint = endpoint
        self._key = key
        self._over = threading.Event()

    def generate(self, requests: Sequence[Request], settings: GenerateSettings) -> Iterator[Prediction]:
        """One prediction a request, as they come. The first one that is refused for good ends it."""
        self._over = threading.Event()
        yield from endpoints.side_by_side(requests, partial(self._ask, settings), self._over)

    def _ask(self, settings: GenerateSettings, request: Request, pause: endpoints.Pause) -> Prediction:
        drawn = endpoints.Manner(settings.temperature, seed=request.seed(settings.seed))
        manner = drawn if settings.temperature else endpoints.GREEDY
        reply = endpoints.chat(self._endpoint, request.messages, request.max_new_tokens, self._key, pause, manner)
        return Prediction(
            id=request.id,
            text=reply.text,
            finish=reply.finish,
            prompt_tokens=reply.prompt_tokens,
            new_tokens=reply.new_tokens,
            seconds=reply.seconds,
            answered_as=reply.answered_as,
        )

    def close(self) -> None:
        """Answers under way are no longer waited for."""
        self._over.set()


class OpenAI(Runtime):
    def ability(self) -> Ability:
        return Ability(True, "needs nothing here; asks an endpoint that is named")

    def open(self, model: Model, threads: int | None = None) -> OpenAISession:
        """Raises InputError where the model names no endpoint, or one that cannot be asked."""
        if model.endpoint is None:
            raise InputError(
                "the runtime openai asks an endpoint, and none was named",
                hint="lathe evaluate RUN --endpoint http://localhost:8000/v1 --model NAME",
            )
        endpoints.check(model.endpoint)
        return OpenAISession(model.endpoint, endpoints.key_in(os.environ))

    def serve(self, model: Model, room: Room, threads: int | None = None) -> Service:
        """Raises InputError: an endpoint is served already."""
        raise InputError("an endpoint is served already: ask it itself", hint="lathe serve RUN serves the tuned model.")


RUNTIME = OpenAI()
