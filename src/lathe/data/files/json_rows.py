"""Rows of JSON: one object a line, or one array of objects over as many lines as it likes.

An array is read element by element, so that its size does not matter; a fault in it is placed by line and column, and ends the
reading, because nothing after a broken element can be told apart.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from lathe.data.files.json_line import LATIN_HINT, LineFault, as_row, decode_at, row_of
from lathe.data.files.placed import Placed, rejected
from lathe.errors import DataError
from lathe.records import RejectedRow

Lines = Iterator[tuple[int, bytes]]
"""(line number, bytes) one after the other"""
ARRAY = re.compile(rb"^(?:\xef\xbb\xbf)?\s*\[\s*(?:\{|\]|$)")
"""How a file of one array begins; a line that is a list of something else is a row that is no object."""
LARGEST_ELEMENT = 10_000_000
READ_AT_ONCE = 1 << 16
"""Characters."""
SPACE = re.compile(r"[ \t\r\n]*")


def line_rows(lines: Lines, file: str) -> Iterator[Placed | RejectedRow]:
    """Rows of JSON lines; blank lines are passed over."""
    first = True
    for number, line in lines:
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        if not line.strip():
            continue
        if first and line.strip() == b"{":
            raise DataError(
                "the file is one JSON object over several lines, expected one object a line",
                file=file,
                line=number,
                hint="Convert it: jq -c . IN.json > OUT.jsonl",
            )
        first = False
        try:
            yield Placed(file, number, row_of(line))
        except LineFault as fault:
            yield rejected(file, number, fault)


def array_rows(pieces: Lines, file: str) -> Iterator[Placed | RejectedRow]:
    """Rows of one JSON array. Raises DataError with line and column where it is broken."""
    window = _Window(pieces, file)
    window.expect("[", "the array begins with [")
    first = True
    while not window.next_is("]"):
        if not first:
            window.expect(",", "expected a comma or the end of the array")
        if window.next_is("]"):
            raise window.error(LineFault("a comma with nothing behind it", None, "Remove it."), window.at)
        first = False
        line, _ = window.place(window.at)
        value = window.value()
        try:
            yield Placed(file, line, as_row(value))
        except LineFault as fault:
            yield rejected(file, line, fault)
    window.expect("]", "expected the end of the array")
    if window.skip_space():
        raise window.error(
            LineFault("more text behind the end of the array", None, "Write one array, or one object a line."),
            window.at,
        )


class _Window:
    """The part of the text that is in memory: what was read and not yet used."""

    def __init__(self, pieces: Lines, file: str) -> None:
        self.pieces, self.file = pieces, file
        self.text, self.at = "", 0
        self.line, self.column = 1, 1
        """where text[0] stands"""
        self.ended = False
        self.decoder = codecs.getincrementaldecoder("utf-8")("strict")

    def place(self, at: int) -> tuple[int, int]:
        """Line and column of a position in the text."""
        line = self.line + self.text.count("\n", 0, at)
        before = self.text.rfind("\n", 0, at)
        return line, at - before if before >= 0 else self.column + at

    def error(self, fault: LineFault, at: int) -> DataError:
        """A fault as an error at a position."""
        line, column = self.place(at)
        return DataError(fault.reason, file=self.file, line=line, column=column, hint=fault.hint)

    def grow(self) -> None:
        """Lets go of what was used and reads as much again as is left, so that a long element is tried a few times only."""
        self.line, self.column = self.place(self.at)
        self.text, self.at = self.text[self.at :], 0
        wanted = len(self.text) + max(len(self.text), READ_AT_ONCE)
        parts, size = [self.text], len(self.text)
        while size < wanted and not self.ended:
            number, piece = next(self.pieces, (0, b""))
            self.ended = not piece
            if b"\0" in piece:
                raise DataError("a NUL byte", file=self.file, line=number, hint="Is the file binary or damaged?")
            try:
                parts.append(self.decoder.decode(piece, final=self.ended))
            except UnicodeDecodeError as error:
                message = f"byte 0x{error.object[error.start]:02x} is no UTF-8"
                raise DataError(message, file=self.file, line=number or None, hint=LATIN_HINT) from error
            size += len(parts[-1])
        self.text = "".join(parts)

    def skip_space(self) -> bool:
        """Goes to the next character that is no white space; False at the end of the file."""
        while True:
            match = SPACE.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text):
                return True
            if self.ended:
                return False
            self.grow()

    def next_is(self, character: str) -> bool:
        """Whether that character comes next."""
        return self.skip_space() and self.text[self.at] == character

    def expect(self, character: str, words: str) -> None:
        """Goes past a character. Raises DataError where another one stands, or none."""
        if not self.skip_space():
            raise self.error(
                LineFault("the file ends in the middle of the array", None, "Is the file cut off?"), self.at
            )
        if self.text[self.at] != character:
            raise self.error(LineFault(words, None, "Is a comma, a quote or a backslash missing?"), self.at)
        self.at += 1

    def value(self) -> object:
        """The JSON value that comes next. Raises DataError."""
        self.skip_space()
        while True:
            try:
                value, end = decode_at(self.text, self.at)
            except LineFault as fault:
                if self.ended or len(self.text) - self.at > LARGEST_ELEMENT:
                    raise self.error(fault, fault.column - 1 if fault.column else self.at) from fault
                self.grow()
                continue
            if end < len(self.text) or self.ended:
                self.at = end
                return value
            self.grow()
