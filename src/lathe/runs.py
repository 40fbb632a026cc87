"""The run folder: the only place that names the files of a run. The record that says "this stage is done" is committed last.

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
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lathe import locks
from lathe.errors import InputError
from lathe.safe_text import typed
from lathe.storage import append_line, commit_text, sweep, writing

if TYPE_CHECKING:
    from lathe.contracts import Progress
    from lathe.records import Record, Side, StageRecord

R = TypeVar("R", bound="Record")
S = TypeVar("S", bound="StageRecord")

CARD_EVIDENCE = "CARD.json"
"""Named here alone, since a card links to it by this name wherever it lies."""


class RunFolder:
    """A run on disk. Knows every name; decides nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def again(self) -> str:
        """The command that continues this run, as it is typed."""
        return f"lathe run {typed(self.path)}"

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
    def is_smoke(self) -> bool:
        """Whether it tries every part on a few rows, so that its verdict means nothing. Raises InputError without its record."""
        from lathe.records import RunRecord

        return self.load(self.run_record, RunRecord).smoke

    @property
    def has_trained(self) -> bool:
        """Whether a training has taken a step here, or ended."""
        return any(path.exists() for path in (self.metrics, self.checkpoints, self.train_result))

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

    def answered(self) -> list[tuple[str, Side]]:
        """Arm and side of every report whose answers are kept."""
        sides: tuple[Side, ...] = ("test", "validation")
        arms = sorted(path.name for path in (self.path / "eval").glob("*/"))
        return [
            (arm, side)
            for arm in arms
            for side in sides
            if self.eval_report(arm, side).is_file() and self.predictions(arm, side).is_file()
        ]

    @property
    def form_effect(self) -> Path:
        """What it changes to hold the models' answers to a form."""
        return self.path / "eval" / "form.json"

    @property
    def general(self) -> Path:
        """General ability before and after tuning."""
        return self.path / "eval" / "general.json"

    @property
    def verdicts(self) -> Path:
        """Every verdict of a judge on answers of this run, as it came; the file only grows."""
        return self.path / "eval" / "judge.jsonl"

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

    # which of them belong together ---------------------------------------------------------

    @property
    def opened(self) -> tuple[Path, ...]:
        """What is written at every opening."""
        return self.recipe, self.lock_record

    @property
    def growing(self) -> tuple[Path, ...]:
        """Files that only grow, also after the run has ended."""
        return self.journal_file, self.requests_log, self.verdicts

    @property
    def told(self) -> tuple[Path, ...]:
        """What the report stage wrote, its record first; it can be written again from all else."""
        return self.report_record, self.report_html, self.card, self.card_evidence

    @property
    def exported(self) -> tuple[Path, ...]:
        """What the ship stage wrote, its record first; it can be written again from the trained weights."""
        return self.bundle_record, self.bundle, self.withheld

    # records -------------------------------------------------------------------------------

    def commit(self, path: Path, record: Record) -> None:
        """Writes a record atomically."""
        commit_text(path, record.to_json())

    def load(self, path: Path, kind: type[R]) -> R:
        """Reads a record. Raises InputError where it is missing or damaged."""
        try:
            return kind.from_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InputError(
                f"{path} is not there: this run has not come so far", hint=f"Continue it with: {self.again}"
            ) from error
        except (ValueError, IsADirectoryError) as error:
            raise InputError(
                f"{path} is damaged or of another kind: {_first_fault(error)}",
                hint="Bring the file back from a copy, or make the run again.",
            ) from error

    def done(self, path: Path, kind: type[S], inputs: str) -> S | None:
        """The stage's record where it exists, can be read and was made from these very inputs; else None."""
        try:
            record = kind.from_json(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, IsADirectoryError, ValueError):
            return None
        return record if record.inputs == inputs else None

    # journal -------------------------------------------------------------------------------

    def journal(self, event: str, **fields: Any) -> None:
        """Appends one line: what happened, when (UTC), and numbers about it. Never read by any stage."""
        entry = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
        append_line(self.journal_file, json.dumps(entry, ensure_ascii=False, default=str))

    def beat(self, event: Mapping[str, Any]) -> None:
        """Leaves the latest progress for `lathe status`; a hint that may be lost, so it is renamed but not synced."""
        path = self.path / ".progress.json"
        temporary = self.path / f".progress.{os.getpid()}.tmp"
        beat = {key: value for key, value in event.items() if isinstance(value, str | int | float)}
        try:
            temporary.write_text(json.dumps({**beat, "beat": time.time(), "pid": os.getpid()}), encoding="utf-8")
            os.replace(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def beating(self, progress: Progress) -> Progress:
        """The same listener, which also leaves a heartbeat, at most once a second."""
        last = 0.0

        def listen(event: Mapping[str, Any]) -> None:
            nonlocal last
            progress(event)
            if "record" not in event and time.monotonic() - last >= 1.0:
                last = time.monotonic()
                self.beat(event)

        return listen

    def last_beat(self) -> dict[str, Any]:
        """The latest progress, or an empty dictionary."""
        try:
            return dict(json.loads((self.path / ".progress.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return {}

    def in_use(self) -> bool:
        """Whether some process holds the run's lock now."""
        return locks.held(self.path / ".lock")

    # lock ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder for this process, without what killed holders left half-done in it.

        Raises RunInUse naming the holder. A killed holder's lock is free at once.
        """
        with locks.alone(self.path, self.path / ".lock"):
            sweep(self.path)
            yield


# ------------------------------------------------------------------------------------------ finding runs


def new_folder(root: Path, name: str, recipe_text: str) -> RunFolder:
    """Makes root/TIME-NAME-HASH and returns it."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S")
    suffix = hashlib.sha256(f"{recipe_text}{time.time_ns()}{os.getpid()}".encode()).hexdigest()[:6]
    path = root / f"{stamp}-{name}-{suffix}"
    with writing(path):
        path.mkdir(parents=True)
    return RunFolder(path)


def all_runs(root: Path) -> list[RunFolder]:
    """All runs under root, newest first, whatever their folders are called now; a copy stands behind the run that it is of."""
    return [run for run, _ in _by_age(root)]


def newest(root: Path, name: str, *, smoke: bool = False) -> RunFolder | None:
    """The newest run of that recipe name, or None."""
    for run, made in _by_age(root):
        if made.get("name") == name and bool(made.get("smoke")) == smoke:
            return run
    return None


def _by_age(root: Path) -> list[tuple[RunFolder, dict[str, Any]]]:
    """All runs under root with what they say of themselves, newest first. A copy's folder has not the name that its run was made
    with."""
    if not root.is_dir():
        return []
    runs = [RunFolder(path) for path in sorted(root.iterdir(), reverse=True) if (path / "run.json").is_file()]
    found = [(run, _made_as(run)) for run in runs]
    return sorted(
        found, key=lambda one: (str(one[1].get("created", "")), one[1].get("id") == one[0].path.name), reverse=True
    )


def _made_as(run: RunFolder) -> dict[str, Any]:
    """What run.json says; nothing where it is damaged."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return dict(json.loads(run.run_record.read_text(encoding="utf-8")))
    return {}


def stage_inputs(parts: Mapping[str, Any]) -> str:
    """The hash that answers "is it done?": over named parts, each a JSON value or another stage's hash."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def count_look(root: Path, test_hash: str, tuned: str) -> int:
    """Notes that a tuned model (named by the hash of its evaluation's inputs) was measured on a test set, and returns how many
    different tuned models have been measured on that test set so far under `root`, this one included. Looking twice with the
    same model is one look. The notes stand in root/looks.jsonl; a line that is none counts for nothing."""
    path = root / "looks.jsonl"
    if tuned not in _looks(path, test_hash):
        append_line(path, json.dumps({"test": test_hash, "tuned": tuned, "time": datetime.now(UTC).isoformat()}))
    # Read again: of runs that look at once, each is counted where its line came to stand.
    return _looks(path, test_hash).index(tuned) + 1


def _looks(path: Path, test_hash: str) -> list[str]:
    """The tuned models that were measured on a test set, in the order of their first looks."""
    seen: dict[str, None] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.get("test") == test_hash:
                    seen[str(entry.get("tuned", ""))] = None
    return list(seen)


def _first_fault(error: Exception) -> str:
    """The first thing that is wrong with a record, and where, in one line."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
