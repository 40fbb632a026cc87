"""The most memory that this process held while a block ran."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil

EVERY_SECONDS = 0.05


class PeakMemory:
    """Resident bytes of the process, looked at twenty times a second: `with PeakMemory() as peak: ...`, then `peak.num_bytes`.

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
        process = psutil.Process()
        while not self._stop.wait(EVERY_SECONDS):
            self._look(process)
        self._look(process)

    def _look(self, process: psutil.Process) -> None:
        self.num_bytes = max(self.num_bytes, process.memory_info().rss)
