"""Arithmetic and time of a run.

Floating-point operations (2 for a multiply and add), counted for what the engine does:
    products    forward 2 P and gradient of the input 2 P for each token, P = weights of all linear layers but the head;
                2 P more where the weights themselves are trained; an adapter's own 6 a parameter
    attention   forward 2 Q L^2 a layer for a row of L tokens (causal half), forward and backward together 3.5 times that
    both        one forward more where layers are computed again
    head        4 V H for each supervised token: logits and the gradient of the hidden state; 2 V H more where it is trained
The fused step leaves out what nobody reads: in the last layer all but keys and values of tokens without loss, and the gradient
that the first layer would pass to a frozen embedding.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lathe.plan.architecture import Shapes
from lathe.records import Interval, MachineProbe, Parameters, RateSource, Recipe, digest
from lathe.schedule.prefixes import NOTHING_SPARED, Spared

SAME_JOB = (0.8, 1.25)
"""Interval around seconds from rates that the same kind of job reached on this machine, wider where those differ more."""
OTHER_JOB = (0.3, 2.5)
"""The same from rates of other jobs: small models reach a smaller share of what the processor can."""
PROBED = (0.8, 1.35)
"""Interval around seconds from the probe of the same kind of step: packs of the shapes of the bundled base and of SmolLM2-135M took
0.93 to 1.19 of them in CPU time, trainings of the bundled base on a quiet one 1.0 to 1.29, one of ten 1.38."""
CATALOGUE_SHARE = 0.25
"""Share of a data sheet's peak that training of small models reaches: nobody measured it here, so the interval is wide."""
LAUNCH_SECONDS = 1.0e-3
"""Least time of one layer on a GPU, forward and backward: some hundred kernels that are started one after the other. An
assumption."""
CATALOGUE = (0.5, 4.0)
"""Interval around seconds from a data sheet."""
PROCESSOR = (0.3, 3.0)
"""Interval around seconds from what another processor of the same kind reached: models of 4 and of 135 million parameters differ by
up to 2.5 times there, and cores by age and by what else they do."""
REFERENCE_SHARE = 0.5
"""Share of the fused step's rate that the reference step reaches: it took 1.5 to 3.1 times as long (SmolLM2-135M's shape)."""
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
    fused: bool = False,
    spared: Spared = NOTHING_SPARED,
) -> int:
    """Floating-point operations of a training run. lengths, supervised: tokens of each row; seen: times each row is computed.

    fused: whether the engine's own step runs. Of an adapter that only some layers have, the last layer's part is taken by width.
    spared: what is not computed again, since rows share it (`StepPlan.spared`).
    """
    tokens = int(lengths @ seen) - spared.tokens
    scored = int(supervised @ seen)
    squares = int((lengths * lengths) @ seen) - spared.squares
    unread = int(((lengths - supervised) ** 2) @ seen) - spared.squares
    attended = model.num_layers * squares - (unread if fused else 0)
    a_token, a_scored_one = products(model, counted, full, recompute, fused)
    return tokens * a_token + scored * a_scored_one + attention(model, attended, recompute)


def products(
    model: Shapes, counted: Parameters, full: bool, recompute: bool = False, fused: bool = False
) -> tuple[int, int]:
    """Operations of the products with weights: of each token, and those that a scored one has besides."""
    again = 2 if recompute else 0
    each = (6 + again if full else 4 + again) * model.body_linear + (0 if full else (6 + again) * counted.trainable)
    head = (6 if full else 4) * model.vocab * model.hidden
    if not fused:
        return each, head
    last = [linear for linear in model.layer if linear.name.rpartition(".")[2] not in ("k_proj", "v_proj")]
    first = [linear for linear in model.layer if linear.name.rpartition(".")[2] in ("q_proj", "k_proj", "v_proj")]
    of_last = sum(one.fan_in * one.fan_out for one in last)
    if full:
        return each - 6 * of_last, head + 6 * of_last
    share = sum(one.fan_in + one.fan_out for one in last) / sum(one.fan_in + one.fan_out for one in model.layer)
    in_last = 4 * of_last + int(6 * share * counted.trainable / model.num_layers)
    return each - in_last - 2 * sum(one.fan_in * one.fan_out for one in first), head + in_last


def attention(model: Shapes, squares: int, recompute: bool = False) -> int:
    """Operations of attention. squares: length squared over rows and layers."""
    return (9 if recompute else 7) * model.queries * squares


def job_kind(model: Shapes, recipe: Recipe) -> str:
    """Hash of what decides speed beside the machine: the model's shapes and how it is trained. Rates are kept under it."""
    targets = recipe.method.targets
    parts: dict[str, object] = {
        "shapes": repr(model),
        "method": [recipe.method.kind, recipe.method.rank, targets if isinstance(targets, str) else sorted(targets)],
        "precision": recipe.train.precision,
        "threads": recipe.train.threads,
        "processes": recipe.train.processes,
        "trainer": recipe.trainer,
    }
    said = {"recompute": recipe.train.recompute, "shard": recipe.train.shard}
    return digest(parts | {name: True for name, is_so in said.items() if is_so})[:16]


