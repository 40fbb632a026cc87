"""Files that are written whole or not at all, rows that are added one by one, and both read back.

    with committed(path) as file:          # appears complete when the block ends, or not at all
        file.write(b"...")
    with appending(path) as append:        # a JSON line a record; a torn last line of a killed writer is cut off first
        append(record)

A file is committed by one protocol: temporary name in the same folder, fsync, rename, fsync of the folder. A reader sees the old
content or the new, never half. What a killed process left under a temporary name is taken away by `sweep`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from lathe.errors import StorageError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from lathe.records import FileHash, Record

R = TypeVar("R", bound="Record")

FULL_DISK = {errno.ENOSPC, errno.EDQUOT}


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Re-words OSError of a write under `path` as StorageError with the path; of a full disk with what is free and what to do."""
    try:
        yield
    except OSError as error:
        free, hint = "", None
        if error.errno in FULL_DISK:
            hint = "Free some space and run the same command again: it continues."
            with contextlib.suppress(OSError):
                folder = path if path.is_dir() else path.parent
                free = f", {shutil.disk_usage(folder).free / 1e6:.0f} MB free there"
        raise StorageError(f"could not write {path}: {error.strerror or error}{free}", hint=hint) from error


def sync_folder(folder: Path) -> None:
    """Makes renames inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def committed(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that appears under `path` complete, when the block ends without an error, or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def commit_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    with committed(path) as file:
        file.write(text.encode())


def line_of(row: Record) -> bytes:
    """A record as a line of a JSONL file."""
    return row.model_dump_json(by_alias=True).encode() + b"\n"


def commit_rows(path: Path, rows: Iterable[Record]) -> str:
    """Writes one JSON line a record, atomically. Returns the sha256 of the file, in hex."""
    sha = hashlib.sha256()
    with committed(path) as file:
        for row in rows:
            line = line_of(row)
            sha.update(line)
            file.write(line)
    return sha.hexdigest()


def commit_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Makes a folder that appears under `path` complete or not at all; `fill` writes into the temporary one.

    An older folder under `path` is replaced: moved aside, then deleted once the new one stands.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    aside = path.with_name(f".{path.name}.{os.getpid()}.old")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            fill(temporary)
            for file in sorted(temporary.rglob("*")):
                if file.is_file():
                    with open(file, "rb") as handle:
                        os.fsync(handle.fileno())
            for folder in [*(f for f in temporary.rglob("*") if f.is_dir()), temporary]:
                sync_folder(folder)
            if path.exists():
                os.replace(path, aside)
            os.replace(temporary, path)
            sync_folder(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            _settle(aside, path)


def sweep(folder: Path) -> None:
    """Takes away what killed processes left half-written or half-removed below `folder`. Only for who holds the folder alone.

    Raises StorageError.
    """
    with writing(folder):
        for path in sorted(folder.rglob(".*.tmp")):
            _remove(path)
        for path in sorted(folder.rglob(".*.old")):
            if replaced := _ASIDE.fullmatch(path.name):
                _settle(path, path.with_name(replaced["name"]))
            else:
                _remove(path)


_ASIDE = re.compile(r"\.(?P<name>.+)\.\d+\.old")
"""A folder that was about to be replaced by a new one. Other names in .old are folders that were about to be removed."""


def _settle(aside: Path, path: Path) -> None:
    """An old folder that was moved aside: back in place where no new one came, else gone."""
    if aside.exists() and not path.exists():
        os.replace(aside, path)
        sync_folder(path.parent)
    else:
        _remove(aside)


def _remove(path: Path) -> None:
    """Takes a file or folder away, as far as that can be done; what stays has a name that nobody reads."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        with contextlib.suppress(OSError):
            path.unlink()


@contextlib.contextmanager
def appending(path: Path, every_seconds: float = 1.0) -> Iterator[Callable[[Record], None]]:
    """Adds JSON lines to a file, one a call: in the file at once, on the disk within about `every_seconds` and when the block ends.

    A torn last line, left by a writer that was killed, is cut off first, so that the next line stands on its own.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+b")  # noqa: SIM115 - writing() must not re-word errors of the caller's block
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
    synced = time.monotonic()

    def append(row: Record) -> None:
        nonlocal synced
        with writing(path):
            file.write(line_of(row))
            file.flush()
            if time.monotonic() - synced >= every_seconds:
                os.fsync(file.fileno())
                synced = time.monotonic()

    try:
        yield append
    finally:
        with writing(path), file:
            os.fsync(file.fileno())


class _Nameless(io.FileIO):
    """See `scratch`. Here, since a buffer is written when it is full, which may be long after it was filled."""

    def __init__(self, folder: Path) -> None:
        with writing(folder), tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            super().__init__(os.dup(file.fileno()), "r+b")
        self._folder = folder

    def write(self, some: Buffer, /) -> int:
        with writing(self._folder):
            return super().write(some)


def scratch(folder: Path) -> io.BufferedRandom:
    """A file without a name on the file system of `folder`; it vanishes with the process. Its writes raise StorageError."""
    return io.BufferedRandom(_Nameless(folder))


def append_line(path: Path, line: str) -> None:
    """Adds a line to a file that others may add to as well; what a killed writer left torn stays a line of its own.

    Raises StorageError.
    """
    with writing(path), open(path, "a+b") as file:
        if file.tell() and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
            file.write(b"\n")
        file.write(line.encode() + b"\n")


def read_rows(path: Path, kind: type[R]) -> list[R]:
    """All records of a JSONL file. A torn last line (the writer was killed) is left out."""
    return list(each_row(path, kind))


def each_row(path: Path, kind: type[R]) -> Iterator[R]:
    """The same, one after the other."""
    with open(path, "rb") as file:
        for line in file:
            if not line.strip(b"\n"):
                continue
            try:
                yield kind.model_validate_json(line)
            except ValueError:
                return


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashed_files(folder: Path) -> tuple[FileHash, ...]:
    """Every file below a folder, by its path in it, with size and sha256; sorted."""
    from lathe.records import FileHash

    return tuple(
        FileHash(path=path.relative_to(folder).as_posix(), sha256=file_sha256(path), num_bytes=path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )
