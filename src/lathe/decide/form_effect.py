"""What it changes that a model's answers are held to the form of right ones: knowing the form and knowing the answer told apart.

A wrong answer that comes right by the form alone was wrong in its form; one that stays wrong is wrong in what it says.
"""

from __future__ import annotations

from collections.abc import Sequence

from lathe.decide.compare import paired
from lathe.records import EvalReport, FormEffect, HeldArm


def form_effect(
    pairs: Sequence[tuple[EvalReport, EvalReport]], metrics: Sequence[str], confidence: float
) -> FormEffect:
    """pairs: each arm's report as it answered freely, and the one with answers held to their form. metrics: the primary one first.

    Raises InputError where the two of a pair were not measured alike.
    """
    return FormEffect(
        metric=metrics[0],
        n=pairs[0][0].n,
        confidence=confidence,
        arms=tuple(_arm(free, held, metrics, confidence) for free, held in pairs),
    )


def _arm(free: EvalReport, held: EvalReport, metrics: Sequence[str], confidence: float) -> HeldArm:
    both = [metric for metric in metrics if free.score(metric) is not None and held.score(metric) is not None]
    return HeldArm(
        arm=free.arm,
        free_inputs=free.inputs,
        free=tuple(score for metric in both if (score := free.score(metric)) is not None),
        held=tuple(score for metric in both if (score := held.score(metric)) is not None),
        differences=tuple(paired(held, free, metric, confidence) for metric in both),
        cut=sum(count for finish, count in held.finish.items() if finish != "stop"),
        findings=held.findings,
    )
