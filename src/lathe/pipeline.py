"""A run from recipe to report: one method a stage, each skipped where its record carries the hash of its inputs (stages.py).

run = Run.start("demo")
decision = run.go()
"""

from __future__ import annotations

import contextlib
import gc
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lathe import __version__
from lathe.contracts import Model
from lathe.errors import InputError
from lathe.records import (
    Bundle,
    Comparison,
    Decision,
    DoctorReport,
    EvalReport,
    FileHash,
    FormEffect,
    GeneralCheck,
    LockedRecipe,
    Manifest,
    Plan,
    Recipe,
    ReportRecord,
    RunRecord,
    Side,
    StageRecord,
    TrainResult,
)
from lathe.records.results import Doubts
from lathe.runs import RunFolder, count_look, new_folder, newest, stage_inputs
from lathe.smoke import smoke_recipe
from lathe.stages import ARMS, stage_hashes
from lathe.storage import commit_text, file_sha256

if TYPE_CHECKING:
    from lathe.ask import Specialist
    from lathe.contracts import Endpoint, Progress
    from lathe.decide import Entry
    from lathe.evaluate.probes import Judge
    from lathe.records import Publication, Status, Verification
    from lathe.records.teacher import TeachForecast, TeachRecord
    from lathe.serve import Ready
    from lathe.serve import Settings as ServeSettings


S = TypeVar("S", bound=StageRecord)


def _locked(recipe: Recipe, folder: Path, run: RunFolder | None, *, weights: bool) -> LockedRecipe:
    """The recipe with everything fixed; its hash is over all that was fixed. run: where it was locked before."""
    from lathe import resolve

    known: tuple[FileHash, ...] = ()
    if run is not None and not weights and run.lock_record.is_file():
        known = run.load(run.lock_record, LockedRecipe).base_files
    locked = resolve.lock(recipe, folder, inputs="", weights=weights, known=known)
    return _with_taught(locked, run)


def _with_taught(locked: LockedRecipe, run: RunFolder | None) -> LockedRecipe:
    """The lock with the rows of its teacher, where they are there as it was asked for them; its hash is over all that is in it."""
    from lathe import data
    from lathe.records.teacher import TeachRecord

    taught = None
    if (
        run is not None
        and locked.recipe.teacher is not None
        and run.done(run.teacher_record, TeachRecord, stage_hashes(locked)["teach"]) is not None
        and data.intact(run)
    ):
        path = run.taught.relative_to(run.path).as_posix()
        taught = FileHash(path=path, sha256=file_sha256(run.taught), num_bytes=run.taught.stat().st_size)
    locked = locked.model_copy(update={"inputs": "", "taught": taught})
    return locked.model_copy(update={"inputs": stage_inputs({"recipe": locked.dump()})})


def silent(_: Mapping[str, Any]) -> None:
    """A progress listener that listens to nothing."""


