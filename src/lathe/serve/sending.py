"""How answers go out: as server-sent events, or whole, and neither longer than someone waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from lathe.records import Json, canonical
from lathe.serve.answering import Written
from lathe.serve.log import GONE


class Events(StreamingResponse):
    """Server-sent events. Whatever ends them gives the place back, a reader too who takes nothing until the deadline."""

    def __init__(self, events: AsyncGenerator[bytes], deadline: float, leave: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._events = events
        self._deadline = deadline
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout_at(self._deadline):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            scope["lathe.noted"].status = GONE
        finally:
            await self._events.aclose()
            self._leave()


async def whole(stream: AsyncGenerator[str | Written]) -> Written:
    """The last of what is told: all of it."""
    try:
        async for said in stream:
            if isinstance(said, Written):
                return said
        raise AssertionError("an answer ends with the whole of it")
    finally:
        await stream.aclose()


async def unless_gone(http: Request, work: Awaitable[Written]) -> Written | None:
    """The outcome of some work; None where the client went away, and the work was broken off."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(http))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return None
        return task.result()
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def event(document: dict[str, Json]) -> bytes:
    """One server-sent event."""
    return b"data: " + canonical(document).encode() + b"\n\n"
