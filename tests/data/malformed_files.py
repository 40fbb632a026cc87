"""Everything that can be wrong with a file of rows, generated: name, bytes or a maker, and what the one message must say.

A case is a base mutation, put where it hurts: as the first, a middle and the last line; with line ends of \\n and \\r\\n.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from data_rows import good_lines

BASE = 8
"""Good rows around the bad one."""


@dataclass(frozen=True)
class Case:
    """make: writes the file below a folder and returns its path. line: where the message must point; None = the file."""

    name: str
    make: Callable[[Path], Path]
    says: str
    line: int | None = None


# One line that no row can be read from -> what the message must say.
BAD_LINES: dict[str, tuple[bytes, str]] = {
    "latin-1": ('{"input": "caf\u00e9", "target": {}}'.encode("latin-1"), "is no UTF-8"),
    "overlong": (b'{"input": "\xc0\xaf", "target": {}}', "is no UTF-8"),
    "cut-utf8": (b'{"input": "\xe2\x82"}', "is no UTF-8"),
    "raw-nul": (b'{"input": "a\x00b", "target": {}}', "NUL byte"),
    "escaped-nul": (b'{"input": "a\\u0000b", "target": {}}', "NUL character"),
    "lone-high-surrogate": (b'{"input": "\\ud800", "target": {}}', "surrogate"),
    "lone-low-surrogate": (b'{"input": "\\udc00 x", "target": {}}', "surrogate"),
    "surrogate-in-key": (b'{"\\ud800": 1}', "surrogate"),
    "bom-inside": (b'\xef\xbb\xbf{"input": "a", "target": {}}', "byte order mark"),
    "control-character": (b'{"input": "a\x01b", "target": {}}', "control character"),
    "truncated-object": (b'{"input": "a", "target": {"b": 1', "middle of a value"),
    "truncated-text": (b'{"input": "a', "never ends"),
    "trailing-comma": (b'{"input": "a", "target": {},}', "key in double quotes"),
    "single-quotes": (b"{'input': 'a'}", "key in double quotes"),
    "python-literals": (b'{"input": "a", "target": None}', "expected a value"),
    "unquoted-key": (b'{input: "a"}', "key in double quotes"),
    "missing-comma": (b'{"input": "a" "target": {}}', "comma"),
    "missing-colon": (b'{"input" "a"}', "colon"),
    "bad-escape": (b'{"input": "\\x41"}', "escape"),
    "bad-unicode-escape": (b'{"input": "\\u12g4"}', "escape"),
    "two-values": (b'{"input": "a"} {"input": "b"}', "second value"),
    "comment": (b'// {"input": "a"}', "expected a value"),
    "plain-text": (b"just words", "expected a value"),
    "duplicate-key": (b'{"input": "a", "input": "b", "target": {}}', "stands twice"),
    "duplicate-inner-key": (b'{"input": "a", "target": {"x": 1, "x": 2}}', "stands twice"),
    "nan": (b'{"input": "a", "target": {"x": NaN}}', "NaN"),
    "infinity": (b'{"input": "a", "target": {"x": Infinity}}', "Infinity"),
    "minus-infinity": (b'{"input": "a", "target": {"x": -Infinity}}', "Infinity"),
    "overflowing-number": (b'{"input": "a", "target": {"x": 1e999}}', "too large"),
    "huge-integer": (b'{"input": "a", "target": {"x": ' + b"9" * 5000 + b"}}", "5000 digits"),
    "deep-nesting": (b'{"input": "a", "target": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper"),
    "deep-objects": (b'{"a":' * 200 + b"1" + b"}" * 200, "nested deeper"),
    "unclosed-depth": (b'{"a":' * 50_000, "nested deeper"),
    "row-is-list": (b'["a", "b"]', "object"),
    "row-is-text": (b'"a"', "expected an object"),
    "row-is-number": (b"42", "expected an object"),
    "row-is-null": (b"null", "expected an object"),
    "row-is-bool": (b"true", "expected an object"),
    "missing-input": (b'{"text": "a", "target": {"x": 1}}', "'input'"),
    "missing-target": (b'{"input": "a", "output": {}}', "'target'"),
    "empty-row": (b"{}", "no fields"),
    "input-is-number": (b'{"input": 3, "target": {"x": 1}}', "a text"),
    "input-is-null": (b'{"input": null, "target": {"x": 1}}', "a text"),
    "input-is-blank": (b'{"input": "  ", "target": {"x": 1}}', "a text"),
    "target-is-prose": (b'{"input": "a", "target": "the answer"}', "JSON"),
    "target-is-number": (b'{"input": "a", "target": 3}', "object or array"),
    "target-is-null": (b'{"input": "a", "target": null}', "object or array"),
    "target-has-nan": (b'{"input": "a", "target": "{\\"x\\": NaN}"}', "JSON"),
}
POSITIONS = {"first": 0, "middle": BASE // 2, "last": BASE}


def with_line(line: bytes, position: int, end: bytes, name: str = "rows.jsonl") -> Callable[[Path], Path]:
    """A file of good rows with one bad line among them."""

    def make(folder: Path) -> Path:
        lines = good_lines(BASE)
        lines.insert(position, line)
        return put(folder / name, end.join([*lines, b""]))

    return make


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def whole(name: str, data: bytes) -> Callable[[Path], Path]:
    return lambda folder: put(folder / name, data)


def bomb(begin: bytes = b"", block: bytes = (b" " * 99 + b"\n") * 10_000) -> bytes:
    """200 megabytes of white space in a few hundred kilobytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(begin) + b"".join(packer.compress(block) for _ in range(200)) + packer.flush()


