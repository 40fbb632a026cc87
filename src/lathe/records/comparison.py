"""Arms of one or more runs, side by side on the same items."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lathe.records.base import Record
from lathe.records.data import DataFinding
from lathe.records.results import AnswerPrecision, Arm, Finding, PairedDifference, Score


class ComparedArm(Record):
    """One arm of a comparison."""

    name: str = Field(description="RUN or RUN:ARM, as it was named")
    arm: Arm
    base: str
    seed: int
    smoke: bool = Field(False, description="whether its run is a smoke run, whose scores mean nothing")
    precision: AnswerPrecision | None = Field(
        None, description="number format of its answers; None = not the native runtime's"
    )
    constrained: bool = Field(False, description="whether its answers were held to the form of right ones")
    score: Score | None


class SliceDifference(Record):
    """A paired difference within one value of a slice."""

    value: str | None = Field(
        description="value of the slice; None = the mean over all values, each of the same weight"
    )
    difference: float
    low: float | None
    high: float | None
    n: int


class ComparedPair(Record):
    """An arm held against the reference."""

    name: str
    difference: PairedDifference = Field(description="this arm minus the reference")
    adjusted: float | None = Field(None, description="p-value after Holm over all pairs of the comparison")
    detectable: float | None = Field(
        None,
        description="difference of two rates that four of five tests on these items would find, at the share of items on which "
        "the arms differ; None where none is, or the metric is no rate",
    )
    slices: tuple[SliceDifference, ...] = ()


class SeedSpread(Record):
    """Tuned arms that differ by the seed of training alone: what chance does to one recipe."""

    names: tuple[str, ...] = Field(description="one arm a seed")
    mean: float
    low: float = Field(description="the lowest of them")
    high: float = Field(description="the highest")
    standard_deviation: float | None = Field(
        description="of the values; None = trained with one seed, nothing is known"
    )


class HeldArm(Record):
    """A model's arm as it answered freely, and with each answer held to the form of the right one while it was written."""

    arm: Arm
    free_inputs: str = Field(description="inputs of the arm's report: another one makes this record an old one")
    free: tuple[Score, ...] = Field(description="the task's metrics, answered freely")
    held: tuple[Score, ...] = Field(description="the same with the answers held to their form")
    differences: tuple[PairedDifference, ...] = Field(
        description="held minus free, metric by metric, on the same items"
    )
    cut: int = Field(description="answers that did not come to their end although they were held to a form")
    findings: tuple[DataFinding, ...] = Field(
        (), description="what was left out of the form, and whatever else makes it doubtful"
    )


class FormEffect(Record):
    """Knows the form, or knows the answer: what it changes that a model's answers are held to the form of right ones."""

    metric: str = Field(description="the task's primary metric")
    n: int
    confidence: float
    arms: tuple[HeldArm, ...]


class GeneralFigure(Record):
    """One figure of one task that the model was not tuned for, before and after."""

    base: Score
    tuned: Score
    difference: PairedDifference = Field(description="tuned minus base, on the same items")
    judged: Literal["worse", "better", "undecided"] = Field(
        description="worse: the whole interval is on the bad side of zero"
    )
    detectable: float | None = Field(
        None, description="as `ComparedPair.detectable`, for a figure that is a rate: what would have been found"
    )


class GeneralCheck(Record):
    """General ability before and after tuning, as lm-eval's tasks measure it."""

    package: str
    n: int = Field(description="items of all tasks together")
    confidence: float = Field(description="with which all intervals hold together")
    each: float = Field(description="confidence of each one, for that")
    figures: tuple[GeneralFigure, ...]
    findings: tuple[Finding, ...] = Field((), description="what fell, surely")
    notes: tuple[DataFinding, ...] = Field((), description="what could not be compared")


class Comparison(Record):
    """Arms on the same items, each held against the first."""

    metric: str
    reference: str
    n: int
    test_hash: str
    scorer: str
    confidence: float
    arms: tuple[ComparedArm, ...]
    pairs: tuple[ComparedPair, ...]
    seeds: tuple[SeedSpread, ...] = Field((), description="of each recipe whose tuned arm was measured")
