"""Answers of any OpenAI-compatible endpoint, so that a hosted model is measured on the same items.

What is asked are the same turns; the endpoint's own template and tokenizer make tokens of them. The key is read from OPENAI_API_KEY
and is written nowhere. Four requests are under way at a time, so `seconds` is what each caller waits.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator, Sequence

from lathe import endpoint as endpoints
from lathe.contracts import Ability, Endpoint, GenerateSettings, Model, Request, Room, Runtime, Service, Session
from lathe.errors import InputError
from lathe.records import Prediction

AT_ONCE = 4
KEY = "OPENAI_API_KEY"


class OpenAISession(Session):
    """An endpoint and the key to it."""

    def __init__(self, endpoint: Endpoint, key: str | None) -> None:
        self._endpoint = endpoint
        self._key = key
        self._over = threading.Event()

    def generate(self, requests: Sequence[Request], settings: GenerateSettings) -> Iterator[Prediction]:
        """One prediction a request, as they come. The first one that is refused for good ends it."""
        over = self._over = threading.Event()
        left: queue.SimpleQueue[Request] = queue.SimpleQueue()
        done: queue.SimpleQueue[Prediction | Exception] = queue.SimpleQueue()
        for request in requests:
            left.put(request)
        # Daemons: who stops a run does not wait for a server that takes minutes.
        for _ in range(min(AT_ONCE, len(requests))):
            threading.Thread(target=self._work, args=(left, done, over), daemon=True).start()
        try:
            for _ in requests:
                answer = done.get()
                if isinstance(answer, Exception):
                    raise answer
                yield answer
        finally:
            over.set()

    def _work(
        self,
        left: queue.SimpleQueue[Request],
        done: queue.SimpleQueue[Prediction | Exception],
        over: threading.Event,
    ) -> None:
        while not over.is_set():
            try:
                done.put(self._ask(left.get_nowait(), over))
            except queue.Empty:
                return
            except Exception as error:
                done.put(error)
                return

    def _ask(self, request: Request, over: threading.Event) -> Prediction:
        reply = endpoints.chat(self._endpoint, request.messages, request.max_new_tokens, self._key, over.wait)
        return Prediction(
            id=request.id,
            text=reply.text,
            finish=reply.finish,
            prompt_tokens=reply.prompt_tokens,
            new_tokens=reply.new_tokens,
            seconds=reply.seconds,
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
        return OpenAISession(model.endpoint, os.environ.get(KEY))

    def serve(self, model: Model, room: Room, threads: int | None = None) -> Service:
        """Raises InputError: an endpoint is served already."""
        raise InputError("an endpoint is served already: ask it itself", hint="lathe serve RUN serves the tuned model.")


RUNTIME = OpenAI()
