"""The socket and the server on it: uvicorn, on one event loop, with a limit to how long a request's head may take.

Beyond loopback nothing is served without TLS: the token and the texts would pass in the clear.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
from collections.abc import Generator
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from lathe.errors import InputError
from lathe.processes import heeded_signals
from lathe.serve.settings import Limits, Settings

KEEP_ALIVE_SECONDS = 30
HEAD_BYTES = 16384
LAST_SECONDS = 5
"""What answers under way may still take when the server is asked to stop."""


def bound(settings: Settings) -> socket.socket:
    """A socket that is bound. Raises InputError where the address is taken, or can be reached by others without TLS."""
    if (settings.certificate is None) != (settings.key is None):
        raise InputError("TLS needs a certificate and its key", hint="Give --tls-cert and --tls-key, both.")
    if settings.certificate is None and not _loopback(settings.host):
        raise InputError(
            f"{settings.host} can be reached from other machines, and nothing is served there without TLS",
            hint="Give --tls-cert and --tls-key, or stay on 127.0.0.1 and put a proxy with TLS in front.",
        )
    for path in (settings.certificate, settings.key):
        if path is not None and not path.is_file():
            raise InputError(f"there is no file {path}", hint="--tls-cert and --tls-key name PEM files.")
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    except OSError as error:
        raise InputError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}",
            hint="Choose another with --port; --port 0 takes any free one.",
        ) from error


def _loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def names(settings: Settings, port: int) -> frozenset[str]:
    """What a request's Host may be. A name of its own is taken with the port and, for a proxy in front, without."""
    own = {"localhost", "127.0.0.1", "[::1]"} if _loopback(settings.host) else {_bracketed(settings.host)}
    extra = {name.lower() for name in settings.names}
    return frozenset({f"{name}:{port}" for name in own | extra} | extra)


def address(settings: Settings, port: int) -> str:
    """Where a browser finds it."""
    return f"{scheme(settings)}://{_bracketed(settings.host)}:{port}"


def scheme(settings: Settings) -> str:
    return "https" if settings.certificate is not None else "http"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def run(app: ASGIApp, sock: socket.socket, settings: Settings) -> None:
    """Serves until SIGINT, SIGTERM or SIGHUP; answers under way are finished, for LAST_SECONDS at most."""
    config = uvicorn.Config(
        app,
        http=_Protocol.within(settings.limits),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.limits.connections,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=LAST_SECONDS,
        h11_max_incomplete_event_size=HEAD_BYTES,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
    )
    server = _Server(config)
    asyncio.run(server.serve(sockets=[sock]))


class _Server(uvicorn.Server):
    """A server whose end by a signal is an end as any other."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        def ask(*_: Any) -> None:
            self.force_exit = self.should_exit
            self.should_exit = True

        before = {number: signal.signal(number, ask) for number in heeded_signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Protocol(H11Protocol):
    """A connection that is closed where the head of a request takes too long, or a body that was refused already: slow senders
    would use all connections up. What is left of a refused body is read and thrown away, so that its sender sees the refusal."""

    head_seconds = 10.0
    _deadline: asyncio.TimerHandle | None = None

    @classmethod
    def within(cls, limits: Limits) -> type[_Protocol]:
        """The same with another limit."""
        return type("Protocol", (cls,), {"head_seconds": limits.head_seconds})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def _watch(self) -> None:
        unread = self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE
        if self.transport.is_closing() or not (unread or self.conn.their_state is h11.IDLE):
            self._rest()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self.transport.close)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
