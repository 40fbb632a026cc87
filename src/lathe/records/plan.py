"""What a run will cost, said before it is spent. Exact parts are integers, estimated parts are intervals."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

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
    num_tokens: int = Field(description="tokens computed over the whole run")
    num_supervised: int = Field(description="tokens of the whole run that carry loss")
    truncated_rows: int = 0
    longest_row: int = Field(0, description="tokens of the longest training row")
    checkpoint_steps: tuple[int, ...] = ()


class Plan(StageRecord):
    """The forecast of one run on one machine."""

    parameters: Parameters
    schedule: Schedule
    memory: tuple[MemoryTerm, ...]
    peak_bytes: Interval = Field(description="resident bytes at the peak of training")
    free_bytes: int = Field(description="memory that was free when the plan was made")
    train_seconds: Interval | None = Field(None, description="seconds of training; None until a rate is known")
    evaluate_tokens: int = Field(0, description="upper bound of tokens generated for all arms")
    rate_source: Literal["measured", "catalogue", "none"] = "none"
    findings: tuple[str, ...] = Field((), description="contradictions in the recipe, each with its fix")

    def fits(self) -> bool:
        """Whether the upper end of the peak is within the memory that was free."""
        return self.peak_bytes.high <= self.free_bytes
