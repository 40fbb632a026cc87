"""The endpoint: routes, and the way of a request through them. Everything is checked before a model is asked.

head      Door: Host, Origin, token, kind of body            421 403 401 415
body      its size and its time                              413 408
request   wire and asking: keys, values, schema, tokens      400 404
place     at most so many at a time                          429
answer    within its time                                    504
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lathe.contracts import Service
from lathe.records import Json
from lathe.serve import asking, replies, wire
from lathe.serve.answering import Written, told
from lathe.serve.asking import Question
from lathe.serve.door import Door
from lathe.serve.log import GONE, Noted, RequestLog
from lathe.serve.refusal import Refusal
from lathe.serve.sending import Events, event, unless_gone, whole
from lathe.serve.settings import Limits, Policy

if TYPE_CHECKING:
    from lathe.ask import Questions

BUG = Refusal(500, "this is a bug in Lathe; the journal of the run has its traceback")
SAFE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
PAGES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
ROUTES = frozenset({*PAGES, "/v1/models", "/v1/chat/completions", "/v1/completions"})


@dataclass(frozen=True)
class Arm:
    """A model that is served. id: what clients call it. about: what the page shows of it."""

    id: str
    name: Literal["tuned", "base"]
    service: Service
    about: dict[str, Json]


class Application:
    """What uvicorn runs: the routes behind the door."""

    def __init__(
        self,
        questions: Questions,
        arms: Sequence[Arm],
        door: Door,
        limits: Limits,
        policy: Policy,
        log: RequestLog,
        report: Callable[[Exception], None],
    ) -> None:
        """report: hears what nobody foresaw; the client is told no more than that it happened."""
        self._questions = questions
        self._arms = {arm.id: arm for arm in arms}
        self._door = door
        self._limits = limits
        self._policy = policy
        self._log = log
        self._report = report
        self._taken = 0
        self._started = int(time.time())
        pages = [Route(path, partial(_page, *PAGES[path]), methods=["GET"]) for path in PAGES]
        app = Starlette(
            routes=[
                *pages,
                Route("/v1/models", self._models, methods=["GET"]),
                Route("/v1/models/{id}", self._model, methods=["GET"]),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/completions", self._completion, methods=["POST"]),
            ],
            exception_handlers={
                Refusal: _refused,
                HTTPException: _no_route,
                ClientDisconnect: _gone_away,
                Exception: _our_bug,
            },
        )
        app.router.redirect_slashes = False  # a redirect has no body, and its reader would be a program
        self._app: ASGIApp = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        noted = scope["lathe.noted"] = Noted(scope["path"] if scope["path"] in ROUTES else "other")

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                noted.status = message["status"]
                message["headers"] = [*message["headers"], *_SAFE]
            await send(message)

        refusal = self._door.refusal(scope["method"], scope["path"], scope["headers"])
        try:
            if refusal is not None:
                await _reply(refusal)(scope, receive, sending)
            else:
                await self._app(scope, receive, sending)
        except Exception as error:
            self._report(error)
        finally:
            self._log.write(noted)

    # what is asked ---------------------------------------------------------------------------

    async def _models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._described(arm) for arm in self._arms.values()]})

    async def _model(self, http: Request) -> Response:
        return JSONResponse(self._described(self._arm(http.path_params["id"])))

    def _described(self, arm: Arm) -> dict[str, Json]:
        return {"id": arm.id, "object": "model", "created": self._started, "owned_by": "lathe", "lathe": arm.about}

    def _arm(self, id: str) -> Arm:
        if id not in self._arms:
            raise Refusal(404, f"there is no such model here; there is {' and '.join(self._arms)}", param="model")
        return self._arms[id]

    async def _chat(self, http: Request) -> Response:
        asked = wire.read(wire.ChatRequest, await self._body(http))

        def question(arm: Arm) -> Question:
            return asking.chat(self._questions, asked, self._limits, arm.service)

        return await self._answer(http, asked, question, replies.Chat)

    async def _completion(self, http: Request) -> Response:
        asked = wire.read(wire.CompletionRequest, await self._body(http))

        def question(_: Arm) -> Question:
            return asking.completion(self._questions, asked, self._limits)

        return await self._answer(http, asked, question, replies.Text)

    async def _body(self, http: Request) -> bytes:
        """Raises Refusal 413 where it is too large, 408 where it comes too slowly."""
        most = self._limits.body_bytes
        too_large = Refusal(413, f"a request may have {most:,} bytes")
        if int(http.headers.get("content-length", 0)) > most:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.head_seconds):
                async for piece in http.stream():
                    body += piece
                    if len(body) > most:
                        raise too_large
        except TimeoutError:
            raise Refusal(408, "the body did not come in time") from None
        return bytes(body)

    # how it is answered ----------------------------------------------------------------------

    async def _answer(
        self,
        http: Request,
        asked: wire.Common,
        make: Callable[[Arm], Question],
        shapes: type[replies.Chat] | type[replies.Text],
    ) -> Response:
        deadline = asyncio.get_running_loop().time() + self._limits.seconds
        arm = self._arm(asked.model)
        noted: Noted = http.scope["lathe.noted"]
        noted.model, noted.stream = arm.name, bool(asked.stream)
        self._take_place()
        try:
            # Templates are rendered in a child process, and that takes its time.
            question = await asyncio.to_thread(make, arm)
            shape = shapes(question.request.id, int(time.time()), arm.id)
            pieces = bool(asked.stream) and not replies.holds_back(question, self._questions.task, self._policy)
            stream = told(arm.service, question.request, asked.stops, pieces, deadline)
            if asked.stream:
                usage = bool(asked.stream_options and asked.stream_options.include_usage)
                events = self._events(stream, question, shape, usage, noted)
                return Events(events, deadline + self._limits.head_seconds, self._leave_place)
            written = await unless_gone(http, whole(stream))
        except BaseException:
            self._leave_place()
            raise
        self._leave_place()
        if written is None:
            return Response(status_code=GONE)
        said = self._judged(written, question, noted)
        return JSONResponse(shape.whole(said, written))

    def _take_place(self) -> None:
        most = self._limits.at_once + self._limits.waiting
        if self._taken >= most:
            raise Refusal(429, f"{most} requests are being answered; come again", headers={"Retry-After": "1"})
        self._taken += 1

    def _leave_place(self) -> None:
        self._taken -= 1

    def _judged(self, written: Written, question: Question, noted: Noted) -> replies.Verdict:
        said = replies.verdict(written, question, self._questions.task, self._questions.setup, self._policy)
        noted.prompt_tokens, noted.new_tokens = written.prompt_tokens, written.new_tokens
        noted.finish, noted.risk, noted.kept = said.finish, said.risk, said.kept
        return said

    async def _events(
        self,
        stream: AsyncGenerator[str | Written],
        question: Question,
        shape: replies.Chat | replies.Text,
        usage: bool,
        noted: Noted,
    ) -> AsyncGenerator[bytes]:
        """The answer as server-sent events; a fault after the first is told as one."""
        first = shape.begin()
        if first is not None:
            yield event(first)
        written: Written | None = None
        try:
            async for told_now in stream:
                if isinstance(told_now, Written):
                    written = told_now
                else:
                    noted.first_seconds = noted.first_seconds or noted.seconds
                    yield event(shape.piece(told_now))
        except Refusal as refusal:
            noted.status = refusal.status
            yield event(refusal.body())
            return
        except Exception as error:
            self._report(error)
            noted.status = BUG.status
            yield event(BUG.body())
            return
        finally:
            await stream.aclose()
        assert written is not None
        said = self._judged(written, question, noted)
        held = shape.judged(said) if noted.first_seconds is None else None
        if held is not None:
            noted.first_seconds = noted.seconds
            yield event(held)
        yield event(shape.end(said))
        if usage:
            yield event(shape.usage(written))
        yield b"data: [DONE]\n\n"


# ------------------------------------------------------------------------------------------ other answers

_SAFE = [(name.lower().encode(), value.encode()) for name, value in SAFE_HEADERS.items()]


async def _page(name: str, kind: str, _: Request) -> Response:
    return Response(files("lathe.serve").joinpath("page", name).read_bytes(), media_type=kind)


def _reply(refusal: Refusal) -> Response:
    return JSONResponse(refusal.body(), refusal.status, dict(refusal.headers))


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _reply(error)


async def _no_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {
        404: f"there is no such page here; there is {', '.join(sorted(ROUTES))}",
        405: "this page is not asked in this way",
    }
    return _reply(
        Refusal(error.status_code, words.get(error.status_code, error.detail), headers=dict(error.headers or {}))
    )


async def _gone_away(_: Request, __: Exception) -> Response:
    return Response(status_code=GONE)


async def _our_bug(_: Request, __: Exception) -> Response:
    return _reply(BUG)
