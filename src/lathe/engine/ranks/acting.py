"""Ranks that each have a part in all that is done: what rank 0 calls is done by all, and what one of them raises ends all."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch.distributed as dist

from lathe.engine.ranks.exchange import broadcast, without_a_word
from lathe.engine.step_in_processes import sendable
from lathe.errors import Interrupted

Part = TypeVar("Part")
R = TypeVar("R")


@dataclass(frozen=True)
class Place:
    """A rank among those that act together. group: over which numbers go; asked: the signal that this rank got, if any."""

    number: int
    count: int
    group: dist.ProcessGroup
    asked: Callable[[], str | None]


class Together(Generic[Part]):
    """All ranks, each with its part, as rank 0 has them act. What one raises ends all of them, for the others wait for it."""

    def __init__(self, place: Place, line: dist.Store) -> None:
        self.count = place.count
        self._place = place
        self._line = line
        self._part: Any = place
        self._acting = False

    def begin(self, part: Callable[..., Part], *given: Any) -> None:
        """Each rank makes its part."""
        self._part = self.do(part, *given)

    def do(self, what: Callable[..., R], *given: Any, **here: Any) -> R:
        """Each rank calls this method of its part; gives what rank 0 got. given: to all, picklable; here: to rank 0 alone."""
        self._acting = True
        with _of_one_fate(self._place, self._line):
            broadcast([what, given])
            got = what(self._part, *given, **here)
        self._acting = False
        return got

    def dismiss(self) -> None:
        """Ends the training in the others, unless they were left half-way."""
        if not self._acting:
            with contextlib.suppress(RuntimeError):
                broadcast([])


def act(place: Place, line: dist.Store) -> None:
    """The same in every other rank, until nothing more is told."""
    part: Any = place
    with _of_one_fate(place, line):
        while told := broadcast(None):
            what, given = told
            got = what(part, *given)
            part = got if part is place else part


FAULT = "fault"
"""Under which a rank leaves in the store what ends it, so that the others can say so."""


@contextlib.contextmanager
def _of_one_fate(place: Place, line: dist.Store) -> Iterator[None]:
    """What is raised in one rank is raised in rank 0 too, and in the others as words; a broken connection is only what follows."""
    try:
        yield
    except Exception as error:
        number, fault = _fault(line)
        if fault is not None:
            if place.number == 0:
                raise fault from error
            raise Interrupted(f"rank {place.number}: ended, as rank {number} did", hint=f"It said: {fault}") from error
        if isinstance(error, RuntimeError) and any(name in str(error).lower() for name in ("gloo", "nccl")):
            raise without_a_word(place.number, error) from error
        with contextlib.suppress(RuntimeError):
            line.set(FAULT, pickle.dumps((place.number, sendable(error, f"rank {place.number}"))))
        raise


def _fault(line: dist.Store) -> tuple[int, Exception | None]:
    """What ended another rank, and its number."""
    with contextlib.suppress(RuntimeError):
        if line.check([FAULT]):
            number, fault = pickle.loads(line.get(FAULT))
            return number, fault
    return 0, None
