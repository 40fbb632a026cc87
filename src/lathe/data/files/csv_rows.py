"""Rows of CSV and TSV files with a header (RFC 4180), strictly: no cell too many, no nameless column, no quote left open.

text;label        Where a spreadsheet writes numbers as 1,5 it separates cells by semicolons: what the header is separated by,
a text;a label    and by nothing else, separates the rows. A first line `sep=;`, which Excel reads, says it too.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator

from lathe.data.files.json_line import LineFault, text_of
from lathe.data.files.placed import Placed, rejected
from lathe.errors import DataError
from lathe.records import RejectedRow

LARGEST_CELL = 10_000_000
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
NO_HEADER = "Where this is a row already, put a line of names above it, such as: text,label"
SAID_FIRST = re.compile(rb'"?sep=([,;\t])"?\s*')


def csv_rows(lines: Iterator[tuple[int, bytes]], file: str, usual: str) -> Iterator[Placed | RejectedRow]:
    """Rows of a CSV file with a header, RFC 4180: a quoted cell may hold line breaks. The line is where the row begins.

    usual: the delimiter of files of that name, where the header does not tell another.
    """
    csv.field_size_limit(LARGEST_CELL)
    before, delimiter, lines = _told(lines, usual)
    faults: list[tuple[int, LineFault]] = []

    def texts() -> Iterator[str]:
        for number, line in lines:
            try:
                yield text_of(line)
            except LineFault as fault:
                # The reader needs some text for the line; the row that it ends in is rejected.
                faults.append((number, fault))
                yield "\n"

    reader = csv.reader(texts(), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        begin = before + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            hint = 'A quote inside a cell is written twice: ""'
            if "new-line character" in str(error):
                hint = "A line ends with CR alone, as in old files of a Mac: tr '\\r' '\\n' < IN > OUT"
            raise DataError(f"this is no CSV: {error}", file=file, line=begin, hint=hint) from error
        if faults:
            number, fault = faults.pop()
            faults.clear()
            if header is None:
                raise DataError(fault.reason, file=file, line=number, column=fault.column, hint=fault.hint) from fault
            yield rejected(file, number, fault)
        elif header is None:
            header = checked_header(cells, file, begin, delimiter)
        elif not cells:
            continue
        elif len(cells) != len(header):
            fault = LineFault(
                f"the row has {len(cells)} cells, the header {len(header)}",
                None,
                "Quote cells that hold the delimiter.",
            )
            yield rejected(file, begin, fault)
        else:
            yield Placed(file, begin, dict(zip(header, cells)))


def _told(lines: Iterator[tuple[int, bytes]], usual: str) -> tuple[int, str, Iterator[tuple[int, bytes]]]:
    """How many lines stand before the header, what separates its cells, and the lines from it on."""
    first = next(lines, None)
    if first is None:
        return 0, usual, lines
    if said := SAID_FIRST.fullmatch(first[1]):
        return 1, said[1].decode(), lines
    return 0, _delimiter(first[1], usual), itertools.chain([first], lines)


def _delimiter(header: bytes, usual: str) -> str:
    """The usual one, unless the header is one cell by it and several by exactly one of the others."""
    parts = {one: _cells(header, one) for one in DELIMITERS}
    others = [one for one in DELIMITERS if len(parts[one]) > 1 and all(parts[one])]
    return others[0] if len(parts[usual]) == 1 and len(others) == 1 else usual


def _cells(line: bytes, delimiter: str) -> list[str]:
    """The cells of one line; none where it is no whole line of such a file."""
    try:
        return next(csv.reader([text_of(line)], delimiter=delimiter, strict=True), [])
    except (csv.Error, LineFault):
        return []


def checked_header(cells: list[str], file: str, line: int, delimiter: str) -> list[str]:
    """The column names. Raises DataError where they are empty, repeated or not separated by the expected delimiter."""
    names = [cell.strip() for cell in cells]
    if len(names) == 1 and any(other in names[0] for other in DELIMITERS):
        seen = " and ".join(words for one, words in DELIMITERS.items() if one in names[0])
        raise DataError(
            f"the header holds {seen}, expected {DELIMITERS[delimiter]} between its columns",
            file=file,
            line=line,
            hint="Export it with commas.",
        )
    for index, name in enumerate(names):
        if not name:
            raise DataError(
                f"column {index + 1} of the header has no name",
                file=file,
                line=line,
                hint=f"Name each column. {NO_HEADER}",
            )
        if name in names[:index]:
            hint = f"Rename one. {NO_HEADER}"
            raise DataError(f"the header names the column {name!r} twice", file=file, line=line, hint=hint)
    return names
