"""Stopping on request.

The first signal asks: the stage stops at its next safe point, or where it is after GRACE_SECONDS. Everything that was done is kept,
since files appear by renaming only, and the same command continues (exit 75). The second signal ends the process at once (130 after
Ctrl-C, 143 after SIGTERM). Training has handlers of its own (engine.signals), for its safe point comes with a checkpoint.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from lathe.errors import Interrupted
from lathe.processes import heeded_signals

if TYPE_CHECKING:
    from lathe.cli.show import Screen

GRACE_SECONDS = 3.0
Handler = Callable[[int, FrameType | None], None]

_asked: list[int] = []


@contextlib.contextmanager
def listening(screen: Screen) -> Iterator[None]:
    """Installs the handlers for as long as a verb works; raises Interrupted from the block where a signal asked for an end."""

    def ask(number: int, _: FrameType | None) -> None:
        if _asked:
            screen.restore()
            os._exit(128 + number)
        _asked.append(number)
        screen.stopping()
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)
        else:  # Windows has no timer: there is no grace
            raise KeyboardInterrupt

    def enough(_: int, __: FrameType | None) -> None:
        # No Exception: nobody who words errors anew may take it for one of a library.
        raise KeyboardInterrupt

    handlers: dict[int, Handler] = dict.fromkeys(heeded_signals(), ask)
    if hasattr(signal, "SIGALRM"):
        handlers[signal.SIGALRM] = enough
    _asked.clear()
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    except KeyboardInterrupt:
        raise _interrupted() from None
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked.clear()


def stop_if_asked() -> None:
    """A safe point: raises Interrupted where a signal has asked for an end."""
    if _asked:
        raise _interrupted()


def _interrupted() -> Interrupted:
    name = signal.Signals(_asked[0]).name if _asked else "an interrupt"
    return Interrupted(f"stopped by {name}; what was done is kept", hint="The same command continues.")
