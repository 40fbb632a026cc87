"""The three streams of a command as its caller leaves them: open, closed, full, or with nobody who reads any more.

    ensure_open()                      what was closed reads as empty, and takes what is written
    text_given("-")                    what stands on stdin
    with outlet(1, "utf-8") as out:    a copy of stdout
        out.text.write("an answer")
    out.refusal                        the OSError of a full disk, say; None where all went well

A reader that goes away (`| head`) changes no work and no exit code: what it would have read is dropped, and of a run it is said.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from lathe.errors import InputError

if TYPE_CHECKING:
    from typing_extensions import Buffer


def ensure_open() -> None:
    """Opens on nothing what the caller has closed, for Python has no object there, and a file of ours would get its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115


def text_given(word: str) -> str:
    """The text that a person gave a verb: the word itself, or for `-` what stands on stdin, without the line ends behind it.

    Raises InputError on bytes that are no text.
    """
    place, text = "the text", word
    if word == "-":
        sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]  # as words of a command line come
        place, text = "stdin", sys.stdin.read().removeprefix("\ufeff").rstrip("\n")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line, column = text.count("\n", 0, error.start) + 1, error.start - text.rfind("\n", 0, error.start)
        raise InputError(
            f"{place}, line {line}, column {column}: byte 0x{ord(text[error.start]) & 0xFF:02x} is no UTF-8",
            hint="It is probably Latin-1 or Windows-1252: iconv -f WINDOWS-1252 -t UTF-8 turns it into UTF-8.",
        ) from error
    return text


class Outlet(io.RawIOBase):
    """A copy of a descriptor. Writing to it never fails: once it was refused, or nobody reads, the rest is dropped."""

    def __init__(self, number: int, encoding: str) -> None:
        self._number = os.dup(number)
        self._dropping = False
        self.refusal: OSError | None = None
        """what kept the text from being written; a reader that has gone is none"""
        self.unread = False
        """whether its reader went before all was said"""
        self.text: TextIO = io.TextIOWrapper(io.BufferedWriter(self), encoding, errors="replace", line_buffering=True)
        """what is written to it; what the encoding has no sign for comes out as `?`"""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, some: Buffer, /) -> int:
        while not self._dropping:
            try:
                return os.write(self._number, some)
            except BlockingIOError:  # a pipe that another program made so, and that is full
                select.select([], [self._number], [])
            except BrokenPipeError:
                self._dropping = self.unread = True
            except OSError as error:
                self._dropping, self.refusal = True, error
        return memoryview(some).nbytes

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._number)


@contextlib.contextmanager
def outlet(number: int, encoding: str) -> Iterator[Outlet]:
    """A copy of a descriptor, for as long as the block lasts."""
    opened = Outlet(number, encoding)
    with opened.text:
        yield opened
