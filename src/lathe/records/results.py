"""What was measured. `None` in a score means not measured, never zero."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lathe.records.base import Json, Record, StageRecord
from lathe.records.data import DataFinding, Side

AnswerPrecision = Literal["fp32", "bf16", "int8"]
"""Number format of a model while it answers."""

AMOUNTS = ("latency_seconds", "tokens_per_second", "peak_bytes", "file_bytes")
"""What every arm is measured on beside the metrics of its task, in units; its value lies not between 0 and 1."""
SHARES = ("truncated_share",)
"""The same, between 0 and 1."""

Finish = Literal["stop", "length", "none"]
Arm = str
"""base-zero, base-few, rule, tuned, or the name of an exported file's arm."""


class TrainJob(Record):
    """All that a trainer needs, already decided. Paths are absolute."""

    base_folder: str = Field(description="folder with config.json, *.safetensors and tokenizer.json")
    tokens_path: str = Field(description="safetensors file of the encoded training rows (text.tokens)")
    out_folder: str = Field(description="the run's train/ folder: adapter/, checkpoints/, metrics.jsonl")
    method: Json = Field(description="the recipe's `method` part")
    train: Json = Field(description="the recipe's `train` part")
    seed: int
    job_hash: str = Field(description="hash of all inputs; a checkpoint of another job is not continued")


class Score(Record):
    """A metric over a set of items."""

    metric: str
    value: float | None = Field(description="None = not measured")
    low: float | None = None
    high: float | None = None
    n: int = Field(description="items that count")
    not_measured: int = 0
    method: str = Field("", description="how the interval was made: wilson, bootstrap, bounded mean")
    kind: Literal["proportion", "mean", "macro_f1", "micro_f1", "amount", "ratio", "single"] = Field(
        "mean",
        description="proportion: yes or no for each item; mean: a task's number for each item; "
        "macro_f1, micro_f1: F1 over the set, from the items' counts by class; amount: seconds or tokens for each item; ratio: sum "
        "over sum; single: one number for the whole arm, without an interval",
    )
    higher_is_better: bool = True


class Validation(Record):
    """The weights after one step, measured by their answers to the slice of the validation rows."""

    step: int = Field(description="optimiser steps taken")
    score: Score = Field(description="the task's primary metric on the slice")
    answers: int = Field(description="rows that were asked")
    empty: int = Field(description="answers without any text")
    cut: int = Field(description="answers cut at the limit on new tokens")
    new_tokens: int
    seconds: float = Field(description="wall seconds, writing and loading the weights included")
    collapse: str = Field("", description="why these answers say nothing any more; empty where that is not so")


class TrainResult(StageRecord):
    """What training did."""

    adapter_folder: str = Field(description="relative to the run folder")
    num_steps: int
    num_tokens: int = Field(description="tokens of the rows, each as often as it was seen")
    num_computed: int | None = Field(
        None,
        description="tokens computed: what rows of a pack begin with alike counts once; None where the trainer does not tell",
    )
    num_supervised: int
    truncated_rows: int = Field(0, description="training rows that were cut at the longest length allowed")
    first_loss: float | None = Field(description="loss of the first step, nats per supervised token")
    last_loss: float | None = Field(description="mean loss of the last tenth of the steps")
    peak_bytes: int = Field(
        description="peak resident memory on CPU, the sum over all processes; peak allocated on GPU, the highest of any"
    )
    train_seconds: float = Field(description="seconds spent in steps, over all starts of the run")
    tokens_per_second: float
    forecast_seconds: float | None = Field(
        None,
        description="what all steps would take by the rate of the first ones (the very first left out); said after them",
    )
    stop: Literal["done", "early", "collapsed"] = Field(
        "done", description="done: all steps were taken; early: patience ended training; collapsed: the answers did"
    )
    validations: tuple[Validation, ...] = Field(
        (), description="every measurement of the weights on validation rows while they were trained, in order"
    )
    chosen_step: int | None = Field(
        None, description="step whose weights are the adapter; None = the last one, nothing was validated"
    )
    chosen_why: str = Field("", description="why those weights and no others, with the numbers")
    device: str = "cpu"
    precision: str = "fp32"
    products: Literal["oneDNN", "default"] = Field(
        "default",
        description="whose code multiplied float32 matrices: oneDNN's, tried to be exact here, or torch's default",
    )
    step_kind: str = Field(
        "reference", description="which implementation of the step ran, with the reason where it fell back"
    )
    processes: int = Field(
        1, description="processes that shared each step: helpers beside this one, or the ranks of torchrun"
    )
    trainable_parameters: int = 0
    resumed: int = Field(0, description="how many times training continued from a checkpoint")
    notes: tuple[str, ...] = Field(
        (), description="what else happened: checkpoints passed over, token budget halved, other threads"
    )


