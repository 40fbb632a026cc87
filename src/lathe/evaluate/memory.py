"""The most memory that this process and its children held while a block ran."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from types import TracebackType

import psutil

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
            _forget_height(process)
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
            with contextlib.suppress(psutil.Error):  # a child may be gone by now
                held += _height(process)
        self.num_bytes = max(self.num_bytes, held)


def _family() -> list[psutil.Process]:
    """This process first."""
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def _forget_height(process: psutil.Process) -> None:
    """The kernel's high-water mark falls to what the process holds now, so that it tells nothing of what ran before."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def _height(process: psutil.Process) -> int:
    """Most resident bytes since `_forget_height`; those of now where the system keeps no height. Raises psutil.Error."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().split("\n"):
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(process.memory_info().rss)
