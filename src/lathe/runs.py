"""The run folder: the only place that names the files of a run, and the only place that writes them.

A file is committed by one protocol: temporary name in the same folder, fsync, rename, fsync of the folder. A reader sees the
old content or the new, never half. The record that says "this stage is done" is committed last.

    runs/2026-11-20T0815-edge-json-3f9c1a/
      recipe.yaml recipe.lock.json run.json journal.jsonl doctor.json plan.json
      data/   train.jsonl validation.jsonl test.jsonl rejected.jsonl setup.json manifest.json
              and of a teacher: answers.jsonl taught.jsonl refused.jsonl teacher.json
      train/  tokens.safetensors adapter/ checkpoints/ metrics.jsonl result.json
      eval/ARM/ predictions.jsonl report.json, and what the task writes for other tools
      decision.json bundle/ withheld/ bundle.json MODEL_CARD.md CARD.json report.html report.json digests.json
      requests.jsonl
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from lathe.errors import InputError, RunInUse, StorageError

if TYPE_CHECKING:
    from lathe.records import FileHash, Record, StageRecord

R = TypeVar("R", bound="Record")
S = TypeVar("S", bound="StageRecord")

CARD_EVIDENCE = "CARD.json"
"""Named here alone, since a card links to it by this name wherever it lies."""
FULL_DISK = {errno.ENOSPC, errno.EDQUOT}


# ------------------------------------------------------------------------------------------ atomic commits


@contextlib.contextmanager
def storage(path: Path) -> Iterator[None]:
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
    with storage(path):
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
    with storage(path):
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
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+b")  # noqa: SIM115 - storage() must not re-word errors of the caller's block
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
    synced = time.monotonic()

    def append(row: Record) -> None:
        nonlocal synced
        with storage(path):
            file.write(row.model_dump_json(by_alias=True).encode() + b"\n")
            file.flush()
            if time.monotonic() - synced >= every_seconds:
                os.fsync(file.fileno())
                synced = time.monotonic()

    try:
        yield append
    finally:
        with storage(path), file:
            os.fsync(file.fileno())


# ------------------------------------------------------------------------------------------ reading


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


# ------------------------------------------------------------------------------------------ the folder


class RunFolder:
    """A run on disk. Knows every name; decides nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # names ---------------------------------------------------------------------------------

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def lock_record(self) -> Path:
        return self.path / "recipe.lock.json"

    @property
    def run_record(self) -> Path:
        return self.path / "run.json"

    @property
    def journal_file(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def doctor(self) -> Path:
        return self.path / "doctor.json"

    @property
    def plan(self) -> Path:
        return self.path / "plan.json"

    def rows(self, side: str) -> Path:
        """data/train.jsonl, data/validation.jsonl, data/test.jsonl, data/rejected.jsonl"""
        return self.path / "data" / f"{side}.jsonl"

    @property
    def setup(self) -> Path:
        return self.path / "data" / "setup.json"

    @property
    def manifest(self) -> Path:
        return self.path / "data" / "manifest.json"

    @property
    def teacher_record(self) -> Path:
        return self.path / "data" / "teacher.json"

    @property
    def taught(self) -> Path:
        """The rows of the recipe's teacher that passed all checks."""
        return self.path / "data" / "taught.jsonl"

    @property
    def refused(self) -> Path:
        """Its rows that did not, each with the reason."""
        return self.path / "data" / "refused.jsonl"

    @property
    def teacher_answers(self) -> Path:
        """Every answer of the teacher, as it came; the file only grows."""
        return self.path / "data" / "answers.jsonl"

    @property
    def train(self) -> Path:
        return self.path / "train"

    @property
    def tokens(self) -> Path:
        return self.train / "tokens.safetensors"

    @property
    def adapter(self) -> Path:
        return self.train / "adapter"

    @property
    def checkpoints(self) -> Path:
        return self.train / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.train / "metrics.jsonl"

    @property
    def doubts(self) -> Path:
        return self.train / "doubts.json"

    @property
    def train_result(self) -> Path:
        return self.train / "result.json"

    def predictions(self, arm: str, side: str = "test") -> Path:
        return self.path / "eval" / arm / ("predictions.jsonl" if side == "test" else f"predictions.{side}.jsonl")

    def generation(self, arm: str, side: str = "test") -> Path:
        return self.path / "eval" / arm / ("generation.json" if side == "test" else f"generation.{side}.json")

    def eval_report(self, arm: str, side: str = "test") -> Path:
        return self.path / "eval" / arm / ("report.json" if side == "test" else f"report.{side}.json")

    @property
    def form_effect(self) -> Path:
        """What it changes to hold the models' answers to a form."""
        return self.path / "eval" / "form.json"

    def answers(self, name: str, arm: str, side: str = "test") -> Path:
        """A file in which the answers of an arm leave for other tools, by the name that the task gives it."""
        stem, suffix = os.path.splitext(name)
        return self.path / "eval" / arm / (name if side == "test" else f"{stem}.{side}{suffix}")

    @property
    def decision(self) -> Path:
        return self.path / "decision.json"

    @property
    def bundle(self) -> Path:
        return self.path / "bundle"

    @property
    def withheld(self) -> Path:
        """Exports that failed a check: to be looked at, not to be used."""
        return self.path / "withheld"

    @property
    def digests(self) -> Path:
        return self.path / "digests.json"

    @property
    def bundle_record(self) -> Path:
        return self.path / "bundle.json"

    @property
    def card(self) -> Path:
        return self.path / "MODEL_CARD.md"

    @property
    def card_evidence(self) -> Path:
        """The entries of the records that the card's numbers are from."""
        return self.path / CARD_EVIDENCE

    @property
    def report_html(self) -> Path:
        return self.path / "report.html"

    @property
    def report_record(self) -> Path:
        return self.path / "report.json"

    @property
    def requests_log(self) -> Path:
        """A line for each request to a server of this run."""
        return self.path / "requests.jsonl"

    # records -------------------------------------------------------------------------------

    def commit(self, path: Path, record: Record) -> None:
        """Writes a record atomically."""
        commit_text(path, record.to_json())

    def load(self, path: Path, kind: type[R]) -> R:
        """Reads a record. Raises InputError where it is missing or damaged."""
        try:
            return kind.from_json(path.read_text())
        except FileNotFoundError as error:
            raise InputError(
                f"{path} is not there: this run has not come so far", hint=f"Continue it with: lathe run {self.path}"
            ) from error
        except ValueError as error:
            raise InputError(f"{path} is damaged or of another kind: {error}") from error

    def done(self, path: Path, kind: type[S], inputs: str) -> S | None:
        """The stage's record where it exists, can be read and was made from these very inputs; else None."""
        try:
            record = kind.from_json(path.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return record if record.inputs == inputs else None

    # journal -------------------------------------------------------------------------------

    def journal(self, event: str, **fields: Any) -> None:
        """Appends one line: what happened, when (UTC), and numbers about it. Never read by any stage."""
        entry = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
        with storage(self.journal_file), open(self.journal_file, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False, default=str) + "\n")

    def beat(self, event: Mapping[str, Any]) -> None:
        """Leaves the latest progress for `lathe status`; a hint that may be lost, so it is renamed but not synced."""
        path = self.path / ".progress.json"
        temporary = self.path / f".progress.{os.getpid()}.tmp"
        beat = {key: value for key, value in event.items() if isinstance(value, str | int | float)}
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps({**beat, "beat": time.time(), "pid": os.getpid()}))
            os.replace(temporary, path)

    def last_beat(self) -> dict[str, Any]:
        """The latest progress, or an empty dictionary."""
        try:
            return dict(json.loads((self.path / ".progress.json").read_text()))
        except (OSError, ValueError):
            return {}

    def in_use(self) -> bool:
        """Whether some process holds the run's lock now."""
        try:
            with open(self.path / ".lock", "a+", encoding="utf-8") as file:
                return not _flock(file)
        except OSError:
            return False

    # lock ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder for this process. Raises RunInUse naming the holder. A killed holder's lock is free at once."""
        with alone(self.path, self.path / ".lock"):
            yield


