"""What libraries print goes to the journal: not to the screen, and not into the JSON document on stdout.

Python loggers, warnings and compiled code all end at the file descriptors 1 and 2, so these are turned to a file for as long as
a verb works, and the screen writes through copies of them.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, TextIO

from lathe.cli.streams import Outlet, outlet
from lathe.errors import StorageError
from lathe.processes import unnamed_file

if TYPE_CHECKING:
    from lathe.cli.show import Screen

MOST_LINES = 200
"""A library that repeats itself ten thousand times tells no more than one that does so twice."""


@dataclass(frozen=True)
class Caught:
    """Where the screen may write, and what everything else wrote."""

    _out: Outlet
    _talk: Outlet
    file: IO[bytes] | None

    @property
    def out(self) -> TextIO:
        return self._out.text

    @property
    def talk(self) -> TextIO:
        return self._talk.text

    @property
    def refusal(self) -> OSError | None:
        """What kept data from stdout; None where all that was said is there, or nobody wants to read it."""
        return self._out.refusal

    @property
    def unread(self) -> bool:
        """Whether the reader of stdout went before all was said."""
        return self._out.unread

    @property
    def active(self) -> bool:
        """Whether anything is being caught."""
        return self.file is not None

    def lines(self) -> list[str]:
        """What was caught, each different line once, in order; the last MOST_LINES of them."""
        if self.file is None:
            return []
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        self.file.seek(0)
        text = self.file.read().decode(errors="replace")
        return [line for line in dict.fromkeys(re.split(r"[\r\n]+", text)) if line.strip()][-MOST_LINES:]


@contextlib.contextmanager
def caught(active: bool) -> Iterator[Caught]:
    """Turns descriptors 1 and 2 to a nameless file until the block ends; not active, they stay as they are."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    with outlet(1, sys.stdout.encoding) as out, outlet(2, sys.stderr.encoding) as talk:
        if not active:
            yield Caught(out, talk, None)
            return
        with unnamed_file() as file:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            try:
                yield Caught(out, talk, file)
            finally:
                for stream in (sys.stdout, sys.stderr):
                    with contextlib.suppress(OSError, ValueError):
                        stream.flush()
                for number, copy in ((1, out), (2, talk)):
                    os.dup2(copy.fileno(), number)


def to_journal(caught: Caught, screen: Screen) -> None:
    """Writes what was caught to the journal of the run that the verb worked on, secrets masked."""
    lines = caught.lines()
    if not lines or screen.folder is None or not screen.folder.path.is_dir():
        return
    with contextlib.suppress(StorageError):  # a full disk has been reported already
        screen.folder.journal("libraries said", lines=[screen.safe(line) for line in lines])
