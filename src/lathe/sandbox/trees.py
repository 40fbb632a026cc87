"""Folders in which a command has something to do, made from the names and words that stand in it.

    trees("grep -rl TODO src --include='*.py'", seed=0, now=...)      folders with src/, some .py files, lines with TODO

A pure function: the same command, seed and moment give the same bytes. Names that the command speaks of are there as files in one
folder and as folders in the next, patterns are filled in, quoted words stand in some lines of some files and not in others; beside
them are files of all sorts: empty, large, hidden, old, read-only, with blanks in their names.
"""

from __future__ import annotations

import io
import random
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass

from lathe.shell.canonical import programs

DAY = 86_400
QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
WORD = re.compile(r"[\w@%+.,:*?\[\]/~-]+")
NAME = re.compile(r"(?!-)(?:~/)?[\w@+,:.-]+(?:/[\w@+,:.-]+)*/?")
PATTERN = re.compile(r"[*?\[]")
NUMBER = re.compile(r"[+-]?\d+[kKMGcwbh]?")
SUFFIXES = (
    ".txt",
    ".log",
    ".c",
    ".py",
    ".sh",
    ".jpg",
    ".md",
    ".conf",
    ".html",
    ".bak",
    ".tmp",
    ".csv",
    ".java",
    ".xml",
    ".json",
)
STEMS = ("alpha", "beta", "gamma", "report", "notes 2", "Makefile", "data", "old", ".hidden")
FOLDERS = ("", "sub", "sub/deep", "other dir", "empty", ".config")
AGES = (0.01, 0.4, 1.5, 3.5, 6.5, 8.0, 20.0, 40.0, 100.0, 400.0)
MODES = (0o644, 0o644, 0o600, 0o755, 0o444, 0o777)
COMMON = ("error", "warning", "TODO", "the", "foo", "bar", "test", "100", "alice", "root")
MOST_NAMES = 24
NAMELESS = 2
"""The folder in which what a command names is not there yet, so that it can be made."""


@dataclass(frozen=True)
class Entry:
    """A file or folder. content: None for a folder; age in days."""

    content: bytes | None
    mode: int
    age: float


def trees(command: str, seed: int, now: float, count: int = 3) -> list[bytes]:
    """`count` folders as tars, for the command to begin in."""
    return [_tar(_grown(command, random.Random(f"{seed}:{place}:{command}"), place), now) for place in range(count)]


def words(command: str) -> tuple[list[str], list[str]]:
    """What a command may be about: (names and patterns of files, words that may stand in files)."""
    called = set(programs(command))
    quoted = [a or b for a, b in QUOTED.findall(command)]
    plain = [word for word in WORD.findall(QUOTED.sub(" ", command)) if not word.startswith("-") and word not in called]
    plain += [word.partition("=")[2] for word in re.findall(r"--[\w-]+=\S+", QUOTED.sub(" ", command))]
    names = [word.removeprefix("~/") for word in [*plain, *quoted] if _may_be_a_name(word)]
    said = [
        piece for text in [*quoted, *plain] for piece in re.findall(r"[\w.@-]+", text) if not NUMBER.fullmatch(piece)
    ]
    return list(dict.fromkeys(names))[:MOST_NAMES], list(dict.fromkeys([*quoted, *said]))[:MOST_NAMES]


def _may_be_a_name(word: str) -> bool:
    if NUMBER.fullmatch(word) or word in (".", "..", "/", "~", "") or word.startswith(("/", "..")):
        return False
    return bool(PATTERN.search(word) or NAME.fullmatch(word))


