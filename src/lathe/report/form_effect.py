"""What holding answers to their form changed, in rows and in words, for the screen and for the page.

words(arm, "json_exact")
->  "of 143 wrong answers 7 come right by the form alone and 136 are wrong in what they say; 3 right ones go wrong"
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lathe.records import FormEffect, HeldArm
from lathe.report import figures


@dataclass(frozen=True)
class Row:
    """One metric of one arm, free and held; cells as people read them."""

    arm: str
    metric: str
    free: str
    held: str
    difference: str
    tally: str
    p: str


def rows(effect: FormEffect) -> Iterator[Row]:
    """A row for each arm and metric."""
    for arm in effect.arms:
        for free, held, gap in zip(arm.free, arm.held, arm.differences, strict=True):
            yield Row(
                arm=arm.arm,
                metric=gap.metric,
                free=figures.estimated(free),
                held=figures.estimated(held),
                difference=figures.gained(gap.difference, gap),
                tally=f"{gap.wins} : {gap.losses}",
                p=figures.p_value(gap.p_value),
            )


def words(arm: HeldArm, metric: str) -> str:
    """How many wrong answers were wrong in their form alone; empty for a metric that does not say right or wrong."""
    free = next((score for score in arm.free if score.metric == metric), None)
    gap = next((one for one in arm.differences if one.metric == metric), None)
    if free is None or gap is None or free.value is None or free.kind != "proportion":
        return ""
    wrong = round(free.n * (1 - free.value))
    said = (
        f"of {figures.counted(wrong, 'wrong answer')} {figures.count(gap.wins)} come right by the form alone and "
        f"{figures.count(wrong - gap.wins)} are wrong in what they say"
    )
    return f"{said}; {figures.count(gap.losses)} right ones go wrong" if gap.losses else said
