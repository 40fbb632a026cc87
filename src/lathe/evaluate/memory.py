"""The most memory that this process and its children held while a block ran."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType

import psutil

EVERY_SECONDS = 0.05
LOOKS_BETWEEN_CHILDREN = 20


class PeakMemory:
    """Resident bytes, looked at twenty times a second: `with PeakMemory() as peak: ...`, then `peak.num_bytes`.

    A runtime may work in a child, so children count; who they are is looked up once a second.

    The operating system's own high-water mark cannot be used, since it still holds the peak of whatever ran before.
    """

    def __init__(self) -> None:
        self.num_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._look(psutil.Process())
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        me, processes, looks = psutil.Process(), [psutil.Process()], 0
        while not self._stop.wait(EVERY_SECONDS):
            if looks % LOOKS_BETWEEN_CHILDREN == 0:
                processes = [me, *me.children(recursive=True)]
            self._look(*processes)
            looks += 1
        self._look(*processes)

    def _look(self, *processes: psutil.Process) -> None:
        held = 0
        for process in processes:
            with contextlib.suppress(psutil.Error):  # a child may be gone by now
                held += process.memory_info().rss
        self.num_bytes = max(self.num_bytes, held)
