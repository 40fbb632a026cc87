"""Stopping on request. The first signal asks: the stage stops at its next safe point and the run can be continued (exit 75).
The second one ends the process at once (130 after Ctrl-C, 143 after SIGTERM)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

from lathe.errors import Interrupted

if TYPE_CHECKING:
    from lathe.cli.show import Screen

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

_asked: list[int] = []


@contextlib.contextmanager
def listening(screen: Screen) -> Iterator[None]:
    """Installs the handlers for as long as a verb works."""

    def ask(number: int, _: FrameType | None) -> None:
        if _asked:
            screen.restore()
            os._exit(128 + number)
        _asked.append(number)
        screen.stopping()

    _asked.clear()
    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked.clear()


def stop_if_asked(_: Mapping[str, Any] | None = None) -> None:
    """A safe point: raises Interrupted where a signal has asked for an end."""
    if _asked:
        raise Interrupted(
            f"stopped by {signal.Signals(_asked[0]).name}; what was done is kept", hint="The same command continues."
        )