class Doubt(Record):
    """A training row whose answer the tuned model finds unlikely."""

    place: str = Field(description="file:line of the run's training rows")
    id: str
    text: str = Field(description="the row's input, shortened and with secrets redacted")
    given: str = Field(description="its answer, likewise")
    loss: float = Field(description="mean nats a token of the answer, end token included")


class Doubts(StageRecord):
    """What the tuned model makes of the rows that it was trained on.

    It has seen each of them, so a wrong answer may have been learned by heart: what is hard for it is wrong, rare or random, what
    is easy is not therefore right. The fewer the epochs, the more it tells.
    """

    rows: int = Field(description="training rows that were measured")
    of: int = Field(description="training rows that there are; beyond `rows` they are passed over evenly")
    median: float = Field(description="nats a token of the row in the middle")
    worst: tuple[Doubt, ...] = Field(description="the hardest rows, the hardest first")


class Prediction(Record):
    """One answer. The text is kept, so that scoring it again costs nothing."""

    id: str
    text: str
    finish: Finish
    sample: int = Field(0, description="number of the answer among those to the item; the seed that it was drawn with")
    prompt_tokens: int = 0
    new_tokens: int = 0
    seconds: float = Field(0.0, description="share of wall time of this item")
    answered_as: str = Field(
        "", description="the model's name by the endpoint that answered, where it is not the one asked for"
    )


class Generation(Record):
    """What the texts of a prediction file depend on. Answers are continued, not made again, as long as it stays the same."""

    inputs: str = Field(description="hash of model files, prompts, answer length and package versions")
    peak_bytes: int | None = Field(
        None, description="largest resident memory of the calls that made the answers; None = not done"
    )


class ItemScore(Record):
    """One answer judged, or all answers to one item: then values are means over them, and counts are sums."""

    id: str
    values: dict[str, float | None] = Field(description="metric -> value; None = not measured")
    reason: str = Field(
        "",
        description="why it is not right, in a word or two, of several answers the first that is not; empty where the primary "
        "metric is 1",
    )
    samples: int = Field(1, description="answers to the item")
    sample: int = Field(0, description="number of the answer that `reason` is about")
    reasons: dict[str, int] = Field(default_factory=dict, description="of several answers: reason -> answers")
    meta: dict[str, str] = Field(default_factory=dict)
    document: str = Field(
        "", description="hash of the input: items with the same one succeed and fail together; empty = stands alone"
    )
    counts: dict[str, dict[str, tuple[int, int, int]]] = Field(
        default_factory=dict, description="metric that is an F1 over the set -> class -> (matched, gold, said)"
    )

    def origin(self) -> str:
        """What the item goes together with: its document, else itself."""
        return self.document or self.id

    def faults(self) -> dict[str, int]:
        """Reason -> answers that are not right for it."""
        return self.reasons or ({self.reason: 1} if self.reason else {})


class ProbedItem(Record):
    """What a probe found of one item, kept so that it is not done twice."""

    key: str = Field(description="hash of all that it depends on")
    values: dict[str, float | None]
    reason: str = ""
    id: str = Field("", description="item; empty on disk, where several items may share what was done")


class SampleSpread(Record):
    """A metric over several answers to each item."""

    metric: str
    values: tuple[float | None, ...] = Field(description="the score of each item's first answer, of its second, ...")
    standard_deviation: float | None = Field(description="of these scores; None where fewer than two were measured")
    in_any: Score | None = Field(
        None, description="share of items with 1 in at least one answer; None for what is no yes or no"
    )
    in_all: Score | None = Field(None, description="share of items with 1 in every answer; None likewise")


