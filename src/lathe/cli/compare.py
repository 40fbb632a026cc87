"""The verb `compare`: arms of runs side by side, each held against the first."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lathe.cli.show import Screen
from lathe.errors import Exit

if TYPE_CHECKING:
    from lathe.records import ComparedPair, Comparison


def compare(args: argparse.Namespace, screen: Screen) -> Exit:
    """One table: each arm's value with its interval, and what it gained over the first."""
    import lathe

    found: Comparison = lathe.compare(args.arms, metric=args.metric, by=args.by)
    if screen.as_json:
        screen.document(found.dump())
    else:
        _show(screen, found)
    return Exit.DONE


def _show(screen: Screen, found: Comparison) -> None:
    from lathe.report import figures, samples

    pairs = {pair.name: pair for pair in found.pairs}
    rows = []
    for arm in found.arms:
        value = figures.quantity(found.metric, arm.score.value if arm.score else None)
        interval = figures.quantity_bounds(found.metric, arm.score) if arm.score else ""
        rows.append([arm.name, figures.with_interval(value, interval), *_gained(pairs.get(arm.name), found)])
    screen.line()
    screen.table(
        [
            figures.counted(found.n, "item"),
            found.metric,
            "less the first",
            _counted(found),
            "p (Holm)",
            "",
        ],
        rows,
    )
    if found.pairs[0].slices:
        screen.line()
        screen.table(["less the first, by value", "items", *pairs], list(_slices(found)), right=(1,))
    if len({arm.precision for arm in found.arms} - {None}) > 1:
        formats = ", ".join(f"{arm.name} in {arm.precision}" for arm in found.arms if arm.precision)
        screen.line(f"  Answers were computed in different number formats: {formats}.")
    held = [arm.name for arm in found.arms if arm.constrained]
    if held and len(held) < len(found.arms):
        screen.line(f"  Held to the form of right answers, as the others were not: {', '.join(held)}.")
    smoke = [arm.name for arm in found.arms if arm.smoke]
    if smoke:
        screen.line(f"  Of smoke runs, whose scores mean nothing: {', '.join(smoke)}.")
    for spread in found.seeds:
        screen.line(f"  {samples.over_seeds(spread, found.metric)}")


def _slices(found: Comparison) -> Iterator[list[str]]:
    """A row a value of the slice: how many items, and what each arm gained there."""
    from lathe.report import figures

    metric = found.metric
    for parts in zip(*(pair.slices for pair in found.pairs), strict=True):
        value = parts[0].value
        where = "each value alike" if value is None else value or "unstated"
        cells = [figures.quantity_gained(metric, part.difference, part) for part in parts]
        yield [where, figures.count(parts[0].n), *cells]


def _counted(found: Comparison) -> str:
    """What the two numbers between arms count: items that one alone has right, or whose value is larger in one; nothing where items
    have no value."""
    kinds = {arm.score.kind for arm in found.arms if arm.score}
    if kinds & {"single", "ratio"}:
        return ""
    return "only this : only the first right" if kinds == {"proportion"} else "larger here : in the first"


def _gained(pair: ComparedPair | None, found: Comparison) -> list[str]:
    """The cells of an arm that say how it stands to the first; the first has none."""
    from lathe.report import figures

    if pair is None:
        return ["", "", "", ""]
    gap = pair.difference
    return [
        figures.quantity_gained(found.metric, gap.difference, gap),
        f"{gap.wins} : {gap.losses}" if _counted(found) else "",
        figures.p_value(pair.adjusted),
        _judged(pair, found.confidence),
    ]


def _judged(pair: ComparedPair, confidence: float) -> str:
    """Whether anything is decided; where not, what would have been found."""
    from lathe.report import figures

    gap = pair.difference
    if gap.low is None or gap.high is None or gap.difference is None:
        return "not measured" if gap.difference is None else "too few items"
    if (pair.adjusted is not None and pair.adjusted >= 0.05) or gap.low <= 0 <= gap.high:
        enough = f"; {figures.score(pair.detectable)} would be found" if pair.detectable is not None else ""
        return f"not decided{enough}"
    return "higher" if gap.difference > 0 else "lower"
