"""Is a run what its records say, byte for byte? Sealed when it ends, verified whenever somebody asks.

    seal(run)             -> digests.json: every file of the run folder with its sha256; taken away when a stage runs again
    verify(run, locked)   -> Verification: every file held against that, and against the digests of the records themselves
    changed(run)          -> the sealed files that are not as they were sealed: held before the seal is taken away
    refuse_changed(run)   -> InputError where there is one

The chain that is held: data files and base as they were locked, the rows of each side, everything in the run folder (adapter,
predictions, reports, shipped files down to the GGUF). Cost: one reading of all files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

from lathe.errors import InputError
from lathe.records import Bundle, Damage, Digests, FileHash, LockedRecipe, Verification, digest
from lathe.runs import RunFolder
from lathe.safe_text import typed
from lathe.storage import file_sha256

CHUNK = 1 << 20


def seal(run: RunFolder) -> Digests:
    """Writes the digests of all files that the run has now. Of those that go on growing the beginning is sealed."""
    files = tuple(
        FileHash(path=path.relative_to(run.path).as_posix(), sha256=file_sha256(path), num_bytes=path.stat().st_size)
        for path in _files(run)
    )
    sealed = Digests(files=files, sha256=digest([file.dump() for file in files]))
    run.commit(run.digests, sealed)
    return sealed


def changed(run: RunFolder, under: Path | None = None) -> list[Damage]:
    """The files of a sealed run, or those in one place of it, that are not as they were sealed; none where it is not sealed.

    The recipe is not among them: it is written at every opening, and what changed in it decides which stages run again.
    """
    if not run.digests.is_file():
        return []
    sealed, damaged = _sealed(run)
    paths = {path: file for file in sealed if (path := run.path / file.path) not in run.opened}
    held = (_held(run, path, file) for path, file in paths.items() if path.is_relative_to(under or run.path))
    return [*damaged, *(damage for damage in held if damage is not None)]


def has_other_recipe(run: RunFolder) -> bool:
    """Whether a sealed run was opened with another recipe since, if only in its words."""
    sealed = {run.path / file.path: file for file in _sealed(run)[0]} if run.digests.is_file() else {}
    return any(_held(run, path, sealed[path]) is not None for path in run.opened if path in sealed)


def refuse_changed(run: RunFolder, under: Path | None = None, *, but: Collection[Path] = ()) -> list[Path]:
    """Raises InputError that names the first of the files that `changed` finds.

    but: files, and folders of files, that may be changed; those that are come back.
    """
    lost = []
    for damage in changed(run, under):
        lost.append(path := run.path / damage.path)
        if not any(path.is_relative_to(place) for place in but):
            raise InputError(
                f"{path} is not as it was when the run ended: {damage.reason}",
                hint="Bring it back from a copy, or make the run again with --new. "
                f"All that changed: lathe verify {typed(run.path)}",
            )
    return lost


def verify(run: RunFolder, locked: LockedRecipe) -> Verification:
    """Compares every file that has a digest. Raises InputError where the run is not sealed, for too little could be told."""
    if not run.digests.is_file():
        raise InputError(
            f"{run.path} has no {run.digests.name}: it is not finished, or the file was taken away",
            hint=f"Finish it with: {run.again}",
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
        if size < expected.num_bytes or (size > expected.num_bytes and path not in run.growing):
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
