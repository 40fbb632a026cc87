"""Chunks of rows looked at here or, where there are many, by processes beside this one; what was seen comes back in order.

    with Lookers(Terms(tokenizer=folder)) as lookers:
        for seen, mark in lookers.hand(conversations, mark): ...       chunk after chunk; what is done by then, the first first
        for seen, mark in lookers.rest(): ...

The same chunks give the same `Seen` in any number of processes. A process starts in half a second, so the first FEW chunks are
looked at here; its memory is about 120 MB, and half as much for its chat template.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Generic, TypeVar

from lathe.data.conversations.conversation import Conversation
from lathe.data.findings.single_rows import Seen, SingleRows, Terms
from lathe.processes import usable_cores
from lathe.worker import Worker

Mark = TypeVar("Mark")
FEW = 16
"""Chunks that are looked at here before processes are worth their start."""
AHEAD = 3
"""Chunks for each process that may be handed over and not yet be taken back."""
MOST = 4
"""Processes; more would wait for this one, which reads."""
NAME, HINT = "a process that looked at rows", "Most likely for want of memory: check fewer rows at once."
"""What is said of one that ended too soon."""


class Lookers(Generic[Mark]):
    """Who looks at the rows of one check."""

    def __init__(self, terms: Terms, processes: int | None = None) -> None:
        """processes: how many at most; None = as many as there are cores, 1 = this one alone. Raises as SingleRows."""
        self.own = SingleRows(terms)
        self._terms = terms
        self._most = min(MOST, usable_cores()) if processes is None else processes
        self._handed = 0
        self._beside: list[Worker] = []
        self._ahead: deque[tuple[Future[Seen], Mark]] = deque()

    def __enter__(self) -> Lookers[Mark]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def hand(self, rows: Sequence[Conversation], mark: Mark, show: int = 0) -> Iterator[tuple[Seen, Mark]]:
        """Hands a chunk over, and gives what was seen of chunks before it, or of it. show: as in SingleRows.seen."""
        self._handed += 1
        if self._handed <= FEW or self._most < 2:
            yield self.own.seen(rows, show), mark
            return
        if not self._beside:
            self._beside = [Worker("lathe.data.looker", self._terms, name=NAME, hint=HINT) for _ in range(self._most)]
        chosen = self._beside[self._handed % len(self._beside)]
        self._ahead.append((chosen.ask((rows, show)), mark))
        while len(self._ahead) > AHEAD * len(self._beside):
            yield self._oldest()

    def rest(self) -> Iterator[tuple[Seen, Mark]]:
        """What was seen of all chunks that are not given back yet."""
        while self._ahead:
            yield self._oldest()

    def _oldest(self) -> tuple[Seen, Mark]:
        answer, mark = self._ahead.popleft()
        return answer.result(), mark

    def close(self) -> None:
        """Ends the processes. They also end by themselves when this one does."""
        for process in self._beside:
            process.close()
        self._beside = []