def answer_kind(model: Shapes, recipe: Recipe) -> str:
    """Hash of what decides how fast a model writes answers here, prompts included. Rates are kept under it."""
    said = recipe.evaluate
    parts = {"shapes": repr(model), "threads": recipe.train.threads, "task": recipe.task, "precision": said.precision}
    return digest(parts | {"schema": recipe.schema_.in_prompt, "constrained": said.constrained})[:16]


def answer_seconds(tokens: int, kind: str, rates: Mapping[str, Sequence[float]]) -> Interval | None:
    """Seconds to write so many tokens of answers, from the rates (tokens a second) that a like model reached on this machine."""
    return interval(tokens / statistics.median(rates[kind]), ANSWERS) if kind in rates else None


def seconds(
    work: int,
    kind: str,
    rates: Mapping[str, Sequence[float]],
    probed: float | None = None,
    listed: Interval | None = None,
) -> tuple[Interval | None, RateSource]:
    """Seconds of training on this machine: from the rates of the same kind of job, else those that the probe of its kind of step
    foretells, else from the rates of other jobs (all in operations a second; of several rates the middle one counts), else what the
    catalogue tells.

    None where it has none of them: a number that nothing was measured for would be a guess.
    """
    if kind in rates:
        middle = statistics.median(rates[kind])
        ends = min(SAME_JOB[0], middle / max(rates[kind])), max(SAME_JOB[1], middle / min(rates[kind]))
        return interval(work / middle, ends), "measured"
    if probed:
        return interval(probed, PROBED), "probed"
    if rates:
        return interval(work / statistics.median(map(statistics.median, rates.values())), OTHER_JOB), "measured"
    if listed:
        return listed, "catalogue"
    return None, "none"


@dataclass(frozen=True, eq=False)
class Load:
    """What a training has to do, and by how many."""

    work: NDArray[np.float64]
    """Of each pack, as `pack_work.of_packs` has it."""
    dealt: NDArray[np.int64]
    """Step and process of each pack. Shape: (packs, 2)."""
    steps: int
    width: int
    """Hidden width."""
    layers: int
    threads: int | None = None
    """Threads of all processes on this machine; None = as many as there are."""
    processes_here: int = 1
    """Processes on this machine."""
    trained: int = 0
    """Numbers that are trained."""
    full: bool = False
    """Whether these are all weights."""


def probed_seconds(probe: MachineProbe | None, step: str, precision: str, load: Load) -> float | None:
    """Seconds of training, from the probe: a step takes as long as that of its processes which has most to do.

    The first step waits until helpers have begun, each for what processes exchange and for the optimiser. Between its widths costs
    are interpolated by the logarithm of the width, beyond them as at the nearest. Where all weights were not trained at a width, an
    operation costs what it does with an adapter. None where no such step was probed. Processes of one thread take what one took
    beside its like. Others, and kinds of step that were not tried with one thread, take as much longer than all threads took as
    they have fewer.
    """
    if probe is None:
        return None
    each = max(1, min(load.threads or probe.threads, probe.threads) // load.processes_here)
    seen = {one.threads for one in probe.steps if (one.step, one.precision) == (step, precision)}
    threads = each if each in seen else probe.threads
    kind = (step, precision, threads)
    tried = [one for one in probe.steps if (one.step, one.precision, one.threads) == kind and one.full <= load.full]
    by_width = {one.width: one for one in sorted(tried, key=lambda one: (one.width, one.full))}
    if not by_width:
        return None
    alike = list(by_width.values())

    def at_width(numbers: Sequence[float]) -> float:
        return float(np.interp(math.log(load.width), np.log([one.width for one in alike]), numbers))

    of_packs = load.work @ np.array(
        [at_width(several) for several in zip(*(one.of_each for one in alike), strict=True)]
    )
    of_processes = np.zeros((load.steps, 1 + int(load.dealt[:, 1].max(initial=0))))
    np.add.at(of_processes, (load.dealt[:, 0], load.dealt[:, 1]), of_packs)
    of_steps = load.steps * load.layers * at_width([one.step_seconds for one in alike])
    beginning = probe.helper_seconds if load.processes_here > 1 else 0.0
    a_number = probe.move_seconds + probe.exchange_seconds * (load.processes_here - 1)
    of_numbers = a_number * load.steps * load.trained
    return float(of_processes.max(axis=1).sum() + of_steps) * threads / each + beginning + of_numbers


def on_processor(work: int, core_rate: float, step: str, cores: int) -> Interval:
    """Seconds of training at the rate that the fused step reached with a core of such a processor, in operations a second."""
    return interval(work / (core_rate * cores * (1.0 if step == "fused" else REFERENCE_SHARE)), PROCESSOR)


def on_gpu(work: int, rate: float, layers: int) -> Interval:
    """Seconds of training on a GPU whose products reach so many operations a second at most. layers: over all packs, each of which
    takes as long as it takes to start its kernels."""
    return interval(work / (rate * CATALOGUE_SHARE) + layers * LAUNCH_SECONDS, CATALOGUE)


def interval(value: float, ends: tuple[float, float]) -> Interval:
    """A value with ends that are shares of it."""
    return Interval(low=value * ends[0], value=value, high=value * ends[1])
