"""The child process of `lathe doctor --probe`: `python -m lathe.engine.probe` prints what `step_rates` measured, as JSON.

Its helpers load torch while it does, which takes each of them some seconds.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from multiprocessing.connection import Connection

from lathe.garbage import left_at_exit, seldom_collected
from lathe.processes import beside, usable_cores

MOST_PROCESSES = 8
"""Processes that share a step of one thread; more cores than that share no more."""


def main() -> None:
    """Measures and prints."""
    left_at_exit()
    begun = time.perf_counter()
    with contextlib.ExitStack() as ends:
        lines = [ends.enter_context(beside(serve)) for _ in range(min(usable_cores(), MOST_PROCESSES) - 1)]
        # peft would load it for any model, which takes a second; the helpers let it, as those of a training do.
        sys.modules["bitsandbytes"] = None  # type: ignore[assignment]  # what Python itself writes for "cannot be imported"
        with seldom_collected():
            from lathe.engine import step_rates
            from lathe.engine.devices import pick_device

        device = pick_device()
        if device.type != "cpu":
            ends.close()
            lines = []
        step_rates.draw(device)
        for line in lines:
            line.recv()  # that it has loaded
        loaded = time.perf_counter() - begun
        json.dump(step_rates.measured(device, lines) | {"load_seconds": loaded}, sys.stdout)


def serve(line: Connection) -> None:
    """A helper's life."""
    with seldom_collected():
        from lathe.engine import step_in_processes, step_rates  # noqa: F401 - what it is asked to build stands there

    line.send(None)
    step_in_processes.serve(line)


if __name__ == "__main__":
    main()
