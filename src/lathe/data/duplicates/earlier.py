"""Rows that an earlier run was trained on: a model that grew out of it knows their answers.

earlier = EarlierRows([RunFolder(path)])
seen_before(inputs, sets, wanted, earlier)      ->  {row: ("runs/.../data/train.jsonl:17", 1.0)}
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lathe.data.duplicates import overlaps
from lathe.data.duplicates.near import pairs
from lathe.data.duplicates.sets import Sets
from lathe.data.duplicates.shingles import Hashes
from lathe.data.preparing.split import hash64, normalised
from lathe.errors import InputError
from lathe.runs import RunFolder


class EarlierRows:
    """The training rows of earlier runs: a hash and the word runs of each input."""

    def __init__(self, runs: Sequence[Path]) -> None:
        """Raises InputError for a folder without training rows, or whose rows are damaged."""
        self.sets = Sets()
        self._inputs = array("Q")
        self._files: list[Path] = []
        self._begins: list[int] = []
        for run in runs:
            self._read(RunFolder(run).rows("train"))

    def _read(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"{path} is not there", hint="Name the folder of a run whose data were prepared.")
        self._files.append(path)
        self._begins.append(len(self._inputs))
        with open(path, "rb") as file:
            for line in file:
                try:
                    text = normalised(json.loads(line)["input"])
                except (ValueError, KeyError, TypeError) as error:
                    number = len(self._inputs) - self._begins[-1] + 1
                    raise InputError(f"{path}:{number}: this is no row of a run: {error}") from error
                self._inputs.append(hash64(text))
                self.sets.add(text)

    def __len__(self) -> int:
        return len(self._inputs)

    def close(self) -> None:
        """Gives back the file in which word runs are kept."""
        self.sets.close()

    def inputs(self) -> Hashes:
        """Hash of each normalised input."""
        return np.frombuffer(self._inputs, np.uint64)

    def place(self, row: int) -> str:
        """Where a row stands: file and line."""
        file = bisect_right(self._begins, row) - 1
        return f"{self._files[file]}:{row - self._begins[file] + 1}"


def seen_before(
    inputs_N: Hashes, sets: Sets, wanted_N: NDArray[np.bool_], earlier: EarlierRows
) -> dict[int, tuple[str, float]]:
    """Wanted rows that are equal or nearly equal to an earlier one -> (its place, Jaccard). sets: the rows' own word runs."""
    own = len(inputs_N)
    everything = np.concatenate([inputs_N, earlier.inputs()])
    left, right = np.zeros(len(everything), np.bool_), np.arange(len(everything)) >= own
    left[:own] = wanted_N
    equal = overlaps.shared(overlaps.equal(everything), left, right)
    left[list(equal)] = False
    both = Sets()
    for part in (sets, earlier.sets):
        for begin, end in part.chunks():
            both.extend(part.read(begin, end), np.diff(part.starts()[begin : end + 1]).tolist())
    near = pairs(both, left, overlaps.firsts(everything, right))
    both.close()
    found = {row: (other, 1.0) for row, other in equal.items()} | {row: (other, alike) for row, other, alike in near}
    return {row: (earlier.place(other - own), alike) for row, (other, alike) in sorted(found.items())}
