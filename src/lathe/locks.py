"""One process at a time: a file whose lock says who works on something. A process that ends, however it does, lets go of it.

with alone(folder, folder / ".lock"): ...       RunInUse where another process is in such a block
held(folder / ".lock")                          whether one is
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from lathe.errors import RunInUse
from lathe.storage import writing


@contextlib.contextmanager
def alone(what: Path, lock: Path) -> Iterator[None]:
    """Holds `what` for this process by a lock file. Raises RunInUse naming the holder. A killed holder's lock is free at once."""
    with writing(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = open(lock, "a+", encoding="utf-8")  # noqa: SIM115 - the lock lives as long as the handle
    try:
        if not _flock(file):
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise RunInUse(
                f"{what} is in use by {holder}",
                hint="Wait for it, or stop it; the same command then continues.",
            )
        since = datetime.now(UTC).isoformat(timespec="seconds")
        with writing(lock):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
            file.flush()
        yield
    finally:
        with contextlib.suppress(OSError):  # of words that could not be written, which was said already
            file.close()


def held(lock: Path) -> bool:
    """Whether some process holds that lock now; where it cannot be looked at, none does."""
    try:
        with open(lock, "a+", encoding="utf-8") as file:
            return not _flock(file)
    except OSError:
        return False


def _flock(file: IO[str]) -> bool:
    """Takes an exclusive lock without waiting; False where another process has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
