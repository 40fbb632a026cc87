"""Rows of a file, one after the other, with the line each stands on. Memory stays flat whatever the file's size.

    for item in read_file(Path("rows.jsonl")):
        item  ->  Placed(file, line, row)  or  RejectedRow(file, line, reason)

Formats: JSON lines, one JSON array, CSV (.csv), TSV (.tsv), each also gzipped; and texts with their answers in two files (.nl, .cm,
as in NL2Bash; questions and a folder possible_answer, as in BFCL). Lines end at the byte \\n and nowhere else, so
that a line number here is the one that an editor shows, whatever characters a text holds.
"""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lathe.data.files.csv_rows import csv_rows
from lathe.data.files.json_rows import ARRAY, array_rows, line_rows
from lathe.data.files.pairs import pair_rows
from lathe.data.files.placed import Placed, rejected
from lathe.data.files.possible_answers import joined
from lathe.errors import DataError
from lathe.files import ANSWERS_OF, answers_of, regular, stem_of
from lathe.records import RejectedRow

__all__ = ["Placed", "read_file", "read_lines", "rejected"]

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
PIECE_BYTES = 1 << 16
GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"


def read_file(path: Path, name: str | None = None) -> Iterator[Placed | RejectedRow]:
    """Rows of one file in order; a row that cannot be used comes as RejectedRow. `name`: how messages call the file.

    Raises DataError where the file as a whole cannot be read.
    """
    regular(path)
    said = name or str(path)
    answers = answers_of(path)
    if answers is None:
        yield from _rows(path, said)
        return
    regular(answers)
    if path.suffix not in ANSWERS_OF:
        yield from joined(_rows(path, said), _rows(answers, str(answers)), answers.name)
        return
    with open(path, "rb") as texts, open(answers, "rb") as written:
        one, other = read_lines(texts, texts, said, False), read_lines(written, written, str(answers), False)
        yield from pair_rows(one, other, said, answers.name)


def _rows(path: Path, said: str) -> Iterator[Placed | RejectedRow]:
    """Rows of a file by itself."""
    with open(path, "rb") as raw:
        head = raw.read(512)
        raw.seek(0)
        packed = head.startswith(GZIP)
        stem = stem_of(path)
        if path.suffix.lower() == ".gz" and not packed:
            raise DataError("named .gz, but this is not gzip", file=said, hint="Rename it, or download it again.")
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
        if stem.endswith((".csv", ".tsv")):
            yield from csv_rows(read_lines(stream, raw, said, packed), said, "\t" if stem.endswith(".tsv") else ",")
        elif ARRAY.match(begin(stream)):
            yield from array_rows(read_lines(stream, raw, said, packed, PIECE_BYTES), said)
        else:
            yield from line_rows(read_lines(stream, raw, said, packed), said)


def begin(stream: IO[bytes]) -> bytes:
    """The first bytes of a stream, which stays at its start; none where it cannot be unpacked."""
    with contextlib.suppress(OSError, EOFError, zlib.error):
        head = stream.read(512)
        stream.seek(0)
        return head
    return b""


def read_lines(
    stream: IO[bytes], raw: IO[bytes], file: str, packed: bool, piece_bytes: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """(line number, line with its end) one after the other; the first without its byte order mark.

    piece_bytes: give longer lines in pieces of that size; None = whole lines only, of at most MAX_LINE_BYTES.

    Raises DataError for binary files, lines above the cap, damaged or hostile gzip, and an empty file.
    """
    number = total = 0
    line = b"\n"
    while True:
        ended = line.endswith(b"\n")
        try:
            line = stream.readline(piece_bytes or MAX_LINE_BYTES + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            hint = "Download or pack it again."
            raise DataError(
                f"the gzip file is cut off or damaged ({error})", file=file, line=number + 1, hint=hint
            ) from error
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}", file=file, line=number + 1) from error
        if not line:
            break
        number += ended
        total += len(line)
        if len(line) > MAX_LINE_BYTES:
            hint = "Is this text at all? Write one row a line."
            raise DataError(f"the line is longer than {MAX_LINE_BYTES:,} bytes", file=file, line=number, hint=hint)
        if packed and total > RATIO_FROM_BYTES and total > MAX_RATIO * raw.tell():
            raise DataError(
                f"unpacks to more than {MAX_RATIO} times its size, as a gzip bomb does",
                file=file,
                line=number,
                hint="Unpack it yourself.",
            )
        if total == len(line):
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
