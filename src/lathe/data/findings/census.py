"""Rows looked at one after the other, and what all of them show together. A few numbers a row are kept, and a sample.

    census = Census()
    census.add(seen, [Stand("train", "rows.jsonl", 17), ...])                   chunk after chunk
    census.note_overlaps("text"); census.note_answers("text", None)             once all are there
    census.tally.findings(len(census))   ->  [DataFinding(id="test_in_train", count=20, ...), ...]

A million rows take about 60 MB of memory, besides what lies in a file.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lathe.data.baselines.sample import Sample
from lathe.data.duplicates import overlaps
from lathe.data.duplicates.earlier import EarlierRows, seen_before
from lathe.data.duplicates.near import pairs
from lathe.data.duplicates.sets import Sets
from lathe.data.findings import quality
from lathe.data.findings.answers import Values
from lathe.data.findings.secrets import redacted
from lathe.data.findings.single_rows import MOST_LABELS, Seen
from lathe.data.findings.tally import Tally
from lathe.records import Side
from lathe.records.check import AnswerKind

LEAST_ROWS = 30
"""Fewer rows than this say nothing about what most answers are."""
SIDES: tuple[Side | None, ...] = (None, "train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a row stands: the side that its file is for, the file and the line."""

    side: Side | None
    file: str
    line: int


class Census:
    """What is known of all rows added so far."""

    def __init__(self, sample: int | None = None) -> None:
        """sample: rows that rules learn from; None = all."""
        self._sets = Sets()
        self._values = Values()
        self._inputs, self._prompts, self._targets = array("Q"), array("Q"), array("Q")
        self._sides = array("b")
        self._files, self._lines = array("i"), array("q")
        self._without_json = array("q")
        self._names: list[str] = []
        self.tally = Tally()
        self.sample = Sample(sample)
        self.answers: Counter[str] | None = Counter()
        """rows of each answer; None where there are more than MOST_LABELS different ones"""

    def close(self) -> None:
        """Gives back the file in which word runs are kept."""
        self._sets.close()

    def __len__(self) -> int:
        return len(self._inputs)

    def place(self, row: int) -> str:
        """Where a row stands: file and line."""
        return f"{self._names[self._files[row]]}:{self._lines[row]}"

    def add(self, seen: Seen, stands: Sequence[Stand]) -> int:
        """Takes what the next rows show, and where each stands. Returns the number of the first."""
        first = len(self)
        for stand in stands:
            if not self._names or self._names[-1] != stand.file:
                self._names.append(stand.file)
            self._sides.append(SIDES.index(stand.side))
            self._files.append(len(self._names) - 1)
            self._lines.append(stand.line)
        self._inputs.extend(seen.inputs)
        self._prompts.extend(seen.prompts)
        self._targets.extend(seen.targets)
        self._sets.extend(seen.hashes, seen.sizes)
        self._values.add(seen.fields, ((first + row, group, path) for row, group, path in seen.unread))
        self._without_json.extend(first + row for row in seen.without_json)
        self._count(seen.answers)
        for row, item in seen.items:
            self.sample.offer(seen.inputs[row], first + row, item)
        for row, id, detail in seen.notes:
            self.tally.note(id, self.place(first + row), detail)
        return first

    def _count(self, answers: Counter[str] | None) -> None:
        if self.answers is None or answers is None:
            self.answers = None
            return
        self.answers.update(answers)
        if len(self.answers) > MOST_LABELS:
            self.answers = None

    # all rows together ----------------------------------------------------------------------

    def note_overlaps(self, kind: AnswerKind) -> None:
        """Notes leaks, repeats, contradictions and near-duplicates."""
        inputs, targets = np.frombuffer(self._inputs, np.uint64), np.frombuffer(self._targets, np.uint64)
        sides = np.frombuffer(self._sides, np.int8)
        groups = overlaps.equal(inputs)
        train = sides == SIDES.index("train")
        for side in ("validation", "test"):
            held_out = sides == SIDES.index(side)
            leaks = overlaps.shared(groups, held_out, train)
            self._note_partners(f"{side}_in_train", leaks, int(held_out.sum()))
            self._note_near(f"{side}_near_train", held_out, train, list(leaks))
        between = overlaps.shared(groups, sides == SIDES.index("test"), sides == SIDES.index("validation"))
        self._note_partners("test_in_validation", between, int((sides == SIDES.index("test")).sum()))
        asked_alike = overlaps.equal(np.frombuffer(self._prompts, np.uint64))
        self._note_partners("repeated_row", overlaps.repeated(asked_alike, targets, sides), len(self))
        for group in overlaps.conflicting(asked_alike, targets):
            places = ", ".join(self.place(int(row)) for row in group[:4])
            self.tally.note("answer_conflict" if kind == "text" else "label_conflict", places)
        if not train.any():
            everything = np.ones(len(self), np.bool_)
            self._note_near("near_duplicate", everything, everything, [int(row) for group in groups for row in group])

    def note_earlier(self, earlier: EarlierRows) -> None:
        """Notes rows that earlier runs were trained on: those of validation and test, or all where no file is for a side."""
        inputs, sides = np.frombuffer(self._inputs, np.uint64), np.frombuffer(self._sides, np.int8)
        sided = bool((sides != SIDES.index(None)).any())
        wanted = (sides != SIDES.index("train")) & ((sides != SIDES.index(None)) | (not sided))
        found = seen_before(inputs, self._sets, wanted, earlier)
        places = (f"{self.place(row)} ~ {there} ({alike:.2f})" for row, (there, alike) in found.items())
        self.tally.note_all("seen_before", places, int(wanted.sum()))

    def _note_partners(self, id: str, partners: dict[int, int], of: int) -> None:
        self.tally.note_all(id, (f"{self.place(a)} = {self.place(b)}" for a, b in sorted(partners.items())), of)

    def _note_near(self, id: str, left: NDArray[np.bool_], right: NDArray[np.bool_], equal: list[int]) -> None:
        """Notes the rows of `left` that are like one of `right`. equal: rows that were noted as equal to one."""
        unequal = left.copy()
        unequal[equal] = False
        near = pairs(self._sets, unequal, overlaps.firsts(np.frombuffer(self._inputs, np.uint64), right))
        places = (f"{self.place(a)} ~ {self.place(b)} ({overlap:.2f})" for a, b, overlap in near)
        self.tally.note_all(id, places, int(left.sum()))

    def note_answers(self, kind: AnswerKind, labels: Sequence[str] | None) -> None:
        """Notes what the answers show together: odd values, labels that are one, one answer for most."""
        for row in self._without_json if kind == "json" else ():
            self.tally.note("answer_not_json", self.place(row))
        for row, fields in self._values.odd().items():
            self.tally.note("value_not_in_input", self.place(row), ", ".join(fields[:5]))
        if self.answers is None:
            return
        if kind == "label":
            self._note_labels(self.answers, labels)
        (top, count), total = self.answers.most_common(1)[0], self.answers.total()
        if count > 0.5 * total and total >= LEAST_ROWS:
            self.tally.note("answer_constant", repr(redacted(top)[:60]), count=count)

    def _note_labels(self, answers: Counter[str], labels: Sequence[str] | None) -> None:
        for rare, frequent in quality.label_variants(answers):
            detail = f"{answers[rare]} rows, perhaps {frequent!r} with {answers[frequent]}"
            self.tally.note("label_variant", repr(rare), detail)
        for label, count in (quality.unknown_labels(answers, labels) if labels is not None else {}).items():
            self.tally.note("label_unknown", repr(label), f"{count} rows", count)
