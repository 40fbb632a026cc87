"""A run from recipe to report: one method a stage, each skipped where its record carries the hash of its inputs (stages.py).

run = Run.start("demo")
decision = run.go()
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lathe.contracts import Progress, silent
from lathe.errors import InputError, RunInUse
from lathe.model_folder import refuse_another
from lathe.pipeline import opening, work
from lathe.pipeline.stages import ARMS, WITH_WEIGHTS, stage_hashes
from lathe.records import (
    Bundle,
    Decision,
    DoctorReport,
    EvalReport,
    LockedRecipe,
    Manifest,
    Plan,
    ReportRecord,
    Side,
    StageRecord,
    TrainResult,
)
from lathe.runs import RunFolder, count_look

if TYPE_CHECKING:
    from lathe.ask import Asked, Specialist
    from lathe.contracts import Endpoint
    from lathe.evaluate.probes import Judge
    from lathe.records import FormEffect, GeneralCheck, Publication, Status, Verification
    from lathe.records.results import Doubts
    from lathe.records.teacher import TeachForecast, TeachRecord
    from lathe.serve import Ready
    from lathe.serve import Settings as ServeSettings

S = TypeVar("S", bound=StageRecord)
Work = Callable[[RunFolder, LockedRecipe, str, Progress], S]
"""Of one stage: see `work`."""


class Run:
    """A run folder with its recipe locked. One method a stage; `go` does all of them, and each skips what is done."""

    def __init__(self, folder: RunFolder, locked: LockedRecipe) -> None:
        self.folder = folder
        self.locked = locked
        self.hashes = stage_hashes(locked)
        self._base_held = False
        self._as_sealed = False

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
        return cls(*opening.start(recipe, sets, root=root, new=new, smoke=smoke, weights=weights))

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """An existing run, as it was locked. Raises InputError where the folder is no run."""
        return cls(*opening.opened(folder))

    # the chain, stage by stage ---------------------------------------------------------------

    def doctor(self, progress: Progress = silent) -> DoctorReport:
        """Looks at the machine, once."""
        return self._stage("doctor", self.folder.doctor, DoctorReport, work.doctor, progress)

    def teaching(self) -> TeachForecast | None:
        """What asking the recipe's teacher will take; None where it has none, or its rows are there. Nothing is sent."""
        if self.locked.recipe.teacher is None:
            return None
        from lathe.data import teaching

        if self.locked.taught is not None and teaching.intact(self.folder):
            return None
        return teaching.forecast(self.folder, self.locked)

    def teach(self, progress: Progress = silent) -> TeachRecord | None:
        """Asks the recipe's teacher, where it has one; its rows are locked from then on as any other file is.

        Raises Unavailable, OverBudget and DataError; asked again, it continues, and pays for nothing twice.
        """
        from lathe.records.teacher import TeachRecord

        if self.locked.recipe.teacher is None:
            return None
        forecast = self.teaching()
        if forecast is not None:
            self.folder.teacher_record.unlink(missing_ok=True)
            if forecast.requests:
                progress({"stage": "teach", "record": forecast, "skipped": False, "seconds": None})
        record = self._stage("teach", self.folder.teacher_record, TeachRecord, work.teach, progress)
        locked = opening.with_taught(self.locked, self.folder)
        if locked != self.locked:
            self.folder.commit(self.folder.lock_record, locked)
            self.locked, self.hashes = locked, stage_hashes(locked)
        return record

    def prepare(self, progress: Progress = silent) -> Manifest:
        """Reads, splits and proves the data."""
        return self._stage("prepare", self.folder.manifest, Manifest, work.prepare, progress)

    def plan(self, progress: Progress = silent, *, anew: bool = False) -> Plan:
        """Forecasts parameters, steps, memory and time.

        anew: also where that was done, since memory is freed and taken, and a probe tells more. Once training has begun, what was
        foretold of it stands.
        """
        anew = anew and not self.folder.has_trained
        return self._stage("plan", self.folder.plan, Plan, work.plan, progress, anew=anew)

    def train(self, progress: Progress = silent) -> TrainResult:
        """Trains, or continues training. The rate that was reached makes the next plan's estimate."""
        return self._stage("train", self.folder.train_result, TrainResult, work.train, progress)

    def evaluate(self, arm: str, side: Side = "test", progress: Progress = silent) -> EvalReport:
        """Measures one arm on one side of the split. The rate at which the tuned model answers makes the next plan's estimate."""
        measured = partial(work.evaluate, arm=arm, side=side)
        return self._stage(arm, self.folder.eval_report(arm, side), EvalReport, measured, progress)

    def decide(self, progress: Progress = silent) -> Decision:
        """Holds what was measured against the gates. Looking at a test set is counted here."""
        test_hash = self.folder.load(self.folder.manifest, Manifest).sides["test"].sha256
        looks = count_look(self.folder.path.parent, test_hash, self.hashes["tuned"])
        return self._stage("decide", self.folder.decision, Decision, partial(work.decide, looks=looks), progress)

    def ship(self, progress: Progress = silent) -> Bundle:
        """Writes the shipped files; one of other weights than the measured ones answers the test rows again, for the same gates."""
        return self._stage("ship", self.folder.bundle_record, Bundle, work.ship, progress)

    def report(self, progress: Progress = silent) -> ReportRecord:
        """Writes report.html and MODEL_CARD.md."""
        return self._stage("report", self.folder.report_record, ReportRecord, work.report, progress)

    def go(self, until: str | None = None, progress: Progress = silent) -> Decision | None:
        """All stages in order, up to and including `until`. Returns the decision where it was reached."""
        from lathe import verify

        progress = self.folder.beating(progress)
        steps: list[tuple[str, Callable[[], Any]]] = [
            *([] if until == "prepare" else [("doctor", lambda: self.doctor(progress))]),
            *([] if self.locked.recipe.teacher is None else [("teach", lambda: self.teach(progress))]),
            ("prepare", lambda: self.prepare(progress)),
            ("plan", lambda: self.plan(progress)),
            *((arm, lambda arm=arm: self._both_sides(arm, progress)) for arm in ARMS if arm != "tuned"),
            ("train", lambda: self.train(progress)),
            ("tuned", lambda: self.evaluate("tuned", progress=progress)),
            ("decide", lambda: self.decide(progress)),
            ("ship", lambda: self._ship_if_worth(progress)),
            ("report", lambda: self.report(progress)),
        ]
        names = [name for name, _ in steps]
        if until is not None and until not in names:
            raise InputError(f"there is no stage {until!r}", hint=f"The stages are: {', '.join(names)}.")
        with self.folder.lock():
            self._hold_recipe()
            self._take_up(until)
            if until is None or names.index(until) >= names.index("train"):
                self._foresee_ship()
            for name, step in steps:
                step()
                if name == until:
                    break
            # Sealing what is sealed would seal what has been damaged since.
            if until in (None, "report") and not self.folder.digests.is_file():
                verify.seal(self.folder)
            self._as_sealed = False  # from here on others may change files again
        decided = self.folder.done(self.folder.decision, Decision, self.hashes["decide"])
        return decided if until in (None, "decide", "ship", "report") else None

    def _hold_recipe(self) -> None:
        """Raises RunInUse where the run was opened with another recipe since: its records would be of both."""
        if self.folder.load(self.folder.lock_record, LockedRecipe).inputs != self.locked.inputs:
            raise RunInUse(
                f"{self.folder.path} was opened with another recipe since this command opened it",
                hint="Give the command once more; it goes on with the recipe that it names.",
            )

    def _take_up(self, until: str | None) -> None:
        """A finished run goes on from the files that it was sealed with: what ship and report wrote is written again where it is
        gone or changed, and anything else that is so ends the call. Raises InputError."""
        from lathe import verify

        lost = self._hold_seal()
        self._as_sealed = True
        if until in (None, "report") and verify.has_other_recipe(self.folder):
            self.folder.digests.unlink()
        if lost and until in (None, "ship", "report"):
            self.folder.journal("written again", files=[str(path) for path in lost])
            self.folder.report_record.unlink(missing_ok=True)
            if any(path.is_relative_to(place) for path in lost for place in self.folder.exported):
                self.folder.bundle_record.unlink(missing_ok=True)

    def _unseal(self) -> None:
        """The seal goes before anything changes, and not without a look at what it was for. Raises InputError."""
        if not self._as_sealed:
            self._hold_seal()
        self.folder.digests.unlink(missing_ok=True)

    def _hold_seal(self) -> list[Path]:
        """The files of ship and report that are not as they were sealed. Raises InputError where any other is not."""
        from lathe import verify

        return verify.refuse_changed(self.folder, but=(*self.folder.exported, *self.folder.told))

    def _both_sides(self, arm: str, progress: Progress) -> None:
        """Arms without training are chosen on validation and compared on test."""
        if arm == "base-few" and self.locked.recipe.evaluate.few_shot == 0:
            return
        self.evaluate(arm, "validation", progress)
        self.evaluate(arm, "test", progress)

    def _foresee_ship(self) -> None:
        """Before training, raises InputError and Unavailable where the recipe ships what cannot be written of this base."""
        from lathe import ship

        if self.folder.done(self.folder.train_result, TrainResult, self.hashes["train"]) is None:
            ship.foresee(self.locked)

    def _ship_if_worth(self, progress: Progress) -> None:
        """After abort nothing is shipped, but by a smoke run: it tries every part, and its verdict means nothing."""
        from lathe import ship

        aborted = self.folder.load(self.folder.decision, Decision).verdict == "abort"
        if not aborted or self.folder.is_smoke:
            self.ship(progress)
        elif self.folder.bundle_record.is_file():
            self._unseal()
            ship.withdraw(self.folder)

    def _stage(
        self, name: str, path: Path, kind: type[S], work: Work[S], progress: Progress, *, anew: bool = False
    ) -> S:
        """Runs a stage unless its record stands for these inputs already. anew: in any case."""
        inputs = self.hashes[name]
        done = None if anew else self.folder.done(path, kind, inputs)
        if done is not None:
            progress({"stage": name, "record": done, "skipped": True, "seconds": 0.0})
            return done
        if name in WITH_WEIGHTS:
            self._hold_base()
        self._unseal()
        self.folder.journal("stage started", stage=name, inputs=inputs)
        self.folder.beat({"stage": name})
        started = time.monotonic()
        record = work(self.folder, self.locked, inputs, progress)
        seconds = time.monotonic() - started
        self.folder.journal("stage done", stage=name, seconds=round(seconds, 3))
        progress({"stage": name, "record": record, "skipped": False, "seconds": seconds})
        return record

    def _hold_base(self) -> None:
        """Raises InputError where the base is not the one that was locked. It is read for that once."""
        if not self._base_held:
            refuse_another(Path(self.locked.base_folder), self.locked.base_files)
            self._base_held = True

    # measured on demand ----------------------------------------------------------------------

    def evaluate_endpoint(self, endpoint: Endpoint, progress: Progress = silent) -> EvalReport:
        """Measures a model behind an OpenAI-compatible endpoint on the test rows, as the arm `endpoint-MODEL`. No look is counted.

        Raises InputError and Unavailable as the endpoint does; asked again, it continues.
        """
        from lathe.pipeline import on_demand

        return on_demand.evaluate_endpoint(self.folder, self.locked, endpoint, progress)

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
        from lathe.evaluate.probes import Files
        from lathe.pipeline import on_demand

        self._hold_base()
        return on_demand.probe(self.folder, self.locked, name, Files(prompts, verdicts), judge, progress)

    def constrain(self, progress: Progress = silent) -> FormEffect:
        """The measured models once more on the test rows, with each answer held to its form, and what that changes. No verdict
        changes and no look is counted; a report that stands is written anew with it.

        Raises InputError where the task has no form for its rows, a right answer is not of it, or no model was measured;
        Unavailable where the package for it is missing.
        """
        from lathe.pipeline import on_demand

        self._hold_base()
        return on_demand.constrain(self.folder, self.locked, progress)

    def regrade(self) -> dict[str, EvalReport]:
        """Scores the answers that are kept once more, without any model: after a newer scorer. The test rows' reports by arm.

        A decision that stands is made again from them, at the same looks, and a report is written anew; what was found with the
        answers held to their form goes, and is asked for again without a model too. Raises InputError where nothing was measured,
        or answers are missing.
        """
        from lathe.pipeline import on_demand

        return on_demand.regrade(self.folder, self.locked)

    def general(
        self, tasks: Sequence[str], folder: Path | None = None, limit: int | None = None, progress: Progress = silent
    ) -> GeneralCheck:
        """Base and tuned model on tasks of lm-eval that they were not tuned for. No verdict changes and no look is counted.

        folder: of more tasks; limit: items of each. Raises InputError where a model was not measured, or a task cannot be asked;
        Unavailable without the package.
        """
        from lathe.engine.harness import Tasks
        from lathe.pipeline import on_demand

        self._hold_base()
        return on_demand.general(self.folder, self.locked, Tasks(tuple(tasks), folder, limit), progress)

    def doubt(self, progress: Progress = silent) -> Doubts:
        """The training rows whose answers the tuned model itself finds hardest; a report that stands is written anew with them."""
        from lathe.pipeline import on_demand

        self._hold_base()
        return on_demand.doubt(self.folder, self.locked, progress)

    # what a run is for -----------------------------------------------------------------------

    def ask(self, text: str, schema: str | None = None) -> Asked:
        """The answers of base and tuned model to one text."""
        from lathe import ask

        return ask.ask(self.folder, self.locked, text, schema)

    def specialist(self) -> Specialist:
        """The tuned model, loaded once, to be asked often. Raises InputError where there is none yet."""
        from lathe import ask

        return ask.Specialist(ask.Questions(self.folder, self.locked))

    def serve(self, settings: ServeSettings, ready: Callable[[Ready], None]) -> Mapping[int, int]:
        """Serves the run's models until a signal ends it; how many requests ended with which HTTP status.

        ready: hears the address and the token once requests are taken. Raises InputError, Unavailable, Refused.
        """
        from lathe import serve
        from lathe.ask import Questions

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


def run(recipe: str | Path, *sets: str, root: Path = Path("runs"), new: bool = False, smoke: bool = False) -> Run:
    """Runs the whole chain of a recipe, or continues it, and returns the run. `sets` are `key=value` overrides."""
    started = Run.start(recipe, sets, root=root, new=new, smoke=smoke)
    started.go()
    return started


def load(run: str | Path) -> Specialist:
    """The tuned model of a run folder: an object with `generate`, `extract` and `classify`. Raises InputError, Unavailable."""
    return Run.open(run).specialist()


def demo(root: Path = Path("runs")) -> Run:
    """Runs the shipped demo: the bundled base on a generated task."""
    return run("demo", root=root)
