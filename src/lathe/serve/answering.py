"""An answer on its way from the model's thread to the one who asked: in pieces, up to a stop text, within its time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from lathe.contracts import Piece, Request, Service
from lathe.errors import LatheError
from lathe.records import Finish, Prediction
from lathe.serve.refusal import Refusal


@dataclass(frozen=True)
class Written:
    """The whole answer."""

    text: str
    finish: Finish
    prompt_tokens: int
    new_tokens: int


async def told(
    service: Service, request: Request, stops: Sequence[str], pieces: bool, deadline: float
) -> AsyncGenerator[str | Written]:
    """The text as it is written, where pieces are wanted, then the whole. deadline: in the event loop's time.

    Raises Refusal 504 where time ran out, 500 where the model broke off. Closing the generator breaks the answer off.
    """
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[Piece | Prediction | LatheError] = asyncio.Queue()

    def hear(said: Piece | Prediction | LatheError) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(heard.put_nowait, said)

    until, said = Until(stops), None
    drop = service.begin(request, hear, pieces or bool(stops))
    try:
        while not isinstance(said, Prediction):
            said = await _next(heard, deadline)
            if isinstance(said, LatheError):
                raise Refusal(500, said.message)
            if isinstance(said, Prediction):
                fresh = until.rest()
            else:
                fresh = until.grow(said.text)
            if fresh and pieces:
                yield fresh
            if until.found and isinstance(said, Piece):
                yield Written(until.text, "stop", len(request.prompt_ids), said.new_tokens)
                return
        text = until.text if stops else said.text
        yield Written(text, said.finish, said.prompt_tokens, said.new_tokens)
    finally:
        if not isinstance(said, Prediction):
            drop()


async def _next(
    heard: asyncio.Queue[Piece | Prediction | LatheError], deadline: float
) -> Piece | Prediction | LatheError:
    try:
        async with asyncio.timeout_at(deadline):
            return await heard.get()
    except TimeoutError:
        raise Refusal(
            504, "the time for this request is over; ask for fewer tokens, or again when less is going on"
        ) from None


class Until:
    """A text that ends where the first of some stop texts begins; what might begin one is kept back until that is known."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._told = 0
        self.text = ""
        self.found = False

    def grow(self, piece: str) -> str:
        """Takes in a piece, and gives out what certainly belongs to the text."""
        self.text += piece
        ends = [at for stop in self._stops if (at := self.text.find(stop, self._told)) >= 0]
        if ends:
            self.text, self.found = self.text[: min(ends)], True
            return self.rest()
        return self._tell(len(self.text) - self._beginning_of_a_stop())

    def rest(self) -> str:
        """What was kept back, at the end."""
        return self._tell(len(self.text))

    def _tell(self, end: int) -> str:
        fresh, self._told = self.text[self._told : end], end
        return fresh

    def _beginning_of_a_stop(self) -> int:
        """Length of the longest end of the text with which a stop text begins."""
        untold = self.text[self._told :]
        lengths = range(min(len(untold), max(map(len, self._stops), default=1) - 1), 0, -1)
        return next((n for n in lengths if any(stop.startswith(untold[-n:]) for stop in self._stops)), 0)
