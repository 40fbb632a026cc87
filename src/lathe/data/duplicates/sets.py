"""The shingles of many texts, kept in a file without a name so that a million texts take no memory.

sets.add(text)               those of the next text
sets.extend(hashes, [5, 3])  those of the next two texts, one after the other
sets.of(3)                   the fourth text's, sorted
"""

from __future__ import annotations

import itertools
import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lathe.data.duplicates.shingles import Hashes, shingles
from lathe.storage import scratch

Rows = NDArray[np.uint32]
CHUNK = 1 << 18
"""Hashes read at once: 2 MB, and 25 MB while they are put in order."""
AT_ONCE = 256
"""Texts that wait for their shingles to be taken together."""
BUFFERED = 1 << 18
"""Hashes that wait in memory before they are written: 2 MB."""


class Sets:
    """The hashes of many texts, one set after the other.

    Text i has the 64-bit hashes starts[i] to starts[i + 1], sorted.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """folder: whose file system holds the file; None = the system's place for temporary files."""
        self._file = scratch(folder or Path(tempfile.gettempdir()))
        self._ends = array("q", [0])
        self._texts: list[str] = []
        self._pending: list[Hashes] = []
        self._written = 0

    def add(self, normalised_text: str) -> None:
        """Takes the shingles of the next text."""
        self._texts.append(normalised_text)
        if len(self._texts) == AT_ONCE:
            self._settle()

    def extend(self, hashes: Hashes, sizes: Iterable[int]) -> None:
        """Takes those of the next texts, one after the other. sizes: how many each has."""
        self._settle()
        self._pending.append(hashes)
        self._ends.extend(itertools.accumulate(sizes, initial=self._ends.pop()))
        if self._ends[-1] - self._written >= BUFFERED:
            self._flush()

    def _settle(self) -> None:
        texts, self._texts = self._texts, []
        if texts:
            self.extend(*shingles(texts))

    def _flush(self) -> None:
        self._file.seek(0, os.SEEK_END)
        for hashes in self._pending:
            self._file.write(hashes.tobytes())
        self._pending.clear()
        self._file.flush()
        self._written = self._ends[-1]

    def close(self) -> None:
        """Gives the file back."""
        self._file.close()

    def __len__(self) -> int:
        return len(self._ends) - 1 + len(self._texts)

    def starts(self) -> NDArray[np.int64]:
        """Where each text begins, and the end of the last: one more than there are texts."""
        self._settle()
        return np.frombuffer(self._ends, np.int64)

    def read(self, begin: int, end: int) -> Hashes:
        """The hashes of texts begin to end - 1, one after the other."""
        self._settle()
        if self._pending:
            self._flush()
        first, last = self._ends[begin], self._ends[end]
        self._file.seek(first * 8)
        return np.frombuffer(self._file.read((last - first) * 8), np.uint64)

    def of(self, row: int) -> Hashes:
        """Shingles of one text."""
        return self.read(row, row + 1)

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Runs of texts, begin and end, of about CHUNK hashes each."""
        starts = self.starts()
        begin = 0
        while begin < len(self):
            end = int(np.searchsorted(starts, starts[begin] + CHUNK))
            end = min(max(end, begin + 1), len(self))
            yield begin, end
            begin = end
