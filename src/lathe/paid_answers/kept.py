"""Every answer of an endpoint on disk, one JSON line each, by the hash of what was asked: no request is paid for twice.

    with answers(path) as kept:
        kept.of(request)         the answer from before, or None
        kept.keep(answer)        in the file at once, on the disk within a second

The file only grows. A line that was torn by a kill is cut off; the request behind it is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from lathe.locks import alone
from lathe.records import Record
from lathe.records.paid import PaidAnswer
from lathe.storage import appending, each_row


def read(path: Path) -> dict[str, PaidAnswer]:
    """All answers of a file by their requests; none where there is no file."""
    return {answer.request: answer for answer in each_row(path, PaidAnswer)} if path.is_file() else {}


class Kept:
    """The answers of one file. Any thread may keep one."""

    def __init__(self, known: dict[str, PaidAnswer], append: Callable[[Record], None]) -> None:
        self._known, self._append = known, append
        self._one_at_a_time = Lock()

    def of(self, request: str) -> PaidAnswer | None:
        """The answer to a request, where it was given before."""
        return self._known.get(request)

    def all(self) -> list[PaidAnswer]:
        """Every answer of the file, whatever was asked."""
        return list(self._known.values())

    def keep(self, answer: PaidAnswer) -> None:
        """Keeps an answer."""
        with self._one_at_a_time:
            self._append(answer)
            self._known[answer.request] = answer


@contextmanager
def answers(path: Path) -> Iterator[Kept]:
    """The answers of a file, which no other process may write meanwhile. Raises RunInUse where one does, StorageError."""
    with alone(path, path.with_name(f".{path.name}.lock")), appending(path) as append:
        yield Kept(read(path), append)
