"""What a person should know about a set before training, found over all rows at once. Pure: values in, findings out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lathe.data.duplicates import overlaps
from lathe.data.duplicates.earlier import EarlierRows, seen_before
from lathe.data.duplicates.near import THRESHOLD, pairs
from lathe.data.preparing.spool import SIDES, Columns
from lathe.records import DataFinding, RejectedRow, Source

TRAIN, VALIDATION, TEST = range(3)
SHOWN = 10
SMALL_TEST = 30
"""Below this many test rows a 95 % interval is wider than 0.3 in the middle."""

Partner = dict[int, tuple[int, float]]
"""Training row -> (row of another side, Jaccard)."""


@dataclass(frozen=True)
class Judged:
    """What was decided: which rows stay, how many each side has, what left train and why, and what was found."""

    kept: NDArray[np.bool_]
    dropped: tuple[RejectedRow, ...]
    rows: dict[str, int]
    findings: tuple[DataFinding, ...]
    seen_before: NDArray[np.bool_]
    """test rows that an earlier run was trained on"""


class Places:
    """Where rows came from, as people read it: `rows.jsonl:12`."""

    def __init__(self, columns: Columns, sources: Sequence[Source]) -> None:
        self.columns, self.sources = columns, sources

    def file(self, row: int) -> str:
        return self.sources[self.columns.files[row]].name

    def line(self, row: int) -> int:
        return int(self.columns.lines[row])

    def __getitem__(self, row: int) -> str:
        return f"{self.file(row)}:{self.line(row)}"

    def with_side(self, row: int) -> str:
        return f"{self[row]} ({SIDES[self.columns.sides[row]]})"


def judge(columns: Columns, sources: Sequence[Source], earlier: EarlierRows) -> Judged:
    """Judges a whole set. earlier: what the base may know already."""
    places = Places(columns, sources)
    groups, asked_alike = overlaps.equal(columns.inputs), overlaps.equal(columns.prompts)
    train, test = columns.sides == TRAIN, columns.sides == TEST
    exact = {row: (other, 1.0) for row, other in overlaps.shared(groups, train, ~train).items()}
    near = near_leaks(columns, exact)
    kept = np.ones(len(columns.sides), bool)
    kept[list({**exact, **near})] = False
    rows: dict[str, int] = {side: int(((columns.sides == index) & kept).sum()) for index, side in enumerate(SIDES)}
    num_train = int(train.sum())
    known = seen_before(columns.inputs, columns.sets, columns.sides != TRAIN, earlier) if len(earlier) else {}
    marked = np.zeros(len(columns.sides), bool)
    marked[[row for row in known if test[row]]] = True
    near_words = f"runs of five words overlap by {THRESHOLD:g} or more with a row of another side"
    findings = [
        leak_finding("exact_duplicate", "the same text stands on another side", exact, num_train, places),
        leak_finding("near_duplicate", near_words, near, num_train, places),
        overlap_finding(overlaps.shared(groups, test, columns.sides == VALIDATION), places),
        repeat_finding(asked_alike, columns, kept, places),
        conflict_finding(asked_alike, columns, places),
        known_finding(known, int((~train).sum()), places),
        *size_findings(rows),
    ]
    return Judged(
        kept=kept,
        dropped=tuple(dropped_row(row, *partner, places) for row, partner in sorted({**exact, **near}.items())),
        rows=rows,
        findings=tuple(finding for finding in findings if finding is not None),
        seen_before=marked,
    )


def near_leaks(columns: Columns, exact: Partner) -> Partner:
    """Training rows that are near-duplicates of a row of validation or test, but not equal to one."""
    left = columns.sides == TRAIN
    left[list(exact)] = False
    held_out = overlaps.firsts(columns.inputs, columns.sides != TRAIN)
    return {a: (b, overlap) for a, b, overlap in pairs(columns.sets, left, held_out)}


def dropped_row(row: int, other: int, overlap: float, places: Places) -> RejectedRow:
    """The record of a training row that leaves because of another row."""
    why = "the same text as" if overlap == 1.0 else f"overlaps by {overlap:.2f} with"
    return RejectedRow(file=places.file(row), line=places.line(row), reason=f"{why} {places.with_side(other)}")


def leak_finding(name: str, why: str, leaks: Partner, num_train: int, places: Places) -> DataFinding | None:
    """Training rows that left because their like is measured on."""
    if not leaks:
        return None
    shown = (f"{places[a]} ~ {places.with_side(b)}: {overlap:.2f}" for a, (b, overlap) in list(leaks.items())[:SHOWN])
    share = len(leaks) / num_train
    return DataFinding(
        id=name,
        level="warning" if share > 0.05 else "info",
        message=f"{len(leaks)} rows left train ({100 * share:.1f} %): {why}",
        hint="They are listed in data/dropped.jsonl. Nothing moved to or from validation and test.",
        examples=tuple(shown),
        count=len(leaks),
    )


def overlap_finding(both: dict[int, int], places: Places) -> DataFinding | None:
    """Rows that are both in validation and in test."""
    if not both:
        return None
    return DataFinding(
        id="validation_in_test",
        level="warning",
        message=f"{len(both)} test rows stand in validation as well",
        hint="What is chosen on validation then knows those test rows; take them out of one file.",
        examples=tuple(f"{places[row]} = {places.with_side(other)}" for row, other in list(both.items())[:SHOWN]),
        count=len(both),
    )


def repeat_finding(
    groups: overlaps.Groups, columns: Columns, kept: NDArray[np.bool_], places: Places
) -> DataFinding | None:
    """Rows that repeat an earlier row of their own side, prompt and answer."""
    repeats = overlaps.repeated([group[kept[group]] for group in groups], columns.targets, columns.sides)
    if not repeats:
        return None
    in_test = sum(int(columns.sides[row]) == TEST for row in repeats)
    narrow = "They stay. Repeated test rows make intervals look narrower than they are."
    return DataFinding(
        id="repeated_row",
        level="warning" if in_test else "info",
        message=f"{len(repeats)} rows repeat another row of their side ({in_test} of them in test)",
        hint=narrow if in_test else "They stay, and weigh more in training.",
        examples=tuple(f"{places[row]} = {places[first]}" for row, first in list(repeats.items())[:SHOWN]),
        count=len(repeats),
    )


def conflict_finding(groups: overlaps.Groups, columns: Columns, places: Places) -> DataFinding | None:
    """Prompts with more than one answer; another schema or question makes another prompt of the same text."""
    conflicts = overlaps.conflicting(groups, columns.targets)
    if not conflicts:
        return None
    return DataFinding(
        id="label_conflict",
        level="warning",
        message=f"{len(conflicts)} prompt{'s' * (len(conflicts) != 1)} with different answers, in {sum(map(len, conflicts))} rows",
        hint="Where only one can be right, mend the rows.",
        examples=tuple(", ".join(places[row] for row in group[:4]) for group in conflicts[:SHOWN]),
        count=len(conflicts),
    )


def known_finding(known: dict[int, tuple[str, float]], held_out: int, places: Places) -> DataFinding | None:
    """Held-out rows that the base may have learned in an earlier run."""
    if not known:
        return None
    shown = (f"{places.with_side(row)} ~ {there}: {alike:.2f}" for row, (there, alike) in list(known.items())[:SHOWN])
    return DataFinding(
        id="seen_before",
        level="warning",
        message=f"{len(known)} of {held_out} held-out rows stand in the training rows of an earlier run, equal or nearly so",
        hint="They are measured and shown; the verdict rests on the others.",
        examples=tuple(shown),
        count=len(known),
    )


def size_findings(rows: dict[str, int]) -> Iterator[DataFinding]:
    """Sides that are too small to say anything."""
    if 0 < rows["test"] < SMALL_TEST:
        yield DataFinding(
            id="small_test",
            level="warning",
            message=f"the test side has {rows['test']} rows, expected at least {SMALL_TEST}: its intervals are too wide to decide",
            hint="Add rows, or raise data.split.test.",
            count=rows["test"],
        )
    if rows["validation"] == 0:
        yield DataFinding(
            id="no_validation",
            level="warning",
            message="the validation side has no rows: nothing can be chosen without looking at the test",
            hint="Add rows, or raise data.split.validation.",
        )