@contextlib.contextmanager
def alone(what: Path, lock: Path) -> Iterator[None]:
    """Holds `what` for this process by a lock file. Raises RunInUse naming the holder. A killed holder's lock is free at once."""
    with storage(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = open(lock, "a+", encoding="utf-8")  # noqa: SIM115 - the lock lives as long as the handle
    try:
        if not _flock(file):
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise RunInUse(
                f"{what} is in use by {holder}",
                hint="Wait for it, or stop it; the same command then continues.",
            )
        file.truncate(0)
        file.write(
            f"process {os.getpid()} on {socket.gethostname()} since {datetime.now(UTC).isoformat(timespec='seconds')}"
        )
        file.flush()
        yield
    finally:
        file.close()


def _flock(file: IO[str]) -> bool:
    """Takes an exclusive lock without waiting; False where another process has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


# ------------------------------------------------------------------------------------------ finding runs


def new_folder(root: Path, name: str, recipe_text: str) -> RunFolder:
    """Makes root/TIME-NAME-HASH and returns it."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S")
    suffix = hashlib.sha256(f"{recipe_text}{time.time_ns()}{os.getpid()}".encode()).hexdigest()[:6]
    path = root / f"{stamp}-{name}-{suffix}"
    with storage(path):
        path.mkdir(parents=True)
    return RunFolder(path)


def all_runs(root: Path) -> list[RunFolder]:
    """All runs under root, newest first."""
    if not root.is_dir():
        return []
    return [RunFolder(path) for path in sorted(root.iterdir(), reverse=True) if (path / "run.json").is_file()]


def newest(root: Path, name: str, *, smoke: bool = False) -> RunFolder | None:
    """The newest run of that recipe name, or None."""
    for run in all_runs(root):
        with contextlib.suppress(OSError, ValueError):
            record: Mapping[str, Any] = json.loads(run.run_record.read_text())
            if record.get("name") == name and bool(record.get("smoke")) == smoke:
                return run
    return None


def stage_inputs(parts: Mapping[str, Any]) -> str:
    """The hash that answers "is it done?": over named parts, each a JSON value or another stage's hash."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def count_look(root: Path, test_hash: str, tuned: str) -> int:
    """Notes that a tuned model (named by the hash of its evaluation's inputs) was measured on a test set, and returns how many
    different tuned models have been measured on that test set so far under `root`, this one included. Looking twice with the
    same model is one look. The notes stand in root/looks.jsonl."""
    path = root / "looks.jsonl"
    seen: list[str] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").split("\n"):
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("test") == test_hash:
                    seen.append(entry.get("tuned", ""))
    if tuned not in seen:
        with storage(path), open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"test": test_hash, "tuned": tuned, "time": datetime.now(UTC).isoformat()}) + "\n")
        seen.append(tuned)
    return seen.index(tuned) + 1
