"""What is kept of every example while the rows stream through: the example itself on disk, a few numbers in memory.

At a million rows of 700 bytes about 150 MB of memory; the files have no name and vanish with the process.
"""

from __future__ import annotations

import itertools
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from lathe.data.duplicates.sets import Sets
from lathe.data.preparing.split import hash64
from lathe.data.preparing.understanding import Lot, Understood
from lathe.records import Example, Side
from lathe.storage import line_of, scratch

SIDES: tuple[Side, ...] = get_args(Side)
SHOWN_IDS = 10


@dataclass(frozen=True)
class Columns:
    """Numbers about all examples; entry i of each is example i."""

    sides: NDArray[np.int8]
    """position in SIDES"""
    inputs: NDArray[np.uint64]
    """hash of the normalised input: equal inputs, equal hashes"""
    prompts: NDArray[np.uint64]
    """hash of all that is asked, normalised: of one document there may be several questions, or several schemas"""
    targets: NDArray[np.uint64]
    """hash of the completion"""
    files: NDArray[np.int32]
    """number of the source that it came from"""
    lines: NDArray[np.int32]
    sets: Sets
    """shingles of the normalised input"""


class Spool:
    """Takes examples one after the other and gives them back in the same order."""

    def __init__(self, folder: Path, keys: Sequence[str] = ()) -> None:
        """keys: of slices, whose values are counted."""
        self._file = scratch(folder)
        self._keys = tuple(keys)
        self._values: dict[tuple[str | None, ...], int] = {}
        self._slices = array("i")
        self._sides, self._files, self._lines = array("b"), array("i"), array("i")
        self._inputs, self._prompts, self._targets = array("Q"), array("Q"), array("Q")
        self._sets = Sets(folder)
        self._ids: set[int] = set()
        self.repeated_ids: list[str] = []
        """the first ids that more than one row had"""
        self.num_repeated_ids = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._sets.close()

    def __len__(self) -> int:
        return len(self._sides)

    def add(self, row: Understood, side: Side, file: int, line: int) -> None:
        """Takes one row. An id that stood before gets a number behind it."""
        identity, written = self._unique(row.id), row.line
        if identity != row.id:
            written = line_of(Example.model_validate_json(row.line).model_copy(update={"id": identity}))
        self._file.write(written)
        self._sides.append(SIDES.index(side))
        self._inputs.append(row.text)
        self._prompts.append(row.prompt)
        self._targets.append(row.target)
        self._files.append(file)
        self._lines.append(line)
        self._slices.append(self._values.setdefault(row.slices, len(self._values)))

    def add_shingles(self, lot: Lot) -> None:
        """Takes those of a lot, each of whose rows was added."""
        self._sets.extend(lot.shingles, lot.sizes.tolist())

    def _unique(self, identity: str) -> str:
        hashed = hash64(identity)
        if hashed in self._ids:
            self.num_repeated_ids += 1
            if len(self.repeated_ids) < SHOWN_IDS and identity not in self.repeated_ids:
                self.repeated_ids.append(identity)
            number = 2
            while (hashed := hash64(f"{identity}~{number}")) in self._ids:
                number += 1
            identity = f"{identity}~{number}"
        self._ids.add(hashed)
        return identity

    def columns(self) -> Columns:
        """Numbers about all examples taken so far."""
        return Columns(
            sides=np.frombuffer(self._sides, np.int8),
            inputs=np.frombuffer(self._inputs, np.uint64),
            prompts=np.frombuffer(self._prompts, np.uint64),
            targets=np.frombuffer(self._targets, np.uint64),
            files=np.frombuffer(self._files, np.int32),
            lines=np.frombuffer(self._lines, np.int32),
            sets=self._sets,
        )

    def slices(self, kept: NDArray[np.bool_]) -> dict[str, Counter[str]]:
        """How many of the kept examples have each value, by slice key."""
        found: dict[str, Counter[str]] = {key: Counter() for key in self._keys}
        counts = np.bincount(np.frombuffer(self._slices, np.int32)[kept], minlength=len(self._values)).tolist()
        for values, count in zip(self._values, counts, strict=True):
            for key, value in zip(self._keys, values, strict=True):
                if value is not None and count:
                    found[key][value] += count
        return found

    def lines(self, kept: NDArray[np.bool_]) -> Iterator[bytes]:
        """The kept examples as JSON lines, in order."""
        if kept.any():
            self._file.seek(0)
            yield from itertools.compress(self._file, kept.tolist())