def _grown(command: str, draw: random.Random, place: int) -> dict[str, Entry]:
    """The entries of one folder by path. place: which of the folders; what a name is changes with it."""
    names, said = words(command)
    grown: dict[str, Entry] = {}
    for folder in FOLDERS[1:]:
        grown[folder] = Entry(None, 0o755, draw.choice(AGES))
    for number in range(9 + 3 * place):
        folder = draw.choice([folder for folder in FOLDERS if folder != "empty"])
        name = draw.choice(STEMS) + ("" if draw.random() < 0.15 else draw.choice(SUFFIXES))
        _put(grown, "/".join(filter(None, (folder, name))), _file(draw, said, number))
    for number, name in enumerate(names):
        if place == NAMELESS and not PATTERN.search(name):
            continue
        for path in _spelled(name, draw):
            if path.endswith("/") or ("." not in path.rsplit("/", 1)[-1].lstrip(".") and (number + place) % 2 == 0):
                _put(grown, path.rstrip("/"), Entry(None, 0o755, draw.choice(AGES)))
                for inner in (f"inner{draw.choice(SUFFIXES)}", f"deeper/more{draw.choice(SUFFIXES)}"):
                    _put(grown, f"{path.rstrip('/')}/{inner}", _file(draw, said, number))
                # What is searched for below a named folder has to be there as well.
                for pattern in (other for other in names if PATTERN.search(other)):
                    for below in _spelled(pattern, draw):
                        _put(grown, f"{path.rstrip('/')}/{below}", _file(draw, said, number))
            else:
                _put(grown, path, _file(draw, said, number))
    return grown


def _spelled(name: str, draw: random.Random) -> list[str]:
    """The name itself, or names that a pattern fits: one here, one in a folder."""
    if not PATTERN.search(name):
        return [name]
    filled = []
    for prefix in ("", "sub/"):
        text = re.sub(r"\[!?\^?([^\]])[^\]]*\]", r"\1", name)
        text = re.sub(r"\*+", lambda _: draw.choice(("one", "x2", "a")), text).replace("?", draw.choice("abc1"))
        filled.append(prefix + text.lstrip("/"))
    return [path for path in filled if NAME.fullmatch(path)]


def _put(grown: dict[str, Entry], path: str, entry: Entry) -> None:
    """Adds a path with the folders above it, unless something stands in its way."""
    parts = path.split("/")
    if path in grown or any(part in ("", ".", "..") for part in parts):
        return
    for end in range(1, len(parts)):
        above = "/".join(parts[:end])
        if grown.setdefault(above, Entry(None, 0o755, 1.5)).content is not None:
            return
    grown[path] = entry


def _file(draw: random.Random, said: Sequence[str], number: int) -> Entry:
    lines = []
    for _ in range(draw.choice((0, 1, 3, 12, 12, 30))):
        pieces = draw.choices([*said, *COMMON] if said and draw.random() < 0.6 else COMMON, k=draw.randint(1, 5))
        pieces.insert(draw.randint(0, len(pieces)), str(draw.randint(0, 40)))
        line = draw.choice((" ", " ", ",", ":", "\t")).join(pieces)
        lines.append(line.upper() if draw.random() < 0.1 else line)
        if draw.random() < 0.15:
            lines.append(draw.choice(("", lines[-1])))
    text = "\n".join(lines) + "\n" * bool(lines)
    if number % 7 == 5:
        text *= 2_000_000 // max(1, len(text)) if draw.random() < 0.3 else 4
    return Entry(text.encode(), draw.choice(MODES), draw.choice(AGES))


def _tar(grown: dict[str, Entry], now: float) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, entry in sorted(grown.items()):
            member = tarfile.TarInfo(path)
            member.mode, member.mtime = entry.mode, int(now - entry.age * DAY)
            member.type = tarfile.DIRTYPE if entry.content is None else tarfile.REGTYPE
            member.size = len(entry.content or b"")
            tar.addfile(member, io.BytesIO(entry.content or b""))
    return made.getvalue()


def contents(tar: bytes) -> dict[str, tuple[int, bytes, str]]:
    """What stands in a folder, by path: (mode, bytes of a file, target of a link); the folder itself and times are left out."""
    found: dict[str, tuple[int, bytes, str]] = {}
    with tarfile.open(fileobj=io.BytesIO(tar)) as members:
        for member in members:
            path = member.name.removeprefix("./").rstrip("/")
            if path not in (".", ""):
                kind = member.type if member.type != tarfile.AREGTYPE else tarfile.REGTYPE
                file = members.extractfile(member) if member.isreg() else None
                data = file.read() if file else kind
                found[path] = (member.mode, data, member.linkname)
    return found
