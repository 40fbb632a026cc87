"""A runtime without a model, for tests and for trying out a task: it answers from a rule or a table.

    session = answering(lambda request: request.messages[-1].content.upper()).open(model)
    session = from_table({"row-1": "yes"}).open(model)          # by request id; other requests get no answer

Found as the runtime `fake`, it answers every prompt with the text of its last turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from lathe.contracts import Ability, GenerateSettings, Heard, Model, Piece, Request, Room, Runtime, Service, Session
from lathe.records import Prediction

Rule = Callable[[Request], str | None]
"""Request in, answer out; None = the model wrote nothing."""


class FakeSession(Session):
    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def generate(self, requests: Sequence[Request], settings: GenerateSettings) -> Iterator[Prediction]:
        """Words stand for tokens: an answer with more words than `max_new_tokens` is cut there and finishes with `length`."""
        for request in requests:
            text = self._rule(request)
            words = (text or "").split(" ")
            cut = text is not None and len(words) > request.max_new_tokens
            yield Prediction(
                id=request.id,
                text=" ".join(words[: request.max_new_tokens]),
                finish="none" if text is None else "length" if cut else "stop",
                prompt_tokens=len(request.prompt_ids),
                new_tokens=min(len(words), request.max_new_tokens) if text else 0,
            )

    def close(self) -> None:
        """Nothing to free."""


class FakeService(Service):
    """Answers at once, word by word."""

    def __init__(self, rule: Rule) -> None:
        self._session = FakeSession(rule)

    def begin(self, request: Request, heard: Heard, pieces: bool) -> Callable[[], None]:
        (answer,) = self._session.generate([request], GenerateSettings())
        words = re.findall(r"\s*\S+|\s+$", answer.text) if pieces else []
        for count, word in enumerate(words, start=1):
            heard(Piece(word, count))
        heard(answer)
        return lambda: None

    def close(self) -> None:
        """Nothing to free."""


class Fake(Runtime):
    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def ability(self) -> Ability:
        return Ability(True, "needs nothing")

    def open(self, model: Model, threads: int | None = None) -> FakeSession:
        """The same session for every model: nothing is loaded."""
        return FakeSession(self._rule)

    def serve(self, model: Model, room: Room, threads: int | None = None) -> FakeService:
        """As `open`."""
        return FakeService(self._rule)


def answering(rule: Rule) -> Fake:
    """A runtime that answers by a rule."""
    return Fake(rule)


def from_table(answers: Mapping[str, str]) -> Fake:
    """A runtime that answers by request id."""
    return Fake(lambda request: answers.get(request.id))


RUNTIME = Fake(lambda request: request.messages[-1].content if request.messages else None)