@contextlib.contextmanager
def seldom_collected() -> Iterator[None]:
    """Python looks for cycles of objects less often: rows and tokens have none, and looking through all of them takes a fifteenth
    of the time of a plan."""
    before = gc.get_threshold()
    gc.set_threshold(100 * before[0], *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Run:
    """A run folder with its recipe locked. One method a stage; `go` does all of them, and each skips what is done."""

    def __init__(self, folder: RunFolder, locked: LockedRecipe) -> None:
        self.folder = folder
        self.locked = locked
        self.hashes = stage_hashes(locked)

    @classmethod
    def start(
        cls,
        recipe: str | Path,
        sets: tuple[str, ...] = (),
        *,
        root: Path = Path("runs"),
        new: bool = False,
        smoke: bool = False,
        weights: bool = True,
    ) -> Run:
        """Opens the newest run of this recipe's name under `root`, or makes one.

        recipe: a file, the name of a shipped recipe, or a run folder, which is opened with the recipe that it was locked with.
        weights: whether the base's weights are needed; else they are neither fetched nor read, which is enough for a plan.
        Raises RecipeError, InputError, Unavailable, Refused, and RunInUse where another process works in the run.
        """
        from lathe import resolve

        if RunFolder(Path(recipe)).run_record.is_file():
            return cls._reopened(Path(recipe), sets, weights=weights)
        path = resolve.find_recipe(str(recipe))
        read = resolve.read_recipe(path, sets)
        if smoke:
            read = smoke_recipe(read)
        found = None if new else newest(root, read.name, smoke=smoke)
        locked = _locked(read, path.parent, found, weights=weights)
        folder = found or cls._make(root, read, path, smoke)
        with folder.lock():
            commit_text(folder.recipe, path.read_text(encoding="utf-8"))
            folder.commit(folder.lock_record, locked)
        return cls(folder, locked)

    @classmethod
    def _reopened(cls, path: Path, sets: tuple[str, ...], *, weights: bool) -> Run:
        """A run as it was locked, with `sets` changed. Its recipe's paths were made absolute when it was locked."""
        from lathe import resolve

        run = cls.open(path)
        if not sets:
            return run
        text = json.dumps(run.locked.recipe.model_dump(mode="json", by_alias=True))
        recipe = resolve.parse_recipe(text, str(run.folder.lock_record), sets)
        locked = _locked(recipe, path, run.folder, weights=weights)
        with run.folder.lock():
            run.folder.commit(run.folder.lock_record, locked)
        return cls(run.folder, locked)

    @staticmethod
    def _make(root: Path, recipe: Recipe, path: Path, smoke: bool) -> RunFolder:
        text = path.read_text(encoding="utf-8")
        folder = new_folder(root, recipe.name, text)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        record = RunRecord(
            id=folder.path.name, name=recipe.name, created=created, lathe_version=__version__, smoke=smoke
        )
        folder.commit(folder.run_record, record)
        return folder

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """An existing run, as it was locked. Raises InputError where the folder is no run."""
        run = RunFolder(Path(folder))
        if not run.run_record.is_file():
            raise InputError(
                f"{folder} is no run folder: it has no run.json", hint="lathe ls shows the runs that are here."
            )
        return cls(run, run.load(run.lock_record, LockedRecipe))

    # stages --------------------------------------------------------------------------------

    def doctor(self, progress: Progress = silent) -> DoctorReport:
        """Looks at the machine, once."""
        from lathe import doctor

        recipe = self.locked.recipe
        optimiser = () if recipe.train.optimiser == "adamw" else (recipe.train.optimiser,)
        asked = (recipe.trainer, recipe.method.kind, *optimiser, *recipe.ship)
        return self._stage(
            "doctor",
            self.folder.doctor,
            DoctorReport,
            progress,
            lambda inputs: self._put(doctor.examine(asked, inputs)),
        )

    def _put(self, report: DoctorReport) -> DoctorReport:
        self.folder.commit(self.folder.doctor, report)
        return report

    def teaching(self) -> TeachForecast | None:
        """What asking the recipe's teacher will take; None where it has none, or its rows are there. Nothing is sent."""
        from lathe import data

        if self.locked.recipe.teacher is None or (self.locked.taught is not None and data.intact(self.folder)):
            return None
        return data.forecast(self.folder, self.locked)

    def teach(self, progress: Progress = silent) -> TeachRecord | None:
        """Asks the recipe's teacher, where it has one; its rows are locked from then on as any other file is.

        Raises Unavailable, OverBudget and DataError; asked again, it continues, and pays for nothing twice.
        """
        from lathe import data
        from lathe.records.teacher import TeachRecord

        if self.locked.recipe.teacher is None:
            return None
        forecast = self.teaching()
        if forecast is not None:
            self.folder.teacher_record.unlink(missing_ok=True)
            if forecast.requests:
                progress({"stage": "teach", "record": forecast, "skipped": False, "seconds": None})
        record = self._stage(
            "teach",
            self.folder.teacher_record,
            TeachRecord,
            progress,
            lambda inputs: data.teach(self.folder, self.locked, inputs, progress),
        )
        locked = _with_taught(self.locked, self.folder)
        if locked != self.locked:
            self.folder.commit(self.folder.lock_record, locked)
            self.locked, self.hashes = locked, stage_hashes(locked)
        return record

    @seldom_collected()
    def prepare(self, progress: Progress = silent) -> Manifest:
        """Reads, splits and proves the data."""
        from lathe import data

        return self._stage(
            "prepare",
            self.folder.manifest,
            Manifest,
            progress,
            lambda inputs: data.prepare(self.folder, self.locked, inputs, progress),
        )

    @seldom_collected()
    def plan(self, progress: Progress = silent) -> Plan:
        """Forecasts parameters, steps, memory and time."""
        from lathe import plan

        return self._stage(
            "plan",
            self.folder.plan,
            Plan,
            progress,
            lambda inputs: plan.plan(self.folder, self.locked, inputs, progress),
        )

    def train(self, progress: Progress = silent) -> TrainResult:
        """Trains, or continues training. The rate that was reached makes the next plan's estimate."""
        from lathe import evaluate, plan, train

        def work(inputs: str) -> TrainResult:
            smoke = self.folder.load(self.folder.run_record, RunRecord).smoke
            validates = self.locked.recipe.train.validate_.every is not None
            measure = evaluate.measure_of(self.folder, self.locked) if validates else None
            result = train.train(self.folder, self.locked, inputs, progress, measure, rehearse=smoke)
            # Ten small steps say nothing of the speed of a long run, nor do more ranks of what this recipe's plan foretells.
            if not smoke and result.processes == self.locked.recipe.train.processes:
                plan.remember_rate(self.folder, self.locked, result)
            return result

        return self._stage("train", self.folder.train_result, TrainResult, progress, work)

    def evaluate(self, arm: str, side: Side = "test", progress: Progress = silent) -> EvalReport:
        """Measures one arm on one side of the split. The rate at which the tuned model answers makes the next plan's estimate."""
        from lathe import evaluate, plan

        def work(inputs: str) -> EvalReport:
            report = evaluate.evaluate(self.folder, self.locked, arm, side, inputs, progress)
            rate = report.score("tokens_per_second")
            if arm == "tuned" and rate is not None and rate.value:
                plan.remember_answers(self.locked, rate.value)
            return report

        return self._stage(arm, self.folder.eval_report(arm, side), EvalReport, progress, work)

    def evaluate_endpoint(self, endpoint: Endpoint, progress: Progress = silent) -> EvalReport:
        """Measures a model behind an OpenAI-compatible endpoint on the test rows, as the arm `endpoint-MODEL`. No look is counted.

        Raises InputError and Unavailable as the endpoint does; asked again, it continues.
        """
        from lathe import evaluate

        arm = endpoint_arm(endpoint)
        inputs = stage_inputs({"base-zero": self.hashes["base-zero"], "endpoint": [endpoint.url, endpoint.model]})
        model = Model(Path(self.locked.base_folder), endpoint=endpoint)
        with self.folder.lock():
            done = self.folder.done(self.folder.eval_report(arm), EvalReport, inputs)
            return done or evaluate.evaluate(
                self.folder, self.locked, arm, "test", inputs, progress, runtime="openai", model=model
            )

    def probe(
        self,
        name: str,
        prompts: Path | None = None,
        verdicts: Path | None = None,
        progress: Progress = silent,
        judge: Judge | None = None,
    ) -> dict[str, EvalReport]:
        """One of the probes on every arm that was measured and that it is for: execute, labels, adversarial or judge. No verdict
        changes.

        prompts and verdicts: files for `adversarial`; judge: the endpoint for `judge`, and what it may cost. Raises InputError
        where the task has other answers, or nothing was measured; Unavailable and OverBudget of a judge: asked again, it continues.
        """
        from lathe.evaluate.probes import PROBES, Files, probe

        arms = [arm for arm in PROBES[name].arms if self.folder.eval_report(arm).is_file()]
        if not arms:
            raise InputError(f"{self.folder.path} has no measured arm", hint=f"lathe evaluate {self.folder.path}")
        files = Files(prompts, verdicts)
        with self.folder.lock():
            return {arm: probe(self.folder, self.locked, name, arm, progress, files, judge) for arm in arms}

    def constrain(self, progress: Progress = silent) -> FormEffect:
        """The measured models once more on the test rows, with each answer held to its form, and what that changes. No verdict
        changes and no look is counted; a report that stands is written anew with it.

        Raises InputError where the task has no form for its rows, a right answer is not of it, or no model was measured;
        Unavailable where the package for it is missing.
        """
        from lathe import decide, evaluate, plugins

        arms = [arm for arm in ("tuned", "base-zero") if self.folder.eval_report(arm).is_file()]
        if not arms:
            raise InputError(f"{self.folder.path} has no measured model", hint=f"lathe evaluate {self.folder.path}")
        task = plugins.load("tasks", self.locked.recipe.task)
        metrics = [task.primary, *(one.name for one in task.metrics if one.name != task.primary)]
        with self.folder.lock(), self._told_anew():
            pairs = [
                (
                    self.folder.load(self.folder.eval_report(arm), EvalReport),
                    evaluate.evaluate_constrained(self.folder, self.locked, arm, self._beating(progress)),
                )
                for arm in arms
            ]
            found = decide.form_effect(pairs, metrics, self.locked.recipe.evaluate.confidence)
            self.folder.commit(self.folder.form_effect, found)
        return found

    def regrade(self) -> dict[str, EvalReport]:
        """Scores the answers that are kept once more, without any model: after a newer scorer. The test rows' reports by arm.

        A decision that stands is made again from them, at the same looks, and a report is written anew; what was found with the
        answers held to their form goes, and is asked for again without a model too. Raises InputError where nothing was measured,
        or answers are missing.
        """
        from lathe import decide, evaluate

        answered = self.folder.answered()
        if not answered:
            raise InputError(f"{self.folder.path} has no answers to score", hint=f"lathe evaluate {self.folder.path}")
        with self.folder.lock(), self._told_anew():
            found = {}
            for arm, side in answered:
                inputs = self.folder.load(self.folder.eval_report(arm, side), EvalReport).inputs
                report = evaluate.regrade(self.folder, self.locked, arm, side, inputs)
                if side == "test":
                    found[arm] = report
            self.folder.form_effect.unlink(missing_ok=True)
            if self.folder.decision.is_file():
                decided = self.folder.load(self.folder.decision, Decision)
                decide.decide(self.folder, self.locked, decided.inputs, decided.looks)
        return found

    def general(
        self, tasks: Sequence[str], folder: Path | None = None, limit: int | None = None, progress: Progress = silent
    ) -> GeneralCheck:
        """Base and tuned model on tasks of lm-eval that they were not tuned for. No verdict changes and no look is counted.

        folder: of more tasks; limit: items of each. Raises InputError where a model was not measured, or a task cannot be asked;
        Unavailable without the package.
        """
        from lathe import decide, evaluate
        from lathe.engine.harness import Tasks

        missing = [arm for arm in ("base-zero", "tuned") if not self.folder.eval_report(arm).is_file()]
        if missing:
            raise InputError(
                f"{self.folder.path} has not measured {' and '.join(missing)}",
                hint=f"lathe evaluate {self.folder.path}",
            )
        asked = Tasks(tuple(tasks), folder, limit)
        with self.folder.lock():
            reports = {}
            for arm in ("base-zero", "tuned"):
                reports[arm] = evaluate.evaluate_general(self.folder, self.locked, arm, asked, self._beating(progress))
            found = decide.general_check(reports["base-zero"], reports["tuned"], self.locked.recipe.evaluate.confidence)
            self.folder.commit(self.folder.general, found)
        return found

    def decide(self, progress: Progress = silent) -> Decision:
        """Holds what was measured against the gates. Looking at a test set is counted here."""
        from lathe import decide

        test_hash = self.folder.load(self.folder.manifest, Manifest).sides["test"].sha256
        looks = count_look(self.folder.path.parent, test_hash, self.hashes["tuned"])
        return self._stage(
            "decide",
            self.folder.decision,
            Decision,
            progress,
            lambda inputs: decide.decide(self.folder, self.locked, inputs, looks),
        )

    def ship(self, progress: Progress = silent) -> Bundle:
        """Writes the shipped files; one of other weights than the measured ones answers the test rows again, for the same gates."""
        from lathe import decide, evaluate, ship

        def work(inputs: str) -> Bundle:
            again = ship.Again(
                measure=lambda arm, model: evaluate.evaluate(
                    self.folder,
                    self.locked,
                    arm,
                    "test",
                    inputs,
                    progress,
                    runtime="llama_cpp" if model.gguf_file else "native",
                    model=model,
                ),
                judge=lambda report: decide.judge_again(self.folder, self.locked, report),
            )
            return ship.ship(self.folder, self.locked, inputs, progress, again)

        return self._stage("ship", self.folder.bundle_record, Bundle, progress, work)

    def report(self, progress: Progress = silent) -> ReportRecord:
        """Writes report.html and MODEL_CARD.md."""
        from lathe import report

        return self._stage(
            "report",
            self.folder.report_record,
            ReportRecord,
            progress,
            lambda inputs: report.report(self.folder, self.locked, inputs),
        )

    def go(self, until: str | None = None, progress: Progress = silent) -> Decision | None:
        """All stages in order, up to and including `until`. Returns the decision where it was reached."""
        from lathe import verify

        progress = self._beating(progress)
        steps: list[tuple[str, Callable[[], Any]]] = [
            *([] if until == "prepare" else [("doctor", lambda: self.doctor(progress))]),
            *([] if self.locked.recipe.teacher is None else [("teach", lambda: self.teach(progress))]),
            ("prepare", lambda: self.prepare(progress)),
            ("plan", lambda: self.plan(progress)),
            *((arm, lambda arm=arm: self._both_sides(arm, progress)) for arm in ARMS if arm != "tuned"),
            ("train", lambda: self.train(progress)),
            ("tuned", lambda: self.evaluate("tuned", progress=progress)),
            ("decide", lambda: self.decide(progress)),
            ("ship", lambda: self._ship_unless_aborted(progress)),
            ("report", lambda: self.report(progress)),
        ]
        names = [name for name, _ in steps]
        if until is not None and until not in names:
            raise InputError(f"there is no stage {until!r}", hint=f"The stages are: {', '.join(names)}.")
        with self.folder.lock():
            for name, step in steps:
                step()
                if name == until:
                    break
            # Sealing twice would seal what has been damaged since.
            if until in (None, "report") and not self.folder.digests.is_file():
                verify.seal(self.folder)
        decided = self.folder.done(self.folder.decision, Decision, self.hashes["decide"])
        return decided if until in (None, "decide", "ship", "report") else None

    def doubt(self, progress: Progress = silent) -> Doubts:
        """The training rows whose answers the tuned model itself finds hardest; a report that stands is written anew with them."""
        from lathe import train
        from lathe.data.findings.secrets import redacted

        inputs = self.hashes["train"]
        with self.folder.lock():
            done = self.folder.done(self.folder.doubts, Doubts, inputs)
            if done is not None:
                return done
            with self._told_anew():
                return train.doubt(self.folder, self.locked, inputs, redacted, self._beating(progress))

    @contextlib.contextmanager
    def _told_anew(self) -> Iterator[None]:
        """The block adds something to a run: a report that stands is written anew after it, and a finished run sealed again."""
        from lathe import report, verify

        finished = self.folder.digests.is_file()
        self.folder.digests.unlink(missing_ok=True)
        try:
            yield
            if self.folder.report_record.is_file():
                inputs = self.folder.load(self.folder.report_record, ReportRecord).inputs
                report.report(self.folder, self.locked, inputs)
        finally:
            if finished:
                verify.seal(self.folder)

    def ask(self, text: str, schema: str | None = None) -> dict[str, str]:
        """The answers of base and tuned model to one text."""
        from lathe import ask

        return ask.ask(self.folder, self.locked, text, schema)

    def specialist(self) -> Specialist:
        """The tuned model, loaded once, to be asked often. Raises InputError where there is none yet."""
        from lathe import ask
        from lathe.questions import Questions

        return ask.Specialist(Questions(self.folder, self.locked))

    def serve(self, settings: ServeSettings, ready: Callable[[Ready], None]) -> Mapping[int, int]:
        """Serves the run's models until a signal ends it; how many requests ended with which HTTP status.

        ready: hears the address and the token once requests are taken. Raises InputError, Unavailable, Refused.
        """
        from lathe import serve
        from lathe.questions import Questions

        return serve.serve(Questions(self.folder, self.locked), settings, ready)

    def verify(self) -> Verification:
        """Every file of the run, and base and data behind it, held against its digest."""
        from lathe import verify

        return verify.verify(self.folder, self.locked)

    def publish(
        self, to: str, data: str | None = None, *, push: bool = False, public: bool = False
    ) -> tuple[Publication, ...]:
        """What would go to the Hub, and what stands against it; sent where `push` is said and nothing does.

        to: repository of the model, owner/name; data: repository of its rows, None = they stay here. A repository that does not
        exist yet is made private unless `public`. Raises InputError where the run is not finished, Unavailable.
        """
        from lathe import publish, report
        from lathe.data.findings.secrets import found_kinds

        targets = [publish.Target(to, "model"), *([] if data is None else [publish.Target(data, "dataset")])]
        model_card, data_card = report.cards(self.folder, self.locked)
        told = publish.Told(model_card, data_card, self.verify(), found_kinds)
        return publish.publish(self.folder, self.locked, targets, told, push=push, public=public)

    def status(self) -> Status:
        """Running, stalled, stopped or done, and how far."""
        from lathe import status

        return status.status(self.folder)

    def _both_sides(self, arm: str, progress: Progress) -> None:
        """Arms without training are chosen on validation and compared on test."""
        if arm == "base-few" and self.locked.recipe.evaluate.few_shot == 0:
            return
        self.evaluate(arm, "validation", progress)
        self.evaluate(arm, "test", progress)

    def _ship_unless_aborted(self, progress: Progress) -> None:
        from lathe import ship

        if self.folder.load(self.folder.decision, Decision).verdict != "abort":
            self.ship(progress)
        elif self.folder.bundle_record.is_file():
            self.folder.digests.unlink(missing_ok=True)
            ship.withdraw(self.folder)

    def _beating(self, progress: Progress) -> Progress:
        """The same listener, which also leaves a heartbeat for `lathe status`, at most once a second."""
        last = 0.0

        def listen(event: Mapping[str, Any]) -> None:
            nonlocal last
            progress(event)
            if "record" not in event and time.monotonic() - last >= 1.0:
                last = time.monotonic()
                self.folder.beat(event)

        return listen

    def _stage(self, name: str, path: Path, kind: type[S], progress: Progress, work: Callable[[str], S]) -> S:
        """Runs a stage unless its record stands for these inputs already."""
        inputs = self.hashes[name]
        done = self.folder.done(path, kind, inputs)
        if done is not None:
            progress({"stage": name, "record": done, "skipped": True, "seconds": 0.0})
            return done
        self.folder.digests.unlink(missing_ok=True)
        self.folder.journal("stage started", stage=name, inputs=inputs)
        self.folder.beat({"stage": name})
        started = time.monotonic()
        record = work(inputs)
        seconds = time.monotonic() - started
        self.folder.journal("stage done", stage=name, seconds=round(seconds, 3))
        progress({"stage": name, "record": record, "skipped": False, "seconds": seconds})
        return record


def run(recipe: str | Path, *sets: str, root: Path = Path("runs"), new: bool = False, smoke: bool = False) -> Run:
    """Runs the whole chain of a recipe, or continues it, and returns the run. `sets` are `key=value` overrides."""
    started = Run.start(recipe, sets, root=root, new=new, smoke=smoke)
    started.go()
    return started


def load(run: str | Path) -> Specialist:
    """The tuned model of a run folder: an object with `generate`, `extract` and `classify`. Raises InputError, Unavailable."""
    return Run.open(run).specialist()


def compare(
    arms: Sequence[str | Path], *, metric: str | None = None, by: str | None = None, confidence: float = 0.95
) -> Comparison:
    """Arms of runs on the same items, each held against the first by a paired test.

    arms: RUN or RUN:ARM; the tuned one where none is named. metric: the task's primary one where it is None. by: a slice whose
    values are compared as well. Raises InputError where an arm was not measured, or two were not measured alike.
    """
    from lathe import decide

    if len(arms) < 2:
        raise InputError(
            f"got {len(arms)} arm, expected two or more", hint="lathe compare RUN RUN, or RUN RUN:base-few."
        )
    entries = [_entry(str(arm)) for arm in arms]
    return decide.side_by_side(entries, metric or decide.primary(entries[0].locked), by, confidence)


def _entry(name: str) -> Entry:
    """RUN or RUN:ARM with its report, which must be of the run's present recipe."""
    from lathe import decide

    path, arm = (name, "tuned") if Path(name).is_dir() or ":" not in name else name.rsplit(":", 1)
    run = Run.open(path)
    report = run.folder.load(run.folder.eval_report(arm), EvalReport)
    if arm in run.hashes and report.inputs != run.hashes[arm]:
        raise InputError(
            f"{name} was measured before the recipe of its run was changed",
            hint=f"lathe evaluate {path} measures it again.",
        )
    return decide.Entry(name, report, run.locked)


def endpoint_arm(endpoint: Endpoint) -> str:
    """The arm's name, which is a folder's too: `endpoint-qwen3-8b`."""
    return f"endpoint-{re.sub(r'[^A-Za-z0-9.]+', '-', endpoint.model).strip('-.') or 'model'}"


def demo(root: Path = Path("runs")) -> Run:
    """Runs the shipped demo: the bundled base on a generated task."""
    return run("demo", root=root)
