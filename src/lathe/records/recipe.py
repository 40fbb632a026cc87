"""The recipe: the one file that a person writes. Every key, its meaning, its unit and its default stand here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lathe.records.base import Record, StageRecord, Written
from lathe.records.results import AnswerPrecision
from lathe.records.teacher import TeacherSpec

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]


class Split(Written):
    """Shares of the rows that are kept from training; a row's side is the hash of its prompt, for ever."""

    validation: Share = Field(
        0.1, description="share of rows for choosing: the few-shot or zero-shot base prompt, early stop"
    )
    test: Share = Field(0.2, description="share of rows that only the final measurement sees")

    @model_validator(mode="after")
    def _leaves_rows_to_train(self) -> Split:
        if self.validation + self.test >= 1.0:
            raise ValueError("validation and test together must leave rows to train on (sum below 1)")
        return self


class DataSpec(Written):
    """Where the rows come from: one source that is split, or separate files for each side."""

    source: str | None = Field(
        None,
        description="`lathe:NAME` for a generated corpus, `hub:ORG/NAME` for a data set of the Hub, `teacher` for the rows of the "
        "recipe's teacher, else a file or folder of rows",
    )
    rows: Count = Field(2000, description="rows to generate; only for a generated corpus")
    seed: int = Field(0, description="seed of the generated corpus")
    split: Split = Field(default_factory=lambda: Split())
    train: str | None = Field(None, description="file of training rows, or `teacher`, instead of `source`")
    validation: str | None = Field(None, description="file of validation rows; a share of train where it is not given")
    test: str | None = Field(None, description="file of test rows; a share of train where it is not given")
    fields: dict[str, str] = Field(
        default_factory=dict,
        description="column of the file for each field of the task, where they differ: {input: prompt}. A row's system prompt is "
        "its column `system`, or the one named here: {system: persona}",
    )
    where: dict[str, str] = Field(
        default_factory=dict,
        description="only rows with these values, by column (dotted): {execution.status: success}, which a log of interactions "
        "is read with where nothing else is said",
    )
    system: dict[str, str] = Field(
        default_factory=dict,
        description="system prompt by the role of the agent, in place of a log's own: {coder: Write code.}",
    )
    against: tuple[str, ...] = Field(
        (),
        description="folders of earlier runs that the base grew out of, beside the one that it lies in: test rows that they were "
        "trained on are measured and shown, and do not count for the verdict",
    )
    max_rejected: Share = Field(
        0.0, description="share of rows that may be unusable; above it the run stops. They are always listed"
    )
    limit: Count | None = Field(None, description="use only the first so many rows of the source; None = all")
    variants: Annotated[int, Field(ge=0)] = Field(
        0,
        description="further rows to train on that are made of each training row: the same with other values in text and answer, "
        "and lists drawn anew; they replace repeated epochs",
    )
    invariants: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="rules that every right answer keeps, by schema (`*` for all): {invoice: [total == subtotal + tax]}",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> DataSpec:
        if (self.source is None) == (self.train is None):
            raise ValueError("expected exactly one of `source` and `train`")
        if self.source is not None and (self.validation or self.test):
            raise ValueError("`validation` and `test` files go with `train`; a `source` is split by Lathe")
        return self


class SchemaSpec(Written):
    """JSON Schemas of the answers, for tasks that have them."""

    in_prompt: bool = Field(True, description="whether the model is shown the schema")
    from_: str | None = Field(
        None,
        alias="from",
        description="folder of *.json schemas, or of a JSON list of labels; a generated corpus brings its own",
    )
    key: str = Field("schema_id", description="field of a row that names its schema (the file name without .json)")


