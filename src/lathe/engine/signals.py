"""Stopping at a safe point when a signal asks for it.

    with stop_requested() as asked:
        while not done:
            step()
            if asked():
                checkpoint(); raise Interrupted(...)

The first SIGINT, SIGTERM or SIGHUP is only noted. The second ends the process at once with 128 + its number; nothing is
half-written then, because files appear by renaming only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from lathe.processes import heeded_signals


@contextlib.contextmanager
def stop_requested() -> Iterator[Callable[[], str | None]]:
    """Yields a function that names the signal that came, or None. Outside the main thread no signal is heeded."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)

    def asked() -> str | None:
        return signal.Signals(received[0]).name if received else None

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, note) for number in heeded_signals()}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
