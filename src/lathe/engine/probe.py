"""The child process of `lathe doctor --probe`: `python -m lathe.engine.probe` prints what `step_rates` measured, as JSON.

What its helpers need is loaded while it loads the same.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from multiprocessing.connection import Connection

from lathe.garbage import left_at_exit, seldom_collected
from lathe.processes import beside, load_ahead, usable_cores

MOST_PROCESSES = 8
"""Processes that share a step of one thread; more cores than that share no more."""


def main() -> None:
    """Measures and prints."""
    left_at_exit()
    load_ahead("lathe.engine.helpers")
    with contextlib.ExitStack() as ends:
        # peft would load it for any model, which takes a second; the helpers let it, as those of a training do.
        sys.modules["bitsandbytes"] = None  # type: ignore[assignment]  # what Python itself writes for "cannot be imported"
        with seldom_collected():
            from lathe.engine import step_rates
            from lathe.engine.devices import pick_device

        device = pick_device()
        step_rates.draw(device)
        count = min(usable_cores(), MOST_PROCESSES) - 1 if device.type == "cpu" else 0
        lines = [ends.enter_context(beside(serve)) for _ in range(count)]
        for line in lines:
            line.recv()  # that it has loaded
        found = step_rates.measured(device, lines)
    json.dump(found | {"helper_seconds": _helper_seconds() if count else 0.0}, sys.stdout)


def _helper_seconds() -> float:
    """Until a helper that begins has loaded, or was copied from what has."""
    begun = time.perf_counter()
    with beside(serve) as line:
        line.recv()
    return time.perf_counter() - begun


def serve(line: Connection) -> None:
    """A helper's life."""
    with seldom_collected():
        from lathe.engine import step_in_processes, step_rates  # noqa: F401 - what it is asked to build stands there

    line.send(None)
    step_in_processes.serve(line)


if __name__ == "__main__":
    main()
