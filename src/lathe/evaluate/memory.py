"""The most memory that this process and its children held while a block ran."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType

import psutil

from lathe.processes import forget_peak, peak_resident

EVERY_SECONDS = 0.05
LOOKS_BETWEEN_CHILDREN = 20


class PeakMemory:
    """Resident bytes: `with PeakMemory() as peak: ...`, then `peak.num_bytes`.

    A runtime may work in a child, so children count; who they are is looked up once a second. Linux keeps the most that a process
    held and is told to begin anew, so no moment is missed; elsewhere the sum is of what twenty looks a second saw.
    """

    def __init__(self) -> None:
        self.num_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        family = _family()
        for process in family:
            forget_peak(process.pid)
        self._look(family)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        family, looks = _family(), 0
        while not self._stop.wait(EVERY_SECONDS):
            if looks % LOOKS_BETWEEN_CHILDREN == 0:
                family = _family()
            self._look(family)
            looks += 1
        self._look(family)

    def _look(self, family: list[psutil.Process]) -> None:
        held = 0
        for process in family:
            # A child may be gone by now; elsewhere than on Linux there is no mark.
            with contextlib.suppress(psutil.Error):
                held += peak_resident(process.pid) or process.memory_info().rss
        self.num_bytes = max(self.num_bytes, held)


def _family() -> list[psutil.Process]:
    """This process first."""
    me = psutil.Process()
    return [me, *me.children(recursive=True)]
