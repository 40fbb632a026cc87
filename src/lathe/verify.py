"""Is a run what its records say, byte for byte? Sealed when it ends, verified whenever somebody asks.

    seal(run)             -> digests.json: every file of the run folder with its sha256; taken away when a stage runs again
    verify(run, locked)   -> Verification: every file held against that, and against the digests of the records themselves

The chain that is held: data files and base as they were locked, the rows of each side, everything in the run folder (adapter,
predictions, reports, shipped files down to the GGUF). Cost: one reading of all files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from lathe.errors import InputError
from lathe.records import Bundle, Damage, Digests, FileHash, LockedRecipe, Verification, digest
from lathe.runs import RunFolder
from lathe.storage import file_sha256

CHUNK = 1 << 20


def seal(run: RunFolder) -> Digests:
    """Writes the digests of all files that the run has now. The journal goes on growing: its beginning is sealed."""
    files = tuple(
        FileHash(path=path.relative_to(run.path).as_posix(), sha256=file_sha256(path), num_bytes=path.stat().st_size)
        for path in _files(run)
    )
    sealed = Digests(files=files, sha256=digest([file.dump() for file in files]))
    run.commit(run.digests, sealed)
    return sealed


def verify(run: RunFolder, locked: LockedRecipe) -> Verification:
    """Compares every file that has a digest. Raises InputError where the run is not sealed, for too little could be told."""
    if not run.digests.is_file():
        raise InputError(
            f"{run.path} has no {run.digests.name}: it is not finished, or the file was taken away",
            hint=f"Finish it with: lathe run {run.path}",
        )
    sealed, damaged = _sealed(run)
    expected = {str(run.path / file.path): file for file in (*sealed, *_recorded(run, locked))}
    damaged += [damage for path, file in expected.items() if (damage := _held(run, Path(path), file)) is not None]
    known = {str(run.path / file.path) for file in sealed}
    return Verification(
        run=str(run.path),
        num_files=len(expected),
        num_bytes=sum(file.num_bytes for file in expected.values()),
        damaged=tuple(damaged),
        unsealed=tuple(str(path.relative_to(run.path)) for path in _files(run) if str(path) not in known),
    )


def _files(run: RunFolder) -> list[Path]:
    """Every file of a run but the seal itself and what is hidden: the lock, the heartbeat, files half-written."""
    inside = (path for path in run.path.rglob("*") if path.is_file() and path != run.digests)
    return sorted(p for p in inside if not any(part.startswith(".") for part in p.relative_to(run.path).parts))


def _sealed(run: RunFolder) -> tuple[tuple[FileHash, ...], list[Damage]]:
    """The sealed digests, and the damage where the seal itself is not as it was written."""
    name = run.digests.name
    try:
        text = run.digests.read_text(encoding="utf-8")
        found = Digests.from_json(text)
    except ValueError:
        return (), [Damage(path=name, reason="cannot be read: its own bytes have changed")]
    if found.to_json() != text or digest([file.dump() for file in found.files]) != found.sha256:
        return found.files, [Damage(path=name, reason="its own bytes have changed")]
    return found.files, []


def _recorded(run: RunFolder, locked: LockedRecipe) -> Iterator[FileHash]:
    """What the records state besides the seal: base and data outside the run, and the shipped files.

    Records that are damaged themselves are left to the seal.
    """
    for file in locked.base_files:
        yield file.model_copy(update={"path": str(Path(locked.base_folder) / file.path)})
    yield from locked.data_files
    try:
        bundle = run.load(run.bundle_record, Bundle)
    except InputError:
        return
    for shipped in (*bundle.shipped, *bundle.withheld):
        for file in shipped.files:
            yield file.model_copy(update={"path": f"{shipped.path}/{file.path}"})


def _held(run: RunFolder, path: Path, expected: FileHash) -> Damage | None:
    """What is wrong with one file, or None."""
    shown = str(path.relative_to(run.path)) if path.is_relative_to(run.path) else str(path)
    try:
        size = path.stat().st_size
        if size < expected.num_bytes or (size > expected.num_bytes and path != run.journal_file):
            return Damage(path=shown, reason=f"{size:,} bytes, expected {expected.num_bytes:,}")
        found = _beginning_sha256(path, expected.num_bytes)
    except OSError as error:
        return Damage(path=shown, reason=f"cannot be read: {error.strerror or error}")
    if found != expected.sha256:
        return Damage(path=shown, reason=f"sha256 {found[:12]}, expected {expected.sha256[:12]}")
    return None


def _beginning_sha256(path: Path, num_bytes: int) -> str:
    """sha256, in hex, of the first bytes of a file."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while num_bytes > 0 and (part := file.read(min(CHUNK, num_bytes))):
            sha.update(part)
            num_bytes -= len(part)
    return sha.hexdigest()
