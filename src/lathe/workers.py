"""Questions answered here and by processes beside this one; the answers come in the order of the questions.

    with Workers("lathe.data.looker", terms, answer, few=16, name="a process that looked at rows", hint="...") as workers:
        for answer, mark in workers.hand(question, mark): ...       those that are there by then, the first first
        for answer, mark in workers.rest(): ...

Whoever answers, an answer is the same. A process starts in a quarter of a second, so the first questions are answered here, later
those for which no process has time: this one never waits while there is work.

    with kept_ready("lathe.data.looker"): ...        a process starts with the block, for all `Workers` in it one after the other
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Generic, TypeVar

from lathe.processes import usable_cores
from lathe.worker import Worker

Question = TypeVar("Question")
Answer = TypeVar("Answer")
Mark = TypeVar("Mark")
AHEAD = 2
"""Questions that a process may have and not have answered: one in work, and one so that it need not wait for this process."""
MOST = 4
"""Processes, this one among them; more would wait for this one, which asks."""
_waiting: list[Worker] | None = None
"""Processes that have nothing to answer, in a block of `kept_ready`; None outside of one."""


@contextlib.contextmanager
def kept_ready(*modules: str) -> Iterator[None]:
    """A process that starts now, while this one still loads, and answers for the `Workers` in this block, one after the other, as
    do others that they start. All end with the block. modules: what it will need. On a single core none starts."""
    global _waiting
    waiting = _waiting = [Worker(modules)] if usable_cores() > 1 else []
    try:
        yield
    finally:
        _waiting = None
        for worker in waiting:
            worker.close()


class Workers(Generic[Question, Answer, Mark]):
    """Who answers. mark: whatever a question is to be told by when its answer comes."""

    def __init__(
        self,
        module: str,
        terms: object,
        answer: Callable[[Question], Answer],
        *,
        few: int,
        name: str,
        hint: str,
        processes: int | None = None,
    ) -> None:
        """module, terms, name, hint: as of `Worker`, whose answers are those of `answer`. few: questions that are answered here
        before processes are worth their start; those kept ready have nothing to wait for. processes: how many at most, this one
        among them; None = as many as there are cores."""
        self._module, self._terms, self._name, self._hint = module, terms, name, hint
        self._answer, self._few = answer, few
        self._most = min(MOST, usable_cores() if processes is None else processes) - 1
        self._asked = 0
        self._beside: list[Worker] = []
        self._ahead: deque[tuple[Future[Answer], Mark]] = deque()
        while _waiting and len(self._beside) < self._most:
            self._take(_waiting.pop())
        self._start()

    def __enter__(self) -> Workers[Question, Answer, Mark]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def hand(self, question: Question, mark: Mark, *, here: bool = False) -> Iterator[tuple[Answer, Mark]]:
        """Asks, and gives the answers that are there by then. here: whether only this process can answer."""
        worker = None if here else min(self._beside, key=Worker.waiting, default=None)
        if worker is not None and worker.waiting() < AHEAD:
            self._ahead.append((worker.ask(question), mark))
        else:
            self._ahead.append((_done(self._answer, question), mark))
        self._asked += 1
        self._start()
        while self._ahead and self._ahead[0][0].done():
            yield self._oldest()

    def rest(self) -> Iterator[tuple[Answer, Mark]]:
        """All answers that were not given yet."""
        while self._ahead:
            yield self._oldest()

    def _start(self) -> None:
        while self._asked >= self._few and len(self._beside) < self._most:
            self._take(Worker())

    def _take(self, worker: Worker) -> None:
        worker.begin(self._module, self._terms, name=self._name, hint=self._hint)
        self._beside.append(worker)

    def _oldest(self) -> tuple[Answer, Mark]:
        answer, mark = self._ahead.popleft()
        return answer.result(), mark

    def close(self) -> None:
        """Ends the processes, but for those that are kept ready for others. They also end by themselves when this one does."""
        for worker in self._beside:
            if _waiting is None or worker.waiting():
                worker.close()
            else:
                _waiting.append(worker)
        self._beside = []


def _done(answer: Callable[[Question], Answer], question: Question) -> Future[Answer]:
    """What this process answers, or raises, as a future: its turn comes behind those that were asked before."""
    found: Future[Answer] = Future()
    try:
        found.set_result(answer(question))
    except Exception as error:
        found.set_exception(error)
    return found