class Method(Written):
    """What is trained."""

    kind: Literal["lora", "qlora", "full"] = Field("lora", description="lora, qlora (4-bit base) or full fine-tuning")
    rank: Count = Field(16, description="LoRA rank; no effect on full")
    alpha: Positive = Field(32.0, description="LoRA alpha: the adapter is scaled by alpha / rank")
    dropout: Share = Field(0.0, description="dropout in front of the adapter")
    targets: tuple[str, ...] | Literal["all-linear"] = Field(
        "all-linear", description="module names that get an adapter; all-linear = every linear layer but the head"
    )

    @property
    def quantised(self) -> bool:
        """Whether the base is held in 4 bits, wherever the run trains or asks a model of it."""
        return self.kind == "qlora"


class ValidateSpec(Written):
    """Validation rows answered while training: the weights that answer them best are kept, and training may end in time."""

    every: Count | None = Field(
        None,
        description="optimiser steps from one validation to the next, and one at the end; None = no validation, and the last "
        "weights are kept",
    )
    rows: Count = Field(
        64, description="validation rows that are answered, the same ones each time, evenly spread over all"
    )
    patience: Count | None = Field(
        None,
        description="training ends after so many validations in a row without a better primary metric, counted once it is above "
        "zero; None = it takes all steps",
    )
    stop_on_collapse: bool = Field(
        False,
        description="whether training ends where the answers collapse: all empty, all cut, or the primary metric back at zero. A "
        "collapse is reported in any case",
    )


class TrainSpec(Written):
    """How it is trained. A step is a set of examples; memory is bounded by the token budget, not by the step."""

    epochs: Positive = Field(3.0, description="passes over the training rows")
    max_steps: Count | None = Field(None, description="stop after so many optimiser steps; None = as epochs say")
    examples_per_step: Count = Field(32, description="examples that make one optimiser step")
    group_by_prefix: bool = Field(
        False,
        description="let rows that begin alike (one schema, one instruction) meet in a step, where what they share is computed "
        "once: less to compute, but steps are less mixed than in a random order",
    )
    learning_rate: Positive = Field(1.0e-3, description="peak learning rate")
    warmup_share: Share = Field(0.05, description="share of the steps in which the learning rate rises linearly")
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="decay of the learning rate after warm-up"
    )
    optimiser: Literal["adamw", "adamw8bit"] = Field(
        "adamw",
        description="adamw, or adamw8bit, which keeps its two moments in 8 bits (bitsandbytes): a quarter of their memory, with "
        "rounding; parameters of fewer than 4,096 numbers keep 32 bits",
    )
    weight_decay: Annotated[float, Field(ge=0.0)] = Field(0.0, description="decoupled weight decay of AdamW")
    clip_norm: Positive | None = Field(1.0, description="largest global gradient norm; None = no clipping")
    token_budget: Count = Field(4096, description="most tokens computed at once (a pack); bounds memory")
    recompute: bool = Field(
        False,
        description="compute the inner values of each layer again in the backward pass instead of keeping them (gradient "
        "checkpointing): less memory, a third more time, the same loss and gradient",
    )
    max_tokens: Count | None = Field(None, description="longest row in tokens; None = the model's context")
    truncate: bool = Field(False, description="cut longer rows instead of stopping; each cut is counted")
    checkpoint_every: Count = Field(
        50, description="optimiser steps between checkpoints; each validation leaves one too"
    )
    keep_checkpoints: Count = Field(
        2, description="newest checkpoints kept; the best one by validation is kept besides"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="number format of the computation")
    threads: Count | None = Field(None, description="CPU threads; None = all cores that this process may use")
    processes: Count = Field(
        1,
        description="processes that share the rows of a step, and the threads; on a CPU two are faster than one for models "
        "of a few million parameters. On a GPU it is one. Under torchrun: 1, or as many as it starts",
    )
    shard: bool = Field(
        False,
        description="under torchrun, for method.kind: full: weights, gradients and the optimiser's moments lie in parts over the "
        "processes instead of whole in each, for what no device holds (FSDP2)",
    )
    validate_: ValidateSpec = Field(default_factory=lambda: ValidateSpec(), alias="validate")