class EvalReport(StageRecord):
    """One arm measured on the test rows."""

    arm: Arm
    test_hash: str = Field(description="hash of the test rows")
    prompt_hash: str = Field(description="hash of what the prompts were made of, tokenizer and template included")
    scorer: str = Field(description="task and version of its scorer")
    n: int
    scores: tuple[Score, ...]
    slices: dict[str, dict[str, tuple[Score, ...]]] = Field(
        default_factory=dict, description="slice key -> slice value -> scores; the n of a key's values add up to n"
    )
    samples: int = Field(1, description="answers to each item")
    temperature: float | None = Field(
        None, description="at which they were drawn, 0 = the likeliest token each time; None = no model was asked"
    )
    precision: AnswerPrecision | None = Field(
        None, description="number format in which the native runtime computed them; None = something else answered"
    )
    constrained: bool = Field(False, description="whether every answer was held to the form of right ones")
    spread: tuple[SampleSpread, ...] = Field(
        (), description="of several answers to each item: yes-or-no metrics and means, answer by answer"
    )
    finish: dict[str, int] = Field(default_factory=dict, description="stop, length, none -> answers")
    reasons: dict[str, int] = Field(default_factory=dict, description="reason of failure -> answers")
    confusion: dict[str, dict[str, int]] = Field(
        default_factory=dict,
        description="gold class -> class that was said -> answers, where an item has one class; empty name: an answer of no class",
    )
    peak_bytes: int | None = None
    new_tokens: int = 0
    items: tuple[ItemScore, ...] = Field((), description="every item's scores, in the order of the test file")
    seen_before: tuple[str, ...] = Field(
        (), description="ids of items that an earlier run was trained on, which the base grew out of"
    )
    clean_scores: tuple[Score, ...] = Field(
        (),
        description="the scores over all other items, which the verdict rests on; empty where there is nothing to leave out",
    )
    side: Side = Field("test", description="side of the split that was measured")
    chosen: str = Field("", description="arm rule: the task's baseline that scored best on validation")
    few_shot_ids: tuple[str, ...] = Field(
        (), description="arm base-few: training examples shown before every question, in order"
    )
    max_new_tokens: int | None = Field(
        None, description="longest answer that was allowed, in tokens; None = no model was asked"
    )
    findings: tuple[DataFinding, ...] = Field((), description="what makes these numbers doubtful, each with its count")

    def score(self, metric: str) -> Score | None:
        """The score of one metric, or None where this arm does not have it."""
        return next((s for s in self.scores if s.metric == metric), None)

    def clean(self) -> EvalReport:
        """The report over the items that no earlier run was trained on; without slices and spread, which hold the others too."""
        if not self.seen_before:
            return self
        known = set(self.seen_before)
        items = tuple(item for item in self.items if item.id not in known)
        return self.model_copy(
            update={"items": items, "n": len(items), "scores": self.clean_scores, "slices": {}, "spread": ()}
        )


class PairedDifference(Record):
    """Two arms on the same items: first minus second."""

    metric: str
    first: Arm
    second: Arm
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None = Field(None, description="exact McNemar for yes/no metrics, else paired bootstrap")
    n: int
    wins: int = Field(0, description="items that only the first got right (or got higher)")
    losses: int = 0
    design_effect: float = Field(
        1.0,
        description="items that weigh as much as one, where several come from one document; counts are divided by it",
    )
    method: str = ""


class GateResult(Record):
    """One gate held against what was measured."""

    text: str = Field(description="the gate in words")
    held: bool
    measured: float | None = Field(description="the number that was judged; None = not measured, which never holds")
    limit: float
    metric: str
    default: bool = Field(False, description="whether the gate stands by default")
    decidable: bool = Field(True, description="False where the interval is too wide to say either way")
    rows_needed: int | None = Field(None, description="test rows that would decide, where it is not decidable")


class Finding(Record):
    """One reason behind the verdict, with its numbers and what to do next."""

    id: str
    message: str
    next_action: str | None = None


class Decision(StageRecord):
    """The verdict and why."""

    verdict: Literal["deploy", "iterate", "abort"]
    primary: str = Field(description="metric that the verdict line shows")
    line: str = Field(description="the one line that a person can retell")
    gates: tuple[GateResult, ...]
    differences: tuple[PairedDifference, ...] = ()
    findings: tuple[Finding, ...] = ()
    looks: int = Field(1, description="how often this test set has been looked at, this time included")
    confidence: float = Field(0.95, description="confidence of the judged bounds after paying for the looks")
    forecasts: dict[str, Json] = Field(default_factory=dict, description="metric -> {expected, measured, inside}")
