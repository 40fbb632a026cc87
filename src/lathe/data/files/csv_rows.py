"""Rows of CSV and TSV files with a header (RFC 4180), strictly: no cell too many, no nameless column, no quote left open."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from lathe.data.files.json_line import LineFault, text_of
from lathe.data.files.placed import Placed, rejected
from lathe.errors import DataError
from lathe.records import RejectedRow

LARGEST_CELL = 10_000_000


def csv_rows(lines: Iterator[tuple[int, bytes]], file: str, delimiter: str) -> Iterator[Placed | RejectedRow]:
    """Rows of a CSV file with a header, RFC 4180: a quoted cell may hold line breaks. The line is where the row begins."""
    csv.field_size_limit(LARGEST_CELL)
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
        begin = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            hint = 'A quote inside a cell is written twice: ""'
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


def checked_header(cells: list[str], file: str, line: int, delimiter: str) -> list[str]:
    """The column names. Raises DataError where they are empty, repeated or not separated by the expected delimiter."""
    names = [cell.strip() for cell in cells]
    if len(names) == 1 and delimiter == "," and (";" in names[0] or "\t" in names[0]):
        other = "semicolons" if ";" in names[0] else "tabs (name the file .tsv)"
        raise DataError(
            f"the header is separated by {other}, expected commas", file=file, line=line, hint="Export it with commas."
        )
    for index, name in enumerate(names):
        if not name:
            raise DataError(
                f"column {index + 1} of the header has no name", file=file, line=line, hint="Name each column."
            )
        if name in names[:index]:
            raise DataError(f"the header names the column {name!r} twice", file=file, line=line, hint="Rename one.")
    return names
