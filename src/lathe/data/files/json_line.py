"""One line of JSON, read strictly: what Python's reader lets through in silence is a fault here, with its column.

decode(b'{"a": 1, "a": 2}')  ->  LineFault: column 10: the key "a" stands twice
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from lathe.records import Json

MAX_DEPTH = 100
MAX_DIGITS = 400
"""Digits of a number; a longer one is no measurement, and Python refuses above 4,300."""

SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
NUL_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
BRACKETS = re.compile(r"[\[\]{}]")
LATIN_HINT = "The file is probably Latin-1 or Windows-1252: iconv -f WINDOWS-1252 -t UTF-8 IN > OUT"

JSON_WORDS = (
    (
        "Expecting property name enclosed in double quotes",
        "expected a key in double quotes",
        "Single quotes and trailing commas are no JSON.",
    ),
    ("Illegal trailing comma", "a comma with nothing behind it", "Remove it."),
    (
        "Expecting value",
        "expected a value",
        "Text needs double quotes; true, false and null are lower case; no trailing comma.",
    ),
    (
        "Expecting ',' delimiter",
        "expected a comma or the end of the object or list",
        "Is a comma, a quote or a backslash missing?",
    ),
    ("Expecting ':' delimiter", "expected a colon after the key", None),
    (
        "Unterminated string",
        "a text begins here and never ends",
        "Is the line cut off? A line break inside a text is written \\n.",
    ),
    (
        "Invalid control character",
        "a control character stands in a text as it is",
        "Write it escaped: \\n, \\t or \\u00XX.",
    ),
    ("Invalid \\escape", "an unknown escape", "A backslash itself is written \\\\."),
    ("Invalid \\uXXXX", "a broken \\u escape", "It takes four hexadecimal digits."),
)


class LineFault(Exception):
    """Why a line cannot be used. column: 1-based, in characters, where it is known."""

    def __init__(self, reason: str, column: int | None = None, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.column, self.hint = reason, column, hint


class _Refused(ValueError):
    """Raised inside the JSON reader; `needle` finds the column."""

    def __init__(self, reason: str, needle: str, nth: int, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.needle, self.nth, self.hint = reason, needle, nth, hint


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                needle = json.dumps(key, ensure_ascii=False)
                raise _Refused(
                    f"the key {needle} stands twice in one object", needle, 2, "Keep one; readers disagree about which."
                )
            seen.add(key)
    return value


def _constant(name: str) -> float:
    raise _Refused(f"{name} is no JSON number", name, 1, "Write null, or leave the key out.")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _Refused(f"the number {text[:40]} is too large for a 64-bit float", text, 1)
    return value


def _int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise _Refused(f"a number of {len(text)} digits, expected at most {MAX_DIGITS}", text, 1, "Write it as text.")
    return int(text)


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_float=_float, parse_int=_int)


def text_of(line: bytes) -> str:
    """The line as text. Raises LineFault for bytes that are not UTF-8 and for NUL."""
    nul = line.find(b"\0")
    if nul >= 0:
        raise LineFault("a NUL byte", nul + 1, "Is the file binary, UTF-16, or damaged?")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        column = len(line[: error.start].decode("utf-8")) + 1
        raise LineFault(f"byte 0x{line[error.start]:02x} is no UTF-8", column, LATIN_HINT) from error
    if text.startswith("\ufeff"):
        raise LineFault(
            "a byte order mark inside the file",
            1,
            "Files were joined; remove the mark: sed -i 's/\\xef\\xbb\\xbf//' FILE",
        )
    return text


def decode(line: bytes) -> Json:
    """The JSON value of one line, without its line end. Raises LineFault."""
    text = text_of(line)
    value, end = decode_at(text, len(text) - len(text.lstrip(" \t\r\n")))
    rest = len(text) - len(text[end:].lstrip(" \t\r\n"))
    if rest < len(text):
        if "\r" in text[end:rest]:
            raise LineFault("lines end with CR alone", None, "Convert the line ends: tr '\\r' '\\n' < IN > OUT")
        raise LineFault("a second value on the line", rest + 1, "Write one object a line.")
    return value


def decode_at(text: str, at: int) -> tuple[Json, int]:
    """The JSON value that begins at a position of a text, and the position behind it. Columns of a LineFault are positions + 1."""
    try:
        value, end = _decoder.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise _worded(error, text) from error
    except _Refused as error:
        raise LineFault(error.reason, nth_column(text, error.needle, error.nth, at), error.hint) from error
    except RecursionError as error:
        raise too_deep() from error
    written = text[at:end]
    if written.count("[") + written.count("{") > MAX_DEPTH and depth(written) > MAX_DEPTH:
        raise too_deep()
    if "\\u" in written:
        refuse_escapes(written, value, at)
    return value, end


def too_deep() -> LineFault:
    """The fault of brackets within brackets within brackets."""
    return LineFault(f"nested deeper than {MAX_DEPTH} levels", None, "Flatten it.")


def row_of(line: bytes) -> dict[str, Json]:
    """The JSON object of one line. Raises LineFault where it is anything else."""
    return as_row(decode(line))


def as_row(value: Json) -> dict[str, Json]:
    """The value, if it is an object. Raises LineFault."""
    if not isinstance(value, dict):
        words = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
        raise LineFault(f"the row is {words}, expected an object", 1, 'Write {"field": value, ...} for each row.')
    return value


def depth(text: str) -> int:
    """Deepest nesting of brackets outside of texts."""
    deepest = level = 0
    for character in BRACKETS.findall(STRING.sub("", text)):
        level += 1 if character in "[{" else -1
        deepest = max(deepest, level)
    return deepest


def nth_column(text: str, needle: str, nth: int, at: int = 0) -> int | None:
    """1-based column of the nth occurrence of a text from a position on, else None."""
    for _ in range(nth):
        at = text.find(needle, at) + 1
        if not at:
            return None
    return at


def refuse_escapes(text: str, value: Json, at: int) -> None:
    """Raises LineFault for half a surrogate pair and for NUL written as an escape: neither can be tokenised."""
    half = SURROGATE.search(text)
    if half:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            hint = "The text was cut inside a character; mend the row."
            raise LineFault("half of a surrogate pair (\\ud800 to \\udfff)", at + half.start() + 1, hint) from error
    nul = NUL_ESCAPE.search(text)
    if nul:
        raise LineFault("a NUL character (\\u0000) in a text", at + nul.end() - 5, "Remove it.")


def _worded(error: json.JSONDecodeError, text: str) -> LineFault:
    column = error.pos + 1
    if error.msg.startswith("Expecting") and error.pos >= len(text):
        return LineFault(
            "the line ends in the middle of a value",
            column,
            "Is the file cut off, or the object spread over several lines?",
        )
    for said, words, hint in JSON_WORDS:
        if error.msg.startswith(said):
            return LineFault(words, column, hint)
    return LineFault(f"this is no JSON: {error.msg}", column)