class EvaluateSpec(Written):
    """How answers are generated and compared."""

    few_shot: Annotated[int, Field(ge=0, le=16)] = Field(
        2, description="worked examples in the few-shot base prompt; 0 = none"
    )
    max_new_tokens: Count | None = Field(
        None,
        description="longest answer; None = 1.25 times the longest right answer to questions of the same kind + 16",
    )
    samples: Count = Field(
        1,
        description="answers that a model gives to each item; its score is their mean, and intervals count items. Several need a "
        "temperature. Number n is drawn with seed n, so more samples keep those that are there",
    )
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] = Field(
        0.0, description="temperature at which answers are drawn; 0 = the likeliest token each time"
    )
    token_budget: Count = Field(16384, description="most tokens held at once while generating; bounds memory")
    precision: AnswerPrecision = Field(
        "fp32",
        description="number format in which models answer: bf16 is faster where the processor multiplies it, above all for models "
        "of 100 M parameters and more; int8, for CPUs, holds the layers' matrices in 8 bits. Both round otherwise than fp32; base "
        "and tuned model answer in it where Lathe computes, and so does what serves the run",
    )
    constrained: bool = Field(
        False,
        description="whether models are held to the form of right answers while they write: a row's schema, the labels, calls of "
        "the functions offered. `lathe serve` does the same where a request names a `response_format`. A GGUF file is "
        "held by llama.cpp's own grammar, which does not go back",
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = Field(0.95, description="confidence of every interval")
    alpha: Annotated[float, Field(gt=0.0, lt=0.5)] = Field(
        0.05, description="error budget of the test set; each look at the same test rows spends part of it"
    )

    @model_validator(mode="after")
    def _samples_differ(self) -> EvaluateSpec:
        if self.samples > 1 and not self.temperature:
            raise ValueError(
                f"{self.samples} samples at temperature 0 are one answer; set evaluate.temperature, 0.7 say"
            )
        return self


class PublishSpec(Written):
    """What only a person can say before anything is published. Training needs none of it."""

    licence: str | None = Field(
        None,
        description="licence of the tuned model, SPDX id or words; the base's licence says which may be. None blocks publication",
    )
    data_licence: str | None = Field(
        None,
        description="licence of the rows whose source states none; None blocks publication where there are such rows",
    )


class GateSpec(Written):
    """One condition for deploy, declared before training."""

    metric: str = Field(
        description="any measured quantity: a task metric, latency_seconds, peak_bytes, truncated_share ..."
    )
    at_least: float | None = Field(None, description="lowest accepted value")
    at_most: float | None = Field(None, description="highest accepted value")
    better_than: str | None = Field(None, description="arm that must be beaten: base, rule, or an arm's name")
    by: float = Field(0.0, description="margin of better_than, on the paired lower bound")
    judge: Literal["bound", "value", "lower_bound", "upper_bound"] = Field(
        "bound",
        description="what the limit is held against; bound = the end of the interval that is harder to hold: the lower for "
        "at_least, the upper for at_most",
    )

    @model_validator(mode="after")
    def _one_condition(self) -> GateSpec:
        if sum(x is not None for x in (self.at_least, self.at_most, self.better_than)) != 1:
            raise ValueError("expected exactly one of at_least, at_most, better_than")
        return self


class Recipe(Written):
    """One file for all verbs: from data to a verdict."""

    name: Name = Field(description="name of the run; letters, digits, dot, dash, underscore")
    base: str = Field(description="lathe:nano, a folder of safetensors, or a Hub id")
    task: str = Field(description="what a right answer is: json_extraction ...")
    data: DataSpec
    teacher: TeacherSpec | None = Field(
        None, description="a model that writes rows, for data.train or data.source; None = the rows are there"
    )
    schema_: SchemaSpec = Field(default_factory=lambda: SchemaSpec(), alias="schema")
    method: Method = Field(default_factory=lambda: Method())
    train: TrainSpec = Field(default_factory=lambda: TrainSpec())
    evaluate: EvaluateSpec = Field(default_factory=lambda: EvaluateSpec())
    gates: tuple[GateSpec, ...] = Field((), description="conditions for deploy, beside the two that stand by default")
    expect: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="forecasts, metric: [low, high]; recorded before the run and scored after it"
    )
    ship: tuple[str, ...] = Field(
        default_factory=lambda read: ("merged",) if _trains_all(read) else ("adapter",),
        description="what is written for a verdict of deploy or iterate: adapter, merged ...; of itself the adapter, merged "
        "where all weights are trained",
    )
    publish: PublishSpec = Field(default_factory=lambda: PublishSpec())
    trainer: str = Field("native", description="which trainer runs the job")
    seed: int = Field(0, ge=-(2**63), lt=2**63, description="seed of everything random in training, of 64 bits at most")

    @model_validator(mode="after")
    def _shards_what_can_be(self) -> Recipe:
        expected = {"method.kind": "full", "train.optimiser": "adamw", "trainer": "native"}
        found = (self.method.kind, self.train.optimiser, self.trainer)
        wrong = [f"{key}: {got}" for (key, good), got in zip(expected.items(), found, strict=True) if got != good]
        if self.train.shard and wrong:
            needs = ", ".join(f"{key}: {good}" for key, good in expected.items())
            raise ValueError(f"`train.shard` goes with {needs}; got {', '.join(wrong)}. Leave it out, or change that")
        return self

    @model_validator(mode="after")
    def _ships_what_there_is(self) -> Recipe:
        if _trains_all({"method": self.method}) and "adapter" in self.ship:
            raise ValueError(
                "`ship: [adapter]` goes with adapters, and `method.kind: full` trains all weights; ship: [merged]"
            )
        return self

    @model_validator(mode="after")
    def _few_bits_once(self) -> Recipe:
        if self.method.quantised and self.evaluate.precision == "int8":
            raise ValueError(
                "`evaluate.precision: int8` puts matrices into 8 bits, and with `method.kind: qlora` they are in 4; take bf16"
            )
        return self

    @property
    def rounds(self) -> bool:
        """Whether bitsandbytes rounds what is trained on or what is kept of it, so that its version can change a result."""
        return self.method.quantised or self.train.optimiser == "adamw8bit"


