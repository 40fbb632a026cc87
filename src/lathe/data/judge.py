"""What a person should know about a set before training, found over all rows at once. Pure: values in, findings out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from lathe.data.near import THRESHOLD, Sets, pairs
from lathe.records import DataFinding, RejectedRow, Side, Source

SIDES: tuple[Side, ...] = get_args(Side)
TRAIN, VALIDATION, TEST = range(3)
SHOWN = 10
SMALL_TEST = 30
"""Below this many test rows a 95 % interval is wider than 0.3 in the middle."""


@dataclass(frozen=True)
class Judged:
    """What was decided: which rows leave train, how many rows each side keeps, and what was found."""

    dropped: set[int]
    dropped_rows: tuple[RejectedRow, ...]
    rows: dict[str, int]
    findings: tuple[DataFinding, ...]


def judge(
    sides: NDArray[np.int8],
    inputs: Sequence[bytes],
    targets: Sequence[bytes],
    sets: Sets,
    places: Sequence[str],
    repeated_ids: Sequence[str],
    rejected: Sequence[RejectedRow],
    sources: Sequence[Source],
) -> Judged:
    """Judges a whole set. Row i of every column is example i; sides are numbers of SIDES, places are `file:line`."""
    by_input: dict[bytes, list[int]] = defaultdict(list)
    for row, key in enumerate(inputs):
        by_input[key].append(row)
    exact = exact_leaks(by_input, sides)
    near = near_leaks(sides, sets, exact)
    dropped = set(exact) | set(near)
    kept = Counter(SIDES[side] for row, side in enumerate(sides) if row not in dropped)
    findings = [
        rejected_finding(rejected),
        leak_finding(
            "exact_duplicate",
            "the same text stands on another side",
            {a: (b, 1.0) for a, b in exact.items()},
            sides,
            places,
        ),
        leak_finding(
            "near_duplicate",
            f"five-word runs overlap by {THRESHOLD:g} or more with a row of another side",
            near,
            sides,
            places,
        ),
        overlap_finding(by_input, sides, places),
        repeat_finding(by_input, sides, targets, places, dropped),
        conflict_finding(by_input, targets, places),
        id_finding(repeated_ids),
        *size_findings(kept),
        licence_finding(sources),
    ]
    return Judged(
        dropped=dropped,
        dropped_rows=tuple(
            dropped_row(row, *(near[row] if row in near else (exact[row], 1.0)), sides, places)
            for row in sorted(dropped)
        ),
        rows={side: kept[side] for side in SIDES},
        findings=tuple(finding for finding in findings if finding is not None),
    )


def exact_leaks(by_input: dict[bytes, list[int]], sides: NDArray[np.int8]) -> dict[int, int]:
    """Training row -> a row of validation or test with the same normalised input."""
    leaks = {}
    for group in by_input.values():
        held_out = [row for row in group if sides[row] != TRAIN]
        if held_out:
            leaks.update({row: held_out[0] for row in group if sides[row] == TRAIN})
    return leaks


def near_leaks(sides: NDArray[np.int8], sets: Sets, exact: dict[int, int]) -> dict[int, tuple[int, float]]:
    """Training row -> (row of validation or test, Jaccard) where the two are near-duplicates but not equal."""
    train = np.array([row for row in np.flatnonzero(sides == TRAIN) if row not in exact], np.int64)
    return {a: (b, overlap) for a, b, overlap in pairs(sets, train, np.flatnonzero(sides != TRAIN))}


def dropped_row(row: int, other: int, overlap: float, sides: NDArray[np.int8], places: Sequence[str]) -> RejectedRow:
    """The record of a training row that leaves because of another row."""
    file, _, line = places[row].rpartition(":")
    kind = "the same text as" if overlap == 1.0 else f"overlaps by {overlap:.2f} with"
    return RejectedRow(file=file, line=int(line), reason=f"{kind} the {SIDES[sides[other]]} row {places[other]}")


def leak_finding(
    name: str, why: str, leaks: dict[int, tuple[int, float]], sides: NDArray[np.int8], places: Sequence[str]
) -> DataFinding | None:
    """Training rows that left because their like is measured on."""
    if not leaks:
        return None
    shown = [
        f"{places[a]} ~ {places[b]} ({SIDES[sides[b]]}, {overlap:.2f})"
        for a, (b, overlap) in list(leaks.items())[:SHOWN]
    ]
    share = len(leaks) / max(1, int((sides == TRAIN).sum()))
    return DataFinding(
        id=name,
        level="warning" if share > 0.05 else "info",
        message=f"{len(leaks)} rows left train ({100 * share:.1f} %): {why}",
        hint="They are listed in data/dropped.jsonl. Nothing moved to or from validation and test.",
        examples=tuple(shown),
        count=len(leaks),
    )


def overlap_finding(
    by_input: dict[bytes, list[int]], sides: NDArray[np.int8], places: Sequence[str]
) -> DataFinding | None:
    """Rows that are both in validation and in test."""
    both = [group for group in by_input.values() if {VALIDATION, TEST} <= {int(sides[row]) for row in group}]
    if not both:
        return None
    shown = [" = ".join(f"{places[row]} ({SIDES[sides[row]]})" for row in group[:3]) for group in both[:SHOWN]]
    return DataFinding(
        id="validation_in_test",
        level="warning",
        message=f"{len(both)} texts stand both in validation and in test",
        hint="What is chosen on validation then knows those test rows; take them out of one file.",
        examples=tuple(shown),
        count=len(both),
    )


def repeat_finding(
    by_input: dict[bytes, list[int]],
    sides: NDArray[np.int8],
    targets: Sequence[bytes],
    places: Sequence[str],
    dropped: set[int],
) -> DataFinding | None:
    """Rows that repeat an earlier row of their own side, text and answer."""
    repeats = []
    for group in by_input.values():
        seen: dict[tuple[int, bytes], int] = {}
        for row in group:
            if row not in dropped:
                first = seen.setdefault((int(sides[row]), targets[row]), row)
                if first != row:
                    repeats.append((row, first))
    if not repeats:
        return None
    in_test = sum(sides[row] == TEST for row, _ in repeats)
    return DataFinding(
        id="repeated_row",
        level="warning" if in_test else "info",
        message=f"{len(repeats)} rows repeat another row of their side ({in_test} of them in test)",
        hint="They stay. Repeated test rows make intervals look narrower than they are."
        if in_test
        else "They stay, and weigh more.",
        examples=tuple(f"{places[row]} = {places[first]}" for row, first in repeats[:SHOWN]),
        count=len(repeats),
    )


def conflict_finding(
    by_input: dict[bytes, list[int]], targets: Sequence[bytes], places: Sequence[str]
) -> DataFinding | None:
    """Texts with more than one answer."""
    conflicts = [group for group in by_input.values() if len({targets[row] for row in group}) > 1]
    if not conflicts:
        return None
    return DataFinding(
        id="label_conflict",
        level="warning",
        message=f"{len(conflicts)} texts stand with different answers, in {sum(map(len, conflicts))} rows",
        hint="At most one can be right; mend the rows.",
        examples=tuple(", ".join(places[row] for row in group[:4]) for group in conflicts[:SHOWN]),
        count=len(conflicts),
    )


def id_finding(repeated: Sequence[str]) -> DataFinding | None:
    """Ids that more than one row has."""
    if not repeated:
        return None
    shown = tuple(dict.fromkeys(repeated))[:SHOWN]
    message = f"{len(repeated)} rows have the id of an earlier row; a number was put behind theirs"
    return DataFinding(id="repeated_id", level="info", message=message, examples=shown, count=len(repeated))


def rejected_finding(rejected: Sequence[RejectedRow]) -> DataFinding | None:
    """Rows that could not be used, and were allowed."""
    if not rejected:
        return None
    return DataFinding(
        id="rejected_row",
        level="warning",
        message=f"{len(rejected)} rows could not be used",
        hint="They are listed in data/rejected.jsonl.",
        examples=tuple(f"{row.file}:{row.line}: {row.reason}" for row in rejected[:SHOWN]),
        count=len(rejected),
    )


def size_findings(kept: Counter[Side]) -> list[DataFinding]:
    """Sides that are too small to say anything."""
    found = []
    if 0 < kept["test"] < SMALL_TEST:
        message = (
            f"the test side has {kept['test']} rows, expected at least {SMALL_TEST}: no interval will decide anything"
        )
        found.append(
            DataFinding(
                id="small_test",
                level="warning",
                message=message,
                hint="Add rows, or raise data.split.test.",
                count=kept["test"],
            )
        )
    if kept["validation"] == 0:
        message = "the validation side has no rows: nothing can be chosen without looking at the test"
        found.append(
            DataFinding(
                id="no_validation", level="warning", message=message, hint="Add rows, or raise data.split.validation."
            )
        )
    return found


def licence_finding(sources: Sequence[Source]) -> DataFinding | None:
    """Sources whose licence nobody stated."""
    unstated = tuple(source.name for source in sources if source.licence is None)
    if not unstated:
        return None
    message = f"{len(unstated)} of {len(sources)} sources state no licence: fine for training, not for publishing"
    return DataFinding(
        id="licence_unstated", level="info", message=message, examples=unstated[:SHOWN], count=len(unstated)
    )
