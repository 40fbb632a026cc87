"""A few rows that stand for many: chosen by their content, whatever the order in which rows come.

sample = Sample(4000)
sample.offer(hash64(text), row, Item(text, answer))      row after row
numbers, items = sample.rows()
"""

from __future__ import annotations

import heapq

from lathe.data.baselines.rules import Item


class Sample:
    """The `most` rows with the smallest hashes: the same ones in whatever order rows come."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        # (-hash, -row, item): no two have the same row, so that items are never compared. The first is the one that leaves next.
        self._heap: list[tuple[int, int, Item]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def offer(self, hashed: int, row: int, item: Item) -> None:
        """Takes a row, or does not."""
        drawn = (-hashed, -row, item)
        if self._most is None or len(self._heap) < self._most:
            heapq.heappush(self._heap, drawn)
        elif drawn > self._heap[0]:
            heapq.heapreplace(self._heap, drawn)

    def rows(self, most: int | None = None) -> tuple[list[int], list[Item]]:
        """Row numbers and items of the sample, or of the part of it with the smallest hashes; in the order of the rows."""
        drawn_first = sorted(self._heap, reverse=True)[:most]
        inside = sorted(drawn_first, key=lambda drawn: -drawn[1])
        return [-row for _, row, _ in inside], [item for _, _, item in inside]
