"""Which folder a run is in, and its recipe with everything fixed: found, made, or as it was locked before.

    folder, locked = start("demo", root=Path("runs"))          the newest run of that name under its recipe of today, or a new one
    folder, locked = opened("runs/2026-11-20T081500-demo-3f9c1a")           a run as it was locked

Of a run folder, `new` makes another run of its recipe as it was locked, and `smoke` a smoke run of it.

Cost: the hashes of base and data; a base of the Hub is fetched.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from lathe.errors import InputError
from lathe.pipeline.smoke import smoke_recipe
from lathe.pipeline.stages import stage_hashes
from lathe.records import FileHash, LockedRecipe, Recipe, RunRecord
from lathe.runs import RunFolder, new_folder, newest, stage_inputs
from lathe.safe_text import typed
from lathe.storage import commit_text, file_sha256
from lathe.version import __version__

Opened = tuple[RunFolder, LockedRecipe]


def start(recipe: str | Path, sets: tuple[str, ...], *, root: Path, new: bool, smoke: bool, weights: bool) -> Opened:
    """What `Run.start` opens or makes."""
    from lathe import resolve

    run = RunFolder(Path(recipe))
    is_run = run.run_record.is_file()
    if is_run and not new and (run.is_smoke or not smoke):
        return _reopened(run.path, sets, weights=weights)
    read = meant(recipe, sets)
    path = _own_recipe(run) if is_run else resolve.find_recipe(str(recipe))
    smoke = smoke or (is_run and run.is_smoke)
    if smoke:
        read = smoke_recipe(read)
    found = None if new else newest(root, read.name, smoke=smoke)
    locked = _locked(read, path.parent, found, weights=weights)
    folder = found or _made(root, read, path, smoke)
    with folder.lock():
        commit_text(folder.recipe, path.read_text(encoding="utf-8"))
        folder.commit(folder.lock_record, locked)
    return folder, locked


def meant(recipe: str | Path, sets: tuple[str, ...]) -> Recipe:
    """The recipe that a word names, with `sets` changed; of a run folder the one that it was locked with. Nothing is made."""
    from lathe import resolve

    run = RunFolder(Path(recipe))
    if run.run_record.is_file():
        return _as_locked(run, opened(run.path)[1], sets)
    if run.lock_record.is_file():  # else its recipe would go on in another folder
        raise _no_run(recipe)
    return resolve.read_recipe(resolve.find_recipe(str(recipe)), sets)


def opened(path: str | Path) -> Opened:
    """An existing run, as it was locked. Raises InputError where the folder is no run."""
    folder = RunFolder(Path(path))
    if not folder.run_record.is_file():
        raise _no_run(path)
    if not folder.lock_record.is_file():
        raise InputError(
            f"{path} cannot be opened: it has no {folder.lock_record.name}, where its recipe is fixed",
            hint="Bring the file back from a copy, or give the recipe's own file: lathe run RECIPE",
        )
    return folder, _with_its_base(folder.load(folder.lock_record, LockedRecipe))


def _no_run(path: str | Path) -> InputError:
    folder = RunFolder(Path(path))
    hint = "lathe ls shows the runs that are here."
    if folder.lock_record.is_file():
        hint = f"It was one: bring run.json back from a copy, or begin a new run with: lathe run {typed(folder.recipe)}"
    return InputError(f"{path} is no run folder: it has no run.json", hint=hint)


def _with_its_base(locked: LockedRecipe) -> LockedRecipe:
    """A bundled base is where Lathe is installed now, wherever it was when the recipe was locked."""
    from lathe.resolve.base import bundled

    if not locked.recipe.base.startswith("lathe:") or Path(locked.base_folder).is_dir():
        return locked
    return locked.model_copy(update={"base_folder": str(bundled(locked.recipe.base))})


def with_taught(locked: LockedRecipe, run: RunFolder | None) -> LockedRecipe:
    """The lock with the rows of its teacher, where they are there as it was asked for them; its hash is over all that is in it."""
    taught = _taught(locked, run) if run is not None and locked.recipe.teacher is not None else None
    locked = locked.model_copy(update={"inputs": "", "taught": taught})
    return locked.model_copy(update={"inputs": stage_inputs({"recipe": locked.dump()})})


def _taught(locked: LockedRecipe, run: RunFolder) -> FileHash | None:
    from lathe.data import teaching
    from lathe.records.teacher import TeachRecord

    asked = stage_hashes(locked)["teach"]
    if run.done(run.teacher_record, TeachRecord, asked) is None or not teaching.intact(run):
        return None
    path = run.taught.relative_to(run.path).as_posix()
    return FileHash(path=path, sha256=file_sha256(run.taught), num_bytes=run.taught.stat().st_size)


def _reopened(path: Path, sets: tuple[str, ...], *, weights: bool) -> Opened:
    """A run as it was locked, with `sets` changed."""
    folder, locked = opened(path)
    if not sets:
        return folder, locked
    locked = _locked(_as_locked(folder, locked, sets), path, folder, weights=weights)
    with folder.lock():
        folder.commit(folder.lock_record, locked)
    return folder, locked


def _as_locked(run: RunFolder, locked: LockedRecipe, sets: tuple[str, ...]) -> Recipe:
    """A run's recipe with `sets` changed. Its paths were made absolute when it was locked."""
    from lathe import resolve

    text = json.dumps(locked.recipe.model_dump(mode="json", by_alias=True))
    return resolve.parse_recipe(text, str(run.lock_record), sets)


def _own_recipe(run: RunFolder) -> Path:
    """The recipe's text in a run, with which another run of it begins."""
    if not run.recipe.is_file():
        raise InputError(
            f"{run.recipe} is not there, and another run would begin with it",
            hint="Bring the file back from a copy, or give the recipe's own file: lathe run RECIPE",
        )
    return run.recipe


def _locked(recipe: Recipe, folder: Path, run: RunFolder | None, *, weights: bool) -> LockedRecipe:
    """The recipe with everything fixed; its hash is over all that was fixed. run: where it was locked before.

    A base that cannot be trained so is refused before its weights are fetched, and before any row is read or asked of a teacher.
    """
    from lathe import plan, resolve

    base = resolve.find_base(recipe.base, folder, weights=False)
    plan.foresee(recipe, base.folder)
    if weights:
        base = resolve.find_base(recipe.base, folder)
    known: tuple[FileHash, ...] = ()
    if run is not None and not weights and run.lock_record.is_file():
        known = run.load(run.lock_record, LockedRecipe).base_files
    return with_taught(resolve.lock(recipe, folder, base, weights=weights, known=known), run)


def _made(root: Path, recipe: Recipe, path: Path, smoke: bool) -> RunFolder:
    """A new run folder with its first record. path: of the recipe's file."""
    folder = new_folder(root, recipe.name, path.read_text(encoding="utf-8"))
    created = datetime.now(UTC).isoformat(timespec="seconds")
    record = RunRecord(id=folder.path.name, name=recipe.name, created=created, lathe_version=__version__, smoke=smoke)
    folder.commit(folder.run_record, record)
    return folder
