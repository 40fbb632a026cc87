"""Where a path leads, as far as harm goes: the lattice that every rule about files reads.

place("/", "")  -> ROOT      place("~/.ssh/..", "") -> HOME      place("*", "/") -> ROOT      place("build", "") -> HERE
place(HOLE + "/", "")  -> ROOT: an empty variable leaves the slash
"""

from __future__ import annotations

import fnmatch
import re
from enum import IntEnum

from lathe.shell.marks import HOLE, UNKNOWN


class Place(IntEnum):
    """From harmless to fatal."""

    SINK = 0
    """/dev/null and its kin"""
    TEMPORARY = 1
    HERE = 2
    """Something named below the working directory."""
    ELSEWHERE = 3
    """Something named, at least two folders deep, outside the system's own."""
    UNKNOWN = 4
    WHOLE = 5
    """The working directory itself, all that is in it, or one above it."""
    REPOSITORY = 6
    """A .git folder."""
    TOP = 7
    """A folder directly below the root that is not the system's."""
    HOME = 8
    """A home directory as a whole."""
    SYSTEM = 9
    DEVICE = 10
    """A disk or memory device."""
    ROOT = 11


DISK = re.compile(
    r"/dev/(?:[shv]d[a-z*?\[]|xvd|nvme|mmcblk|disk|rdisk|mapper/|md\d|dm-|sr\d|vg|ram\d|mem$|kmem$|port$|nbd|block/|root$|hd[a-z]|ad\d|da\d|fd\d{1,3}$(?<!fd/))"
)
SINKS = re.compile(
    r"/dev/(?:null|zero|full|stdout|stderr|stdin|tty\w*|pts/.*|fd/.*|heredoc/.*|shm/.+|log|console|pty.*|u?random)$"
)
TEMPORARY = re.compile(r"(?:/private)?/(?:tmp|var/tmp|dev/shm)/(?!\*?$).|~/\.cache/.|~/tmp/.")
TOPS = ("bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt", "proc", "root", "run", "sbin",
        "srv", "sys", "tmp", "usr", "var", "Users", "System", "Library", "Applications", "private", "Volumes")  # fmt: skip
"""What stands below the root."""
DEEP = (
    "bin",
    "boot",
    "dev",
    "etc",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "proc",
    "sbin",
    "sys",
    "System",
    "Library",
    "run",
)
"""System folders in which everything counts as the system."""
SHALLOW = {
    "usr": ("bin", "lib", "lib64", "lib32", "sbin", "libexec", "share", "include"),
    "var": ("lib", "log", "spool", "cache", "mail", "run", "db"),
    "private": ("etc", "var"),
}
"""Folders in which these are the system's, as a whole where they stand in KEPT, else everything in them."""
KEPT = ("share", "include", "lib", "log", "spool", "cache", "mail", "run", "db", "var")
GLOB = re.compile(r"[*?\[]")
EVERYTHING = re.compile(r"[*?]+|\.\*|\.\?\*|\[!?\.?\][*?]*|\.\[!?\^?\.\]\*|\[[^\]]*-[^\]]*\][*?]*|\*\.\*")


def resolved(path: str, cwd: str) -> str:
    """The path from the root, from home (`~`) or from an unknown working directory, without `.`, `..` and double slashes.

    cwd: in the same form; empty where it is not known.
    """
    if path[:1] not in ("/", "~") and cwd:
        path = f"{cwd}/{path}"
    if path.startswith("/") and "//" not in path and "/." not in path and (len(path) == 1 or path[-1] != "/"):
        return path
    absolute = path.startswith("/")
    kept: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            kept.append(part)
        elif kept and kept[-1] not in ("..", "~"):
            kept.pop()
        elif kept[-1:] == ["~"]:
            kept, absolute = ["home"], True
        elif not absolute:
            kept.append("..")
    return "/" + "/".join(kept) if absolute else "/".join(kept) or "."


def place(path: str, cwd: str = "") -> Place:
    """Where the path leads; of an unknown part the worst is taken: that it is empty."""
    if HOLE not in path and HOLE not in cwd and not UNKNOWN.search(path):
        return _known(resolved(path, cwd))
    if not UNKNOWN.sub("", path).strip():
        return Place.UNKNOWN
    empty = _known(resolved(UNKNOWN.sub("", path), UNKNOWN.sub("", cwd)))
    named = _known(resolved(UNKNOWN.sub("value", path), UNKNOWN.sub("value", cwd)))
    return max(empty, named)


def _known(path: str) -> Place:
    if path in (".", "..", "*", ".*") or path.startswith("../"):
        deeper = (
            path.startswith("../") and not EVERYTHING.fullmatch(path.rsplit("/", 1)[-1]) and not path.endswith("..")
        )
        return Place.ELSEWHERE if deeper else Place.WHOLE
    if path[0] == "~":
        return _home(path)
    parts = path.split("/")
    if ".git" in parts and parts[-1] == ".git":
        return Place.REPOSITORY
    if path[0] != "/":
        return Place.WHOLE if len(parts) == 1 and EVERYTHING.fullmatch(path) else Place.HERE
    if path == "/":
        return Place.ROOT
    if SINKS.match(path):
        return Place.SINK
    if DISK.match(path):
        return Place.DEVICE
    if TEMPORARY.match(path):
        return Place.TEMPORARY
    return _below_root(parts[1:])


def _home(path: str) -> Place:
    user, _, rest = path.partition("/")
    if not rest or EVERYTHING.fullmatch(rest):
        return Place.HOME
    if TEMPORARY.match(path):
        return Place.TEMPORARY
    parts = rest.split("/")
    if len(parts) == 1 and (rest[0] == "." or GLOB.search(rest)) and user == "~":
        return Place.HOME if rest in (".ssh", ".config", ".gnupg", ".local", ".*") else Place.ELSEWHERE
    return Place.REPOSITORY if parts[-1] == ".git" else Place.ELSEWHERE


def _below_root(parts: list[str]) -> Place:
    top = parts[0]
    if GLOB.search(top):
        if len(parts) == 1 and EVERYTHING.fullmatch(top):
            return Place.ROOT
        hit = next((name for name in TOPS if fnmatch.fnmatchcase(name, top)), None)
        if hit is None:
            return Place.TOP if len(parts) == 1 else Place.ELSEWHERE
        return (
            Place.ROOT
            if len(parts) == 1 and sum(fnmatch.fnmatchcase(n, top) for n in TOPS) > 3
            else _below_root([hit, *parts[1:]])
        )
    inner = parts[1:]
    while inner and EVERYTHING.fullmatch(inner[-1]):
        inner = inner[:-1]
    if top in ("home", "Users"):
        if len(inner) == 1:
            return Place.HOME
        return Place.HOME if not inner else Place.ELSEWHERE
    if top == "root":
        return Place.HOME if not inner else Place.ELSEWHERE
    if top in DEEP:
        return Place.SYSTEM
    if top in SHALLOW:
        system = not inner or (inner[0] in SHALLOW[top] and (len(inner) == 1 or inner[0] not in KEPT))
        return Place.SYSTEM if system else Place.ELSEWHERE
    if top == "tmp":
        return Place.TEMPORARY
    if not inner:
        return Place.SYSTEM if top in TOPS else Place.TOP
    return Place.ELSEWHERE
