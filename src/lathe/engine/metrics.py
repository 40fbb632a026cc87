"""What is noted of each step, one line of metrics.jsonl, and what the first steps foretell of all."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lathe.schedule.steps import StepPlan
from lathe.storage import committed, writing

FORECAST_STEPS, FORECAST_SECONDS = 5, 2.0
"""Steps, and seconds of all but the first, after which the time of all is foretold, by the later half of them: the first waits for
helpers, and those behind it meet many shapes of products that oneDNN then compiles."""


def step_line(
    plan: StepPlan, supervised_N: NDArray[np.int64], step: int, loss: float, norm: float, seconds: float
) -> dict[str, Any]:
    """What is noted of a step. step: counted from 1; supervised_N: supervised tokens of each row."""
    rows = plan.examples(step - 1)
    tokens = int(plan.lengths_N[rows].sum())
    return {
        "step": step, "loss": loss, "learning_rate": plan.learning_rate(step - 1), "gradient_norm": norm, "tokens": tokens,
        "supervised": int(supervised_N[rows].sum()), "seconds": seconds, "tokens_per_second": tokens / seconds,
    }  # fmt: skip


def remaining_seconds(early: Sequence[tuple[int, float]], plan: StepPlan, step: int) -> float | None:
    """Seconds of the steps from `step` on, at the rate of the later half of the first ones, each (tokens, seconds); None while too
    few were taken."""
    if len(early) < FORECAST_STEPS or sum(seconds for _, seconds in early[1:]) < FORECAST_SECONDS:
        return None
    later = early[len(early) // 2 :]
    rate = sum(tokens for tokens, _ in later) / sum(seconds for _, seconds in later)
    left = sum(int(plan.lengths_N[plan.examples(coming)].sum()) for coming in range(step, plan.num_steps))
    return left / rate


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, oldest first: steps, and validations between them; a torn last line is left out."""
    lines = []
    for text in path.read_bytes().split(b"\n") if path.is_file() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def first_and_last(lines: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None]:
    """The loss of the first step, and the mean of the last tenth of the steps; None where there are none."""
    losses = [line["loss"] for line in lines if "loss" in line]
    tail = losses[-max(1, len(losses) // 10) :]
    return (losses[0], sum(tail) / len(tail)) if losses else (None, None)


@contextlib.contextmanager
def opened(path: Path, done: int) -> Iterator[IO[bytes]]:
    """metrics.jsonl open for appending, without the lines of steps after `done`, which will be taken again. Raises StorageError."""
    kept = [line for line in read(path) if line["step"] <= done]
    with committed(path) as file:
        for line in kept:
            file.write(json.dumps(line).encode() + b"\n")
    with writing(path):
        file = open(path, "ab")  # noqa: SIM115 - writing() must not re-word errors of the caller's block
    try:
        yield file
    finally:
        with writing(path):  # closing writes what could not be written before
            file.close()


def write(file: IO[bytes], line: Mapping[str, Any]) -> None:
    """Appends one step's line, visible to readers at once."""
    with writing(Path(file.name)):
        file.write(json.dumps(line).encode() + b"\n")
        file.flush()
