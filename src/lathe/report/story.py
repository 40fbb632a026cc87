"""What a run has to tell: its records, gathered. Parts that the run has not reached are None or empty."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from lathe import plugins
from lathe.contracts import Metric
from lathe.errors import InputError, LatheError
from lathe.records import (
    Bundle,
    Decision,
    DoctorReport,
    EvalReport,
    Example,
    FormEffect,
    ItemScore,
    LockedRecipe,
    Manifest,
    Plan,
    Prediction,
    Record,
    RunRecord,
    Score,
    TrainResult,
)
from lathe.records.check import MaskedRow
from lathe.records.results import Doubts
from lathe.report.data_section import trained_rows
from lathe.runs import RunFolder
from lathe.storage import read_rows

R = TypeVar("R", bound=Record)

ARMS = ("tuned", "rule", "base-few", "base-zero")
"""The arms in the order in which they are shown."""

ARM_TITLES = {
    "tuned": "tuned",
    "rule": "rule",
    "base-few": "base, few-shot",
    "base-zero": "base",
}


@dataclass(frozen=True)
class Story:
    """All records of a run that a reader could ask for."""

    run: RunRecord
    locked: LockedRecipe
    doctor: DoctorReport | None = None
    manifest: Manifest | None = None
    plan: Plan | None = None
    train: TrainResult | None = None
    losses: Sequence[tuple[float, float]] = ()
    """(step, loss) as written while training, one for each step."""
    arms: Mapping[str, EvalReport] = field(default_factory=dict)
    """Reports on the test rows, in the order of ARMS."""
    decision: Decision | None = None
    bundle: Bundle | None = None
    examples: Mapping[str, Example] = field(default_factory=dict)
    predictions: Mapping[str, Prediction] = field(default_factory=dict)
    """Of the tuned model, by id; of several answers to an item the one that its score tells the reason of."""
    doubts: Doubts | None = None
    """Training rows that the tuned model itself finds hard; None where it was not asked."""
    form_effect: FormEffect | None = None
    """The models with their answers held to their form; None where that was not measured of these very arms."""
    masked: Sequence[MaskedRow] = ()
    """A few training rows, token by token."""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    """What the task says about its metrics; empty where the task is not installed here."""

    @property
    def primary(self) -> str:
        """The metric that everything turns on."""
        if self.decision is not None:
            return self.decision.primary
        first = next(iter(self.arms.values()), None)
        return first.scores[0].metric if first is not None and first.scores else ""

    def score(self, arm: str, metric: str | None = None) -> Score | None:
        """A score of an arm, of the primary metric unless another is named."""
        report = self.arms.get(arm)
        return report.score(metric or self.primary) if report is not None else None

    def best_base(self) -> str | None:
        """The arm of the base that the decision compared with; without a decision, the better one by value."""
        bases = [arm for arm in ("base-zero", "base-few") if arm in self.arms]
        if self.decision is not None:
            for difference in self.decision.differences:
                if difference.second in bases:
                    return difference.second
        return max(bases, key=lambda arm: getattr(self.score(arm), "value", None) or 0.0, default=None)

    def failed(self) -> list[ItemScore]:
        """Items of the tuned arm that the primary metric does not call right; unmeasured ones are not among them."""
        report = self.arms.get("tuned")
        if report is None:
            return []
        return [item for item in report.items if (value := item.values.get(self.primary)) is not None and value < 1.0]


def gather(run: RunFolder, locked: LockedRecipe) -> Story:
    """Reads what the run has. Raises InputError only where run.json is missing."""
    arms = {arm: _optional(run, run.eval_report(arm), EvalReport) for arm in ARMS}
    examples = read_rows(run.rows("test"), Example) if run.rows("test").is_file() else []
    predictions = read_rows(run.predictions("tuned"), Prediction) if run.predictions("tuned").is_file() else []
    tuned = arms["tuned"]
    shown = {item.id: item.sample for item in tuned.items} if tuned else {}
    metrics: dict[str, Metric] = {}
    with contextlib.suppress(LatheError):
        metrics = {metric.name: metric for metric in plugins.load("tasks", locked.recipe.task).metrics}
    return Story(
        run=run.load(run.run_record, RunRecord),
        locked=locked,
        doctor=_optional(run, run.doctor, DoctorReport),
        manifest=_optional(run, run.manifest, Manifest),
        plan=_optional(run, run.plan, Plan),
        train=_optional(run, run.train_result, TrainResult),
        losses=read_losses(run.metrics.read_text(encoding="utf-8") if run.metrics.is_file() else ""),
        arms={arm: report for arm, report in arms.items() if report is not None},
        decision=_optional(run, run.decision, Decision),
        bundle=_optional(run, run.bundle_record, Bundle),
        examples={example.id: example for example in examples},
        predictions={one.id: one for one in predictions if shown.get(one.id, 0) == one.sample},
        doubts=_doubts(run),
        form_effect=_form_effect(run, arms),
        masked=trained_rows(run, locked),
        metrics=metrics,
    )


def _doubts(run: RunFolder) -> Doubts | None:
    """What the model that was trained last made of its rows."""
    found, trained = _optional(run, run.doubts, Doubts), _optional(run, run.train_result, TrainResult)
    return found if found is not None and trained is not None and found.inputs == trained.inputs else None


def _form_effect(run: RunFolder, arms: Mapping[str, EvalReport | None]) -> FormEffect | None:
    found = _optional(run, run.form_effect, FormEffect)
    if found is None or any(
        (free := arms.get(one.arm)) is None or free.inputs != one.free_inputs for one in found.arms
    ):
        return None
    return found


def _optional(run: RunFolder, path: Path, kind: type[R]) -> R | None:
    if not path.is_file():
        return None
    with contextlib.suppress(InputError):
        return run.load(path, kind)
    return None


def read_losses(text: str) -> tuple[tuple[float, float], ...]:
    """Step and loss of each line of metrics.jsonl; where a step was repeated after a crash, the later one counts."""
    losses: dict[float, float] = {}
    for line in text.split("\n"):
        try:
            row = json.loads(line)
            losses[float(row["step"])] = float(row["loss"])
        except (ValueError, KeyError, TypeError):  # a torn last line, or a line about something else
            continue
    return tuple(sorted(losses.items()))
