"""What a run will cost, said before it is spent. Exact parts are integers, estimated parts are intervals."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, field_validator

from lathe.records.base import Interval, Record, StageRecord


class Parameters(Record):
    """Logical parameters, counted from shapes (never from packed storage)."""

    total: int
    trainable: int
    by_group: dict[str, int] = Field(default_factory=dict, description="embedding, attention, mlp, norm, head, adapter")


class MemoryTerm(Record):
    """One named part of the peak, with the formula that gave it."""

    name: str
    num_bytes: int
    formula: str = Field(description="the arithmetic in words and numbers, for a person to check")


class Schedule(Record):
    """Everything about steps that is known before the first one."""

    num_examples: int
    num_steps: int
    steps_per_epoch: int
    warmup_steps: int
    num_packs: int = Field(description="packs over the whole run: forward-backward passes")
    num_tokens: int = Field(description="tokens of the rows over the whole run")
    num_computed: int | None = Field(
        None, description="tokens computed: what rows of a pack begin with alike counts once; None in older plans"
    )
    num_supervised: int = Field(description="tokens of the whole run that carry loss")
    truncated_rows: int = 0
    longest_row: int = Field(0, description="tokens of the longest training row")
    checkpoint_steps: tuple[int, ...] = ()


class StepRate(Record):
    """What one kind of training step reached on this machine."""

    step: Literal["fused", "reference"]
    precision: Literal["fp32", "bf16"]
    full: bool = Field(False, description="whether all weights were trained, else an adapter")
    width: int = Field(description="hidden width of the model")
    threads: int
    product_seconds: float = Field(ge=0, description="of one floating-point operation of products with weights")
    attention_seconds: float = Field(0.0, ge=0, description="of one floating-point operation of attention")
    group_seconds: float = Field(
        0.0, ge=0, description="of a layer for each group of attention that is computed at once, however small it is"
    )
    pack_seconds: float = Field(0.0, ge=0, description="of a layer for each pack, however few tokens it has")
    step_seconds: float = Field(
        0.0,
        ge=0,
        description="of a layer for each step, whatever its packs",
    )

    @property
    def of_each(self) -> tuple[float, float, float, float]:
        """Seconds of one of each kind that `plan.pack_work` counts of a pack."""
        return self.product_seconds, self.attention_seconds, self.group_seconds, self.pack_seconds

    @property
    def rate(self) -> float:
        """Operations of products a second."""
        return 1 / self.product_seconds if self.product_seconds else math.inf


class MachineProbe(Record):
    """What `lathe doctor --probe` measured."""

    schema_version: Literal[7] = 7
    device: str
    threads: int = Field(description="threads that the processor has for us")
    helper_seconds: float = Field(0.0, ge=0, description="until a process beside the first can take its share of steps")
    exchange_seconds: float = Field(
        0.0,
        ge=0,
        description="of a step of several processes for each number that is trained and each process beside the first",
    )
    move_seconds: float = Field(
        0.0, ge=0, description="of a step for each number that is trained, to clip its gradient and to move it"
    )
    busy: float = Field(0.0, description="processes that wanted a core, over the cores, in the minute of the probe")
    steps: tuple[StepRate, ...]


RateSource = Literal["measured", "probed", "catalogue", "none"]
"""From what seconds were computed: a run of this machine, its probe, a data sheet, nothing."""


class PlanFinding(Record):
    """One contradiction. `id` is stable: scripts and documents may name it."""

    id: str
    message: str = Field(description="what is wrong, with its numbers")
    fix: str = Field("", description="what to change")

    def __str__(self) -> str:
        return f"{self.message}; {self.fix}" if self.fix else self.message


class MachineForecast(Record):
    """What the run would need on one machine of the catalogue. Training only; money is in the catalogue's currency."""

    machine: str
    fits: bool
    memory_bytes: int = Field(description="memory of the machine; on `cpu` what is free here")
    memory: tuple[MemoryTerm, ...]
    peak_bytes: Interval
    precision: Literal["fp32", "bf16"]
    seconds: Interval | None = None
    rate_source: RateSource = "none"
    kwh: Interval | None = Field(None, description="electricity at full power")
    money: Interval | None = None
    money_source: str = Field("", description="price and its date, an assumption of the catalogue")
    currency: str = "USD"


