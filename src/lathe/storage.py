"""Files that are written whole or not at all, rows that are added one by one, and both read back.

    with committed(path) as file:          # appears complete when the block ends, or not at all
        file.write(b"...")
    with appending(path) as append:        # a JSON line a record; a torn last line of a killed writer is cut off first
        append(record)

A file is committed by one protocol: temporary name in the same folder, fsync, rename, fsync of the folder. A reader sees the old
content or the new, never half.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from lathe.errors import StorageError

if TYPE_CHECKING:
    from lathe.records import FileHash, Record

R = TypeVar("R", bound="Record")

FULL_DISK = {errno.ENOSPC, errno.EDQUOT}


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Re-words OSError of a write under `path` as StorageError with the path, what was free and what to do."""
    try:
        yield
    except OSError as error:
        free = ""
        with contextlib.suppress(OSError):
            folder = path if path.is_dir() else path.parent
            free = f", {shutil.disk_usage(folder).free / 1e6:.0f} MB free there"
        hint = "Free some space and run the same command again: it continues." if error.errno in FULL_DISK else None
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


def commit_rows(path: Path, rows: Iterable[Record]) -> str:
    """Writes one JSON line a record, atomically. Returns the sha256 of the file, in hex."""
    sha = hashlib.sha256()
    with committed(path) as file:
        for row in rows:
            line = row.model_dump_json(by_alias=True).encode() + b"\n"
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
            shutil.rmtree(aside, ignore_errors=True)


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
            file.write(row.model_dump_json(by_alias=True).encode() + b"\n")
            file.flush()
            if time.monotonic() - synced >= every_seconds:
                os.fsync(file.fileno())
                synced = time.monotonic()

    try:
        yield append
    finally:
        with writing(path), file:
            os.fsync(file.fileno())


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
