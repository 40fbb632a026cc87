"""Where the tuned model fails: each slice's failures by kind, beside the training rows that show the same thing. Pure.

by_slice(items, failed, trained)
->  "complexity": "complex"   24 of 25   "cut off 18, wrong value 6"   "9 of 440"
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lathe.records import ItemScore, SideCount
from lathe.report import figures

MOST_VALUES = 8
"""Values of a slice key that are shown, those with the most failures."""
MOST_KINDS = 3


@dataclass(frozen=True)
class Row:
    """One value of a slice; cells as people read them. trained: empty where training rows were not counted."""

    value: str
    failed: str
    kinds: str
    trained: str


def by_slice(
    items: Sequence[ItemScore], failed: Sequence[ItemScore], keys: Sequence[str], trained: SideCount | None
) -> dict[str, list[Row]]:
    """Rows by slice key, most failures first; values without a failure are left out, and so are keys of one value."""
    found = {}
    for key in keys:
        asked = Counter(item.meta[key] for item in items if key in item.meta)
        kinds: dict[str, Counter[str]] = defaultdict(Counter)
        for item in failed:
            if key in item.meta:
                kinds[item.meta[key]][item.reason or "wrong"] += 1
        worst = sorted(kinds.items(), key=lambda pair: (-pair[1].total(), pair[0]))[:MOST_VALUES]
        if len(asked) > 1 and worst:
            found[key] = [
                Row(
                    value=value,
                    failed=f"{figures.count(each.total())} of {figures.count(asked[value])}",
                    kinds=", ".join(f"{kind} {figures.count(count)}" for kind, count in _most(each)),
                    trained=_trained(trained, key, value),
                )
                for value, each in worst
            ]
    return found


@dataclass(frozen=True)
class ClassRow:
    """One class of a metric that is an F1 over the set; cells as people read them."""

    name: str
    f1: str
    found: str
    said: str


def by_class(items: Sequence[ItemScore], metrics: Sequence[str]) -> dict[str, list[ClassRow]]:
    """Classes of gold by metric, those with the most that was missed first; none where a metric has but one class."""
    found = {}
    for metric in metrics:
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for item in items:
            for name, counts in item.counts.get(metric, {}).items():
                sums[name] = [one + more for one, more in zip(sums[name], counts, strict=True)]
        asked = {name: counts for name, counts in sums.items() if counts[1]}
        if len(asked) > 1:
            worst = sorted(asked.items(), key=lambda pair: (pair[1][0] - pair[1][1], pair[0]))[:MOST_VALUES]
            found[metric] = [
                ClassRow(
                    name=name,
                    f1=figures.score(2 * matched / (gold + said)),
                    found=f"{figures.count(matched)} of {figures.count(gold)}",
                    said=figures.count(said),
                )
                for name, (matched, gold, said) in worst
            ]
    return found


def _most(kinds: Counter[str]) -> list[tuple[str, int]]:
    return sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_KINDS]


def _trained(trained: SideCount | None, key: str, value: str) -> str:
    counts: Mapping[str, int] = trained.slices.get(key, {}) if trained is not None else {}
    if trained is None or not counts:
        return ""
    return f"{figures.count(counts.get(value, 0))} of {figures.count(trained.given())}"
