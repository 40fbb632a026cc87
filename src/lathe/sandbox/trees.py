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
SIZES = (200, 0, 3_000, 150_000)
"""Bytes of a file, about; one in four is empty."""
ALL_FOLDERS = 0
"""The folder in which every name without an ending is a folder; in the others it is a file."""
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
    patterns = [name for name in names if PATTERN.search(name)]
    grown: dict[str, Entry] = {}
    for folder in FOLDERS[1:]:
        grown[folder] = Entry(None, 0o755, draw.choice(AGES))
    for name in names:
        if place == NAMELESS and name not in patterns:
            continue
        for path in _spelled(name, draw):
            if path.endswith("/") or (place == ALL_FOLDERS and "." not in path.rsplit("/", 1)[-1].lstrip(".")):
                _fill(grown, path.rstrip("/"), patterns, said, draw)
            else:
                _put(grown, path, _file(draw, said, 0))
    for number in range(9 + 3 * place):
        folder = draw.choice([folder for folder in FOLDERS if folder != "empty"])
        name = draw.choice(STEMS) + ("" if draw.random() < 0.15 else draw.choice(SUFFIXES))
        _put(grown, "/".join(filter(None, (folder, name))), _file(draw, said, number % len(SIZES)))
    _fill(grown, "", patterns, said, draw)
    return grown


def _fill(
    grown: dict[str, Entry], folder: str, patterns: Sequence[str], said: Sequence[str], draw: random.Random
) -> None:
    """Files of all sizes and ages in a folder and below it, some of whose names fit the patterns, and an empty folder."""
    _put(grown, f"{folder}/hollow".lstrip("/"), Entry(None, 0o755, draw.choice(AGES)))
    for depth in ("", "deeper/", "deeper/down/"):
        for size in range(len(SIZES) - bool(depth)):
            names = [path for pattern in patterns for path in _spelled(pattern, draw)[:1]] or [
                f"inner{draw.choice(SUFFIXES)}"
            ]
            for name in names[:4]:
                path = f"{folder}/{depth}{size}-{name}" if size else f"{folder}/{depth}{name}"
                _put(grown, path.lstrip("/"), _file(draw, said, size))


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


def _file(draw: random.Random, said: Sequence[str], size: int) -> Entry:
    """A file of one of SIZES. Each word of the command stands in some of its lines, and other words in others."""
    lines = []
    for number in range(draw.randint(6, 20)):
        pieces = draw.choices(COMMON, k=draw.randint(1, 5))
        if said and number % 2:
            pieces += [said[number // 2 % len(said)], draw.choice(said)]
        pieces.insert(draw.randint(0, len(pieces)), str(draw.randint(0, 40)))
        line = draw.choice((" ", " ", ",", ":", "\t")).join(pieces)
        lines.append(line.upper() if draw.random() < 0.1 else line)
        if draw.random() < 0.15:
            lines.append(draw.choice(("", lines[-1])))
    text = "\n".join(lines) + "\n"
    text *= SIZES[size] // len(text) + 1 if SIZES[size] else 0
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