def _trains_all(read: Mapping[str, Any]) -> bool:
    """Of the fields of a recipe that were read so far: whether all weights are trained. A faulty method trains none."""
    return "method" in read and read["method"].kind == "full"


class FileHash(Record):
    """A file that the run read, with its content hash."""

    path: str
    sha256: str
    num_bytes: int


class LockedRecipe(StageRecord):
    """The recipe with every default, revision and hash fixed: what really ran."""

    recipe: Recipe = Field(description="the recipe with all defaults filled in")
    base_folder: str = Field(description="folder that the base was resolved to")
    base_files: tuple[FileHash, ...] = Field((), description="weights, configuration and tokenizer files of the base")
    unread_weight_bytes: int = Field(
        0, description="bytes of the base's weight files that were not read, since only a plan was asked for"
    )
    base_revision: str | None = Field(None, description="commit of a Hub id; None for a folder")
    data_files: tuple[FileHash, ...] = Field((), description="data files and schema files, as found")
    taught: FileHash | None = Field(
        None,
        description="the rows of the recipe's teacher, a file of the run folder; None = it has none, or was not asked yet",
    )
    packages: dict[str, str] = Field(default_factory=dict, description="versions of lathe and of what decides results")

    @property
    def weight_bytes(self) -> int:
        """Bytes of the base's weight files, read or not; 0 where they are not there yet."""
        read = sum(file.num_bytes for file in self.base_files if file.path.endswith(".safetensors"))
        return read + self.unread_weight_bytes