class ValidationPlan(Record):
    """What answering validation rows while training will cost, where all steps are taken."""

    times: int = Field(description="validations over the whole run")
    rows: int = Field(description="rows that are answered each time")
    prompt_tokens: int = Field(description="tokens of all prompts, over all validations")
    right_tokens: int = Field(description="tokens of the right answers, over all validations: what a good model writes")
    most_tokens: int = Field(description="upper bound of tokens written, over all validations")
    seconds: Interval | None = Field(
        None, description="seconds beside those of the steps; None until this machine has answered for a like model"
    )


class Plan(StageRecord):
    """The forecast of one run on one machine."""

    parameters: Parameters
    schedule: Schedule
    memory: tuple[MemoryTerm, ...]
    peak_bytes: Interval = Field(description="bytes at the peak of training: resident, or of the GPU's memory")
    evaluate_memory: tuple[MemoryTerm, ...] = Field((), description="terms of the peak while answers are generated")
    padded_memory: tuple[MemoryTerm, ...] = Field(
        (), description="estimate, for comparison: a trainer that pads batches of 8 rows and scores every position"
    )
    free_bytes: int = Field(description="memory that was free when the plan was made, of the GPU where there is one")
    gpu: str | None = Field(None, description="name of the GPU that trains; null = the processor does")
    pack_tokens: int = Field(0, description="tokens of the largest pack")
    pack_supervised: int = Field(0, description="most tokens with loss in one pack")
    pack_weights: int = Field(
        0, description="numbers of one head that the fused step's attention keeps of the largest pack, over all layers"
    )
    pack_batch: int = Field(0, description="numbers that its batches of attention hold at once on their way backward")
    kernels: int = Field(0, description="shapes of products that the fused step meets over the run")
    row_lengths: int = Field(0, description="rows of other lengths that are met over the run")
    processes: int = Field(1, description="processes that share a step, ranks on other machines among them")
    processes_here: int = Field(1, description="those of them that are on this machine")
    threads: int = Field(1, description="threads of each process")
    sample_tokens: int = Field(0, description="tokens on which the fused step is tried before the first step")
    sample_supervised: int = Field(0, description="those of them that carry loss")
    step_kind: Literal["fused", "reference"] = Field("reference", description="which step of the engine will run")
    compiled: bool = Field(False, description="whether a C++ compiler makes the fused step's element-wise parts")
    has_avx512: bool = Field(True, description="whether the processor has AVX-512")
    has_tiles: bool = Field(False, description="whether it multiplies bf16 in tiles (AMX)")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="number format that `auto` stands for on this machine"
    )
    cache_tokens: int = Field(
        0, description="most tokens whose keys and values a process holds while answers are generated"
    )
    answer_processes: int = Field(1, description="processes that share the answers")
    answering_bytes: int = Field(
        0, description="what answering validation rows while training needs beside the process"
    )
    longest_answered: int = Field(
        0, description="tokens of the longest prompt, worked examples included, and the answer that it may get"
    )
    stored_bytes: int = Field(0, description="bytes of the base's weights on disk")
    operations: int = Field(0, description="floating-point operations of training")
    train_seconds: Interval | None = Field(None, description="seconds of training; None until a rate is known")
    evaluate_tokens: int = Field(0, description="upper bound of tokens generated for all arms")
    validation: ValidationPlan | None = Field(
        None, description="answers to validation rows while training; None = the recipe does not ask for them"
    )
    rate_source: RateSource = "none"
    findings: tuple[PlanFinding, ...] = Field((), description="contradictions in the recipe, each with its fix")

    @field_validator("findings", mode="before")
    @classmethod
    def _older(cls, found: Any) -> Any:
        """Plans written before findings had ids hold sentences."""
        if not isinstance(found, (list, tuple)):
            return found
        return [{"id": "unnamed", "message": one} if isinstance(one, str) else one for one in found]

    @property
    def measurable_bytes(self) -> Interval:
        """The peak as a training can measure its own: of a GPU torch knows what it took, and not what its context takes."""
        context = sum(term.num_bytes for term in self.memory if term.name == "context")
        peak = self.peak_bytes
        return Interval(low=max(0, peak.low - context), value=peak.value - context, high=peak.high - context)

    def trains(self) -> bool:
        """Whether training, at its upper end, is within the memory that was free."""
        return self.peak_bytes.high <= self.free_bytes

    def answers(self) -> bool:
        """Whether evaluation is."""
        return 1.1 * sum(term.num_bytes for term in self.evaluate_memory) <= self.free_bytes

    def fits(self) -> bool:
        """Whether both are."""
        return self.trains() and self.answers()