ROWS = b"\n".join([*good_lines(BASE), b""])
TEXT = ROWS.decode()
WHOLE_FILES: dict[str, tuple[str, bytes, str, int | None]] = {
    "empty": ("rows.jsonl", b"", "empty", None),
    "only-blank-lines": ("rows.jsonl", b"\n\n  \n", "no row", None),
    "only-bom": ("rows.jsonl", b"\xef\xbb\xbf", "no row", None),
    "utf-16": ("rows.jsonl", TEXT.encode("utf-16"), "UTF-16", 1),
    "utf-16-be": ("rows.jsonl", b"\xfe\xff" + TEXT.encode("utf-16-be"), "UTF-16", 1),
    "utf-16-no-bom": ("rows.jsonl", TEXT.encode("utf-16-le"), "UTF-16", 1),
    "utf-32": ("rows.jsonl", TEXT.encode("utf-32"), "UTF-32", 1),
    "cr-only": ("rows.jsonl", ROWS.replace(b"\n", b"\r"), "CR", 1),
    "array-cut-off": ("rows.json", b"[\n" + b",\n".join(good_lines(3)), "ends in the middle", 4),
    "array-cut-in-row": ("rows.json", b"[\n" + b",\n".join(good_lines(3))[:-5], "", 4),
    "array-comma-missing": ("rows.json", b"[\n" + b"\n".join(good_lines(3)) + b"\n]\n", "comma", 3),
    "array-comma-too-many": ("rows.json", b"[\n" + b",\n".join([*good_lines(3), b"]"]), "nothing behind it", 5),
    "array-and-more": ("rows.jsonl", b"[" + b",".join(good_lines(3)) + b"]\n{}\n", "behind the end", 2),
    "array-nan": ("rows.json", b'[\n{"input": "a",\n "target": {"x": NaN}}]', "NaN", 3),
    "array-key-twice": ("rows.json", b'[\n{"input": "a",\n "input": "b"}]', "stands twice", 3),
    "array-surrogate": ("rows.json", b'[\n{"input": "\\ud800"}]', "surrogate", 2),
    "array-deep": ("rows.json", b'[\n{"input": ' + b"[" * 50_000 + b"]" * 50_000 + b"}]", "nested deeper", 2),
    "array-of-texts": ("rows.json", b'[\n{"input": "a", "target": {}},\n"b"]', "a text", 3),
    "array-latin-1": ("rows.json", '[\n{"input": "caf\u00e9"}]'.encode("latin-1"), "is no UTF-8", 2),
    "array-nul": ("rows.json", b'[\n{"input": "a\0"}]', "NUL", 2),
    "array-empty": ("rows.json", b"[]\n", "no row", None),
    "array-mismatch": ("rows.json", b'[\n{"input": "a", "target": {}},\n{"text": "b"}]', "'input'", 3),
    "array-bomb": ("rows.json.gz", bomb(b"[", b" " * 1_000_000), "bomb", None),
    "pretty-object": ("rows.json", b'{\n  "input": "a"\n}\n', "several lines", 1),
    "long-line": ("rows.jsonl", ROWS + b'{"input": "' + b"x" * 10_000_001 + b'"}\n', "longer than", BASE + 1),
    "png": ("rows.jsonl", b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG", 1),
    "jpeg": ("rows.jsonl", b"\xff\xd8\xff\xe0" + bytes(100), "JPEG", 1),
    "pdf": ("rows.jsonl", b"%PDF-1.7\n" + bytes(100), "PDF", 1),
    "zip": ("rows.jsonl", b"PK\x03\x04" + bytes(100), "zip", 1),
    "parquet": ("rows.jsonl", b"PAR1" + bytes(100), "Parquet", 1),
    "arrow": ("rows.jsonl", b"ARROW1\0\0" + bytes(100), "Arrow", 1),
    "sqlite": ("rows.jsonl", b"SQLite format 3\0" + bytes(100), "SQLite", 1),
    "zstd": ("rows.jsonl", b"\x28\xb5\x2f\xfd" + bytes(100), "zstd", 1),
    "bzip2": ("rows.jsonl", b"BZh91AY&SY" + bytes(100), "bzip2", 1),
    "xz": ("rows.jsonl", b"\xfd7zXZ\x00" + bytes(100), "xz", 1),
    "pickle": ("rows.jsonl", b"\x80\x04\x95" + bytes(100), "pickle", 1),
    "zeros": ("rows.jsonl", bytes(10_000), "NUL", 1),
    "gzip-cut-off": ("rows.jsonl.gz", gzip.compress(ROWS * 50)[:-200], "cut off or damaged", None),
    "gzip-damaged": ("rows.jsonl.gz", gzip.compress(ROWS)[:40] + bytes(4) + gzip.compress(ROWS)[44:], "cut off or damaged", None),
    "gzip-only-header": ("rows.jsonl.gz", gzip.compress(ROWS)[:10], "cut off or damaged", None),
    "gzip-in-name-only": ("rows.jsonl.gz", ROWS, "not gzip", None),
    "gzip-bomb": ("rows.jsonl.gz", bomb(), "bomb", None),
    "csv-wrong-cells": ("rows.csv", b"input,target\na,{}\nb,{},c\n", "3 cells", 3),
    "csv-open-quote": ("rows.csv", b'input,target\na,"{}\n', "no CSV", 2),
    "csv-quote-inside": ("rows.csv", b'input,target\n"a"b,c\n', "no CSV", 2),
    "csv-two-delimiters": ("rows.csv", b"input;target\tid\na;{}\t1\n", "semicolons and tabs", 1),
    "csv-lines-end-with-cr": ("rows.csv", b"input,target\ra,{}\r", "no CSV", 1),
    "csv-no-semicolon-in-a-row": ("rows.csv", b"input;target\na;{}\nb,{}\n", "1 cells", 3),
    "csv-nothing-behind-sep": ("rows.csv", b"sep=;\n", "no row", None),
    "csv-wrong-cells-behind-sep": ("rows.csv", b"sep=;\ninput;target\na;{}\nb;{};c\n", "3 cells", 4),
    "csv-nameless-column": ("rows.csv", b"input,,target\na,b,{}\n", "no name", 1),
    "csv-column-twice": ("rows.csv", b"input,target,input\na,{},b\n", "twice", 1),
    "csv-latin-1": ("rows.csv", "input,target\ncaf\u00e9,{}\n".encode("latin-1"), "is no UTF-8", 2),
    "csv-latin-1-header": ("rows.csv", "caf\u00e9,target\na,{}\n".encode("latin-1"), "is no UTF-8", 1),
    "csv-nul": ("rows.csv", b"input,target\na\x00,{}\n", "NUL", 2),
    "csv-header-only": ("rows.csv", b"input,target\n", "no row", None),
    "csv-empty": ("rows.csv", b"", "empty", None),
    "unknown-suffix": ("rows.docx", b"PK\x03\x04" + bytes(100), "zip", 1),
    "one-row": ("rows.jsonl", good_lines(1)[0] + b"\n", "row", None),
}  # fmt: skip


def directory(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "rows.jsonl")
    return folder / "rows.jsonl"


def symlink_loop(folder: Path) -> Path:
    (folder / "rows.jsonl").symlink_to(folder / "rows.jsonl")
    return folder / "rows.jsonl"


def dangling(folder: Path) -> Path:
    (folder / "rows.jsonl").symlink_to(folder / "gone.jsonl")
    return folder / "rows.jsonl"


def missing(folder: Path) -> Path:
    put(folder / "rows_train.jsonl", ROWS)
    return folder / "row_train.jsonl"


SPECIAL = {
    "folder-without-rows": (directory, "no file of rows"),
    "fifo": (fifo, "pipe"),
    "device": (lambda _: Path("/dev/zero"), "device"),
    "symlink-loop": (symlink_loop, "cannot be read"),
    "dangling-link": (dangling, "gone.jsonl, and there is no such file"),
    "missing": (missing, "no such file"),
    "missing-folder": (lambda folder: folder / "nowhere" / "rows.jsonl", "no such file"),
}


def cases() -> Iterator[Case]:
    for name, (line, says) in BAD_LINES.items():
        for where, position in POSITIONS.items():
            if name == "bom-inside" and position == 0:
                continue  # the one place where a byte order mark means something
            yield Case(f"{name}-{where}", with_line(line, position, b"\n"), says, position + 1)
        yield Case(f"{name}-crlf", with_line(line, BASE // 2, b"\r\n"), says, BASE // 2 + 1)
    for name, (file, data, says, at) in WHOLE_FILES.items():
        yield Case(name, whole(file, data), says, at)
    for name, (make, says) in SPECIAL.items():
        yield Case(name, make, says)
