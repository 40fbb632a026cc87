"""Arithmetic and time of a run.

Floating-point operations (2 for a multiply and add), counted for what the engine does:
    products    forward 2 P and gradient of the input 2 P for each token, P = weights of all linear layers but the head;
                2 P more where the weights themselves are trained; an adapter's own 6 a parameter
    attention   forward 2 Q L^2 a layer for a row of L tokens (causal half), forward and backward together 3.5 times that
    both        one forward more where layers are computed again
    head        4 V H for each supervised token: logits and the gradient of the hidden state; 2 V H more where it is trained
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lathe.plan.architecture import Shapes
from lathe.records import Interval, LockedRecipe, Parameters, RateSource, Recipe, digest
from lathe.schedule.prefixes import NOTHING_SPARED, Spared

SAME_JOB = (0.8, 1.25)
"""Interval around seconds from a rate that the same kind of job reached on this machine."""
OTHER_JOB = (0.3, 2.5)
"""The same from rates of other jobs: small models reach a smaller share of what the processor can."""
PROBED_SHARE = 0.6
"""Share of the probed rate of matrix products that training reaches; 0.67 was measured in bf16 with the 135 M shape on a CPU."""
PROBED = (0.6, 2.0)
"""Interval around seconds from the probe."""
CATALOGUE_SHARE = 0.25
"""Share of a data sheet's peak that training of small models reaches: nobody measured it here, so the interval is wide."""
CATALOGUE = (0.5, 4.0)
"""Interval around seconds from a data sheet."""


ANSWERS = (0.4, 2.5)
"""Interval around seconds of answers: a model that is being trained writes more or less than the right ones, and guesses that are
copied from the prompt come true more or less often."""


def operations(
    model: Shapes,
    counted: Parameters,
    full: bool,
    lengths: NDArray[np.int64],
    supervised: NDArray[np.int64],
    seen: NDArray[np.int64],
    recompute: bool = False,
    spared: Spared = NOTHING_SPARED,
) -> int:
    """Floating-point operations of a training run. lengths, supervised: tokens of each row; seen: times each row is computed.

    spared: what is not computed again, since rows share it (`StepPlan.spared`).
    """
    tokens = int(lengths @ seen) - spared.tokens
    scored = int(supervised @ seen)
    squares = int((lengths * lengths) @ seen) - spared.squares
    head = model.vocab * model.hidden
    again = 2 if recompute else 0
    products = (6 + again if full else 4 + again) * model.body_linear + (0 if full else (6 + again) * counted.trainable)
    attention = (7 + again) * model.queries * model.num_layers
    return tokens * products + squares * attention + scored * (6 if full else 4) * head


def job_kind(model: Shapes, recipe_parts: Mapping[str, object]) -> str:
    """Hash of what decides speed beside the machine: the model's shapes and how it is trained. Rates are kept under it."""
    return digest({"shapes": repr(model), **recipe_parts})[:16]


def speed_parts(locked: LockedRecipe) -> dict[str, object]:
    """The recipe's part in `job_kind`."""
    recipe = locked.recipe
    targets = recipe.method.targets
    parts: dict[str, object] = {
        "method": [recipe.method.kind, recipe.method.rank, targets if isinstance(targets, str) else sorted(targets)],
        "precision": recipe.train.precision,
        "threads": recipe.train.threads,
        "processes": recipe.train.processes,
        "trainer": recipe.trainer,
    }
    return parts | ({"recompute": True} if recipe.train.recompute else {})


def answer_kind(model: Shapes, recipe: Recipe) -> str:
    """Hash of what decides how fast a model writes answers here, prompts included. Rates are kept under it."""
    parts = {"shapes": repr(model), "threads": recipe.train.threads, "task": recipe.task}
    return digest(parts | {"schema": recipe.schema_.in_prompt})[:16]


def answer_seconds(tokens: int, kind: str, rates: Mapping[str, float]) -> Interval | None:
    """Seconds to write so many tokens of answers, from the rate (tokens a second) that a like model reached on this machine."""
    return interval(tokens / rates[kind], ANSWERS) if kind in rates else None


def seconds(
    work: int, kind: str, rates: Mapping[str, float], probed: float | None = None
) -> tuple[Interval | None, RateSource]:
    """Seconds of training on this machine: from the rate of the same kind of job, else from its probed rate of matrix products,
    else from the rates of other jobs (all in operations a second).

    None where it has none of them: a number that nothing was measured for would be a guess.
    """
    if kind in rates:
        return interval(work / rates[kind], SAME_JOB), "measured"
    if probed:
        return interval(work / (probed * PROBED_SHARE), PROBED), "probed"
    if rates:
        return interval(work / statistics.median(rates.values()), OTHER_JOB), "measured"
    return None, "none"


def interval(value: float, ends: tuple[float, float]) -> Interval:
    """A value with ends that are shares of it."""
    return Interval(low=value * ends[0], value=value, high=value * ends[1])
