"""What the engine does with each pack, as it really lays it out, and how long that takes at what a machine was seen to reach.

    work = of_packs(model, counted, laid, supervised_N, attention)      # one row of KINDS for each pack
    least(seen, seconds)                                                # what each kind costs, from packs that were timed

The fused step rounds tokens and scored positions of a pack up and fills blocks of attention up; computing what was filled up takes
time like all else. Blocks with as many queries and keys are computed together, in tiles those of a row: what is done once for such
a group, however small the model, is counted apart, as is what is done once for a pack.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lathe.plan import fused_attention, fused_step
from lathe.plan.architecture import Shapes
from lathe.plan.cost import attention, products
from lathe.records import Parameters
from lathe.schedule.prefixes import computed

KINDS = ("operations of products", "operations of attention", "groups of attention", "layers")
"""What a pack has so many of."""


def of_packs(
    model: Shapes,
    counted: Parameters,
    laid: fused_attention.Laid,
    supervised_N: NDArray[np.int64],
    attention_work: Sequence[fused_attention.Work] | None,
    *,
    steps: fused_step.Steps = fused_step.COMPILED,
    full: bool = False,
    recompute: bool = False,
) -> NDArray[np.float64]:
    """The work of each pack. Shape: (packs, KINDS).

    attention_work: of the fused step's attention, in each pack; None = the reference step. steps: to which the fused step
    rounds up.
    """
    fused = attention_work is not None
    a_token, a_scored_one = products(model, counted, full, recompute, fused)
    found = np.empty((len(laid), len(KINDS)))
    for place, (rows, stretches) in enumerate(laid):
        tokens, scored = computed(stretches), int(supervised_N[rows].sum())
        if attention_work is not None:
            tokens = fused_attention.rounded_up(tokens, steps.tokens)
            scored = fused_attention.rounded_up(scored, steps.scored)
            by_attention, groups = 2 * model.queries * attention_work[place].products, attention_work[place].groups
        else:
            squares = sum(one.end**2 - one.start**2 for one in stretches)
            by_attention = attention(model, model.num_layers * squares, recompute)
            groups = model.num_layers * len(rows)
        found[place] = tokens * a_token + scored * a_scored_one, by_attention, groups, model.num_layers
    return found


def least(work: NDArray[np.float64], seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds of one of each kind, none below zero, that come nearest to what the packs took, each error as a share of it.

    Shapes: work (packs, KINDS), seconds (packs,); result (KINDS,). Every choice of kinds that cost something is tried:
    there are few.
    """
    shares = work / seconds[:, None]
    kinds = range(work.shape[1])
    best, error = np.zeros(work.shape[1]), np.inf
    for size in kinds:
        for some in combinations(kinds, size + 1):
            found, *_ = np.linalg.lstsq(shares[:, some], np.ones(len(seconds)), rcond=None)
            missed = float(np.square(shares[:, some] @ found - 1).sum())
            if found.min() >= 0 and missed < error - 1e-12:
                best = np.zeros(work.shape[1])
                best[list(some)], error = found, missed
    return best
