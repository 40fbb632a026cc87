"""Abstract texts: ordinary strings in which single reserved signs stand for what is not known or must not be forgotten.

    "rm -rf /tmp/" + HOLE          a text that ends with something unknown, perhaps with nothing
    FETCHED                        what a download brings; executed, it is remote code
    DECODED + "rm -rf /"           known text, but it came out of a decoder

The signs are control characters that no command may hold: `lathe.shell.gate` takes them out of what is judged.
"""

from __future__ import annotations

import re

HOLE = "\x00"
FETCHED = "\x01"
SECRET = "\x02"
"""Content of a credential file."""
ENVIRONMENT = "\x03"
"""Listing of all environment variables."""
LOCAL = "\x13"
"""Content of a file that is here, but not shown."""
DECODED = "\x04"
"""Of no width: what follows was hidden in an encoding."""
BREAK = "\x05"
"""Where the shell splits a word into fields."""
QUOTED = "\x06"
"""Of no width: a quoted part, so that the field stays although it is empty."""
OPEN, COMMA, CLOSE = "\x0e", "\x0f", "\x10"
"""An unquoted `{`, `,`, `}` until braces are expanded."""
SOME = "\x11"
"""As the last part of a path: those of a folder that a filter chose."""
JUNK = "\x12"
"""As the last part of a path: those of a folder whose names say that they are made again, such as *.pyc."""
EACH = "\x15"
"""As the last part of a path: every one below a folder, given one by one."""
ENDLESS = "\x14"
"""Of no width: text that never ends, as that of yes."""

UNKNOWN = re.compile(f"[{HOLE}{FETCHED}{SECRET}{ENVIRONMENT}{LOCAL}]+")
BRACES = str.maketrans({"{": OPEN, ",": COMMA, "}": CLOSE})
UNBRACED = str.maketrans({OPEN: "{", COMMA: ",", CLOSE: "}"})
MOST_FIELDS = 1000
"""Brace lists that give more words are left as an unknown word."""


def is_known(text: str) -> bool:
    """Whether nothing in the text is unknown."""
    return UNKNOWN.search(text) is None


def plain(text: str) -> str:
    """Without the marks that have no width."""
    return text.replace(DECODED, "").replace(QUOTED, "").replace(ENDLESS, "")


def of_found(path: str) -> tuple[str, str]:
    """(the folder, the mark) of a path that stands for things found in a folder; no mark where it stands for itself."""
    for mark in (SOME, JUNK, EACH):
        if mark in path:
            return path.split(f"/{mark}")[0].split(mark)[0] or "/", mark
    return path, ""


def origin(*texts: str) -> str:
    """The unknown text that a program gives which works on these: a download stays a download, a secret a secret."""
    for mark in (FETCHED, SECRET, ENVIRONMENT):
        if any(mark in text for text in texts):
            return mark
    return HOLE


def fields(text: str) -> list[str]:
    """The words that one expanded word becomes: braces first, then splitting; an unquoted empty one vanishes."""
    if text.isprintable():
        return [text] if text else []
    found: list[str] = []
    for whole in _braces(text):
        for field in whole.split(BREAK):
            if field:
                found.append(field.replace(QUOTED, "").translate(UNBRACED))
    return found if len(found) <= MOST_FIELDS else [HOLE]


def _braces(text: str) -> list[str]:
    """`a{b,c}` -> [ab, ac], innermost braces first."""
    done: list[str] = []
    todo = [text]
    while todo:
        if len(todo) + len(done) > MOST_FIELDS:
            return [HOLE]
        whole = todo.pop(0)
        close = whole.find(CLOSE)
        start = whole.rfind(OPEN, 0, close) if close >= 0 else -1
        if start < 0:
            if close < 0:
                done.append(whole)
            else:
                todo.insert(0, whole[:close] + "}" + whole[close + 1 :])
            continue
        inner = whole[start + 1 : close].split(COMMA)
        if len(inner) == 1:
            todo.insert(0, f"{whole[:start]}{{{inner[0]}}}{whole[close + 1 :]}")
        else:
            todo[:0] = [whole[:start] + part + whole[close + 1 :] for part in inner]
    return done
