"""Arithmetic and time of a run.

Floating-point operations (2 for a multiply and add), counted for what the engine does:
    products    forward 2 P and gradient of the input 2 P for each token, P = weights of all linear layers but the head;
                2 P more where the weights themselves are trained; an adapter's own 6 a parameter
    attention   forward 2 Q L^2 a layer for a row of L tokens (causal half), forward and backward together 3.5 times that
    head        4 V H for each supervised token: logits and the gradient of the hidden state; 2 V H more where it is trained
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lathe.plan.architecture import Shapes
from lathe.records import Interval, LockedRecipe, Parameters, digest

SAME_JOB = (0.8, 1.25)
"""Interval around seconds from a rate that the same kind of job reached on this machine."""
OTHER_JOB = (0.3, 2.5)
"""The same from rates of other jobs: small models reach a smaller share of what the processor can."""


def operations(
    model: Shapes,
    counted: Parameters,
    full: bool,
    lengths: NDArray[np.int64],
    supervised: NDArray[np.int64],
    seen: NDArray[np.int64],
) -> int:
    """Floating-point operations of a training run. lengths, supervised: tokens of each row; seen: times each row is computed."""
    tokens = int(lengths @ seen)
    scored = int(supervised @ seen)
    squares = int((lengths * lengths) @ seen)
    head = model.vocab * model.hidden
    products = (6 if full else 4) * model.body_linear + (0 if full else 6 * counted.trainable)
    attention = 7 * model.queries * model.num_layers
    return tokens * products + squares * attention + scored * (6 if full else 4) * head


def job_kind(model: Shapes, recipe_parts: Mapping[str, object]) -> str:
    """Hash of what decides speed beside the machine: the model's shapes and how it is trained. Rates are kept under it."""
    return digest({"shapes": repr(model), **recipe_parts})[:16]


def speed_parts(locked: LockedRecipe) -> dict[str, object]:
    """The recipe's part in `job_kind`."""
    recipe = locked.recipe
    targets = recipe.method.targets
    return {
        "method": [recipe.method.kind, recipe.method.rank, targets if isinstance(targets, str) else sorted(targets)],
        "precision": recipe.train.precision,
        "threads": recipe.train.threads,
        "trainer": recipe.trainer,
    }


def seconds(work: int, kind: str, rates: Mapping[str, float]) -> tuple[Interval | None, Literal["measured", "none"]]:
    """Seconds of training from the rates that this machine reached (operations a second, by kind of job).

    None where it has none yet: a number that nothing was measured for would be a guess.
    """
    if kind in rates:
        value, (low, high) = work / rates[kind], SAME_JOB
    elif rates:
        value, (low, high) = work / statistics.median(rates.values()), OTHER_JOB
    else:
        return None, "none"
    return Interval(low=value * low, value=value, high=value * high), "measured"
