"""Rows of a file, one after the other, with the line each stands on. Memory stays flat whatever the file's size.

    for item in read_file(Path("rows.jsonl")):
        item  ->  Placed(file, line, row)  or  RejectedRow(file, line, reason)

Formats: JSON lines (.jsonl, .ndjson), CSV (.csv), TSV (.tsv), each also gzipped. Lines end at the byte \\n and nowhere else, so
that a line number here is the one that an editor shows, whatever characters a text holds.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lathe.data.json_line import LineFault, row_of, text_of
from lathe.errors import DataError
from lathe.files import regular
from lathe.records import RejectedRow, Row

MAX_LINE_BYTES = 10_000_000
MAX_RATIO = 200
"""Largest factor by which a gzip file may grow after its first 64 MB: text reaches about 50, a bomb 1,000."""
RATIO_FROM_BYTES = 64_000_000

BINARY = (
    (b"\x89PNG", "a PNG image", None),
    (b"\xff\xd8\xff", "a JPEG image", None),
    (b"%PDF", "a PDF document", None),
    (
        b"PAR1",
        "a Parquet file",
        "Convert it: python -c \"import pandas as p; p.read_parquet('IN').to_json('OUT.jsonl', orient='records', lines=True)\"",
    ),
    (b"ARROW1", "an Arrow file", "Convert it to JSON lines."),
    (b"PK\x03\x04", "a zip archive (or .xlsx)", "Unpack it, or export the sheet as CSV."),
    (b"SQLite format 3", "an SQLite data base", "Export the table as CSV."),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "Unpack it: zstd -d FILE"),
    (b"BZh", "compressed by bzip2", "Unpack it: bunzip2 FILE"),
    (b"\xfd7zXZ", "compressed by xz", "Unpack it: xz -d FILE"),
    (b"\x80\x02", "a pickle, which is never opened", "Export the rows as JSON lines."),
    (b"\x80\x03", "a pickle, which is never opened", "Export the rows as JSON lines."),
    (b"\x80\x04", "a pickle, which is never opened", "Export the rows as JSON lines."),
    (b"\x80\x05", "a pickle, which is never opened", "Export the rows as JSON lines."),
    (b"\xff\xfe\x00\x00", "UTF-32 text", "Convert it: iconv -f UTF-32 -t UTF-8 IN > OUT"),
    (b"\xff\xfe", "UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8 IN > OUT"),
    (b"\xfe\xff", "UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8 IN > OUT"),
)
GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Placed:
    """A row with the place it came from. line: 1-based; for a generated corpus, the number of the row."""

    file: str
    line: int
    row: Row


def read_file(path: Path, name: str | None = None) -> Iterator[Placed | RejectedRow]:
    """Rows of one file in order; a row that cannot be used comes as RejectedRow. `name`: how messages call the file.

    Raises DataError where the file as a whole cannot be read.
    """
    regular(path)
    said = name or str(path)
    with open(path, "rb") as raw:
        head = raw.read(512)
        raw.seek(0)
        packed = head.startswith(GZIP)
        stem = path.name.removesuffix(".gz")
        if path.name.endswith(".gz") and not packed:
            raise DataError("named .gz, but this is not gzip", file=said, hint="Rename it, or download it again.")
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
        lines = read_lines(stream, raw, said, packed)
        if stem.endswith((".csv", ".tsv")):
            yield from csv_rows(lines, said, "\t" if stem.endswith(".tsv") else ",")
        else:
            yield from json_rows(lines, said, stem)


def read_lines(stream: IO[bytes], raw: IO[bytes], file: str, packed: bool) -> Iterator[tuple[int, bytes]]:
    """(line number, line with its end) one after the other; the first without its byte order mark.

    Raises DataError for binary files, lines above the cap, damaged or hostile gzip, and an empty file.
    """
    number = total = 0
    while True:
        try:
            line = stream.readline(MAX_LINE_BYTES + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            hint = "Download or pack it again."
            raise DataError(
                f"the gzip file is cut off or damaged ({error})", file=file, line=number + 1, hint=hint
            ) from error
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}", file=file, line=number + 1) from error
        if not line:
            break
        number += 1
        total += len(line)
        if len(line) > MAX_LINE_BYTES:
            hint = "Is this one JSON array, or no text at all? Write one row a line."
            raise DataError(f"the line is longer than {MAX_LINE_BYTES:,} bytes", file=file, line=number, hint=hint)
        if packed and total > RATIO_FROM_BYTES and total > MAX_RATIO * raw.tell():
            raise DataError(
                f"unpacks to more than {MAX_RATIO} times its size, as a gzip bomb does",
                file=file,
                line=number,
                hint="Unpack it yourself.",
            )
        if number == 1:
            refuse_binary(line, file)
            line = line.removeprefix(BOM)
        yield number, line
    if total == 0:
        raise DataError("the file is empty", file=file, hint="Expected at least one row.")


def refuse_binary(line: bytes, file: str) -> None:
    """Raises DataError where a file's first bytes are those of something else than UTF-8 text."""
    for magic, words, hint in BINARY:
        if line.startswith(magic):
            raise DataError(f"this is {words}, expected rows as UTF-8 text", file=file, line=1, hint=hint)
    if len(line) > 3 and (line[1] == 0 or line[0] == 0) and line.count(b"\0") * 3 > len(line):
        hint = "Convert it: iconv -f UTF-16LE -t UTF-8 IN > OUT"
        raise DataError("every second byte is NUL, as in UTF-16 text; expected UTF-8", file=file, line=1, hint=hint)


def rejected(file: str, line: int, fault: LineFault) -> RejectedRow:
    """The record of a row that cannot be used."""
    return RejectedRow(file=file, line=line, column=fault.column, reason=fault.reason, hint=fault.hint)


def json_rows(lines: Iterator[tuple[int, bytes]], file: str, stem: str) -> Iterator[Placed | RejectedRow]:
    """Rows of JSON lines; blank lines are passed over. A file that is one JSON array is refused with the way to convert it."""
    first = True
    for number, line in lines:
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        if not line.strip():
            continue
        if first and line.lstrip().startswith(b"[") and not line.rstrip().endswith(b"]"):
            refuse_array(file, number)
        try:
            placed: Placed | RejectedRow = Placed(file, number, row_of(line))
        except LineFault as fault:
            if first and line.lstrip().startswith(b"["):
                refuse_array(file, number)
            if first and stem.endswith(".json") and line.strip() == b"{":
                raise DataError(
                    "the file is one JSON object over several lines, expected one object a line",
                    file=file,
                    line=number,
                    hint="Convert it: jq -c . IN.json > OUT.jsonl",
                ) from fault
            placed = rejected(file, number, fault)
        first = False
        yield placed


def refuse_array(file: str, line: int) -> None:
    """Raises DataError: one JSON array instead of lines."""
    raise DataError(
        "the file is one JSON array, expected one object a line",
        file=file,
        line=line,
        hint="Convert it: jq -c '.[]' IN.json > OUT.jsonl",
    )


def csv_rows(lines: Iterator[tuple[int, bytes]], file: str, delimiter: str) -> Iterator[Placed | RejectedRow]:
    """Rows of a CSV file with a header, RFC 4180: a quoted cell may hold line breaks. The line is where the row begins."""
    csv.field_size_limit(MAX_LINE_BYTES)
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
