"""Ranks: the processes that torchrun started for one command. The first does what the command says, the others share its steps.

    torchrun --standalone --nproc-per-node 2 -m lathe train tickets.yaml

    status = lead(rank, command)            # in rank 0: everything that the command does; `command` trains with `helpers()`
    status = follow(rank)                   # in every other one: waits, helps with each training, ends when rank 0 does
    end(status)                             # in all

Rank 0 alone reads rows, plans, measures, holds the optimiser and writes. A training begins with a call that it leaves in torchrun's
store, so that an hour of other work before it keeps nobody at a socket. Of a step, rank 0 broadcasts who does what and the trained
weights, and gets the sum of the gradients: as many bytes as an all-reduce moves. Words go over gloo; numbers go over NCCL where the
model is on GPUs, one to a rank, and over gloo elsewhere.

Where what is trained lies in shards (`lathe.engine.shards`) every rank has a part in all that is done:

    with together(Shards, shape) as ranks:  # in rank 0: each rank makes its part
        ranks.do(Shards.clip, 1.0)          # and calls a method of it, at the same time
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from lathe.engine.devices import pick_device
from lathe.engine.signals import stop_requested
from lathe.engine.step_in_processes import (
    Answer,
    Build,
    Helpers,
    Share,
    done,
    forget,
    gradient,
    joined,
    parts,
    put,
    sendable,
)
from lathe.errors import Exit, InputError, Interrupted
from lathe.processes import Rank

CALL = "lathe/call/"
"""What rank 0 calls the others to, by number: HELP, ACT (together) or END."""
HELP, ACT, END = b"help", b"act", b"end"
LOOK_SECONDS = 0.2
"""From one look for a call to the next."""
PATIENCE = timedelta(days=30)
"""How long a rank waits for words: rank 0 may answer rows for hours between two steps. One that ended is known at once."""
BUCKET = 1 << 24
"""Numbers that travel at once: 64 MiB in float32, which bounds the memory that it takes."""


Part = TypeVar("Part")
R = TypeVar("R")


@dataclass(frozen=True)
class Place:
    """A rank among those that act together. group: over which numbers go; asked: the signal that this rank got, if any."""

    number: int
    count: int
    group: dist.ProcessGroup
    asked: Callable[[], str | None]


@dataclass
class _Lead:
    """Rank 0 while its command runs."""

    rank: Rank
    store: dist.Store
    calls: int = 0

    def call(self, what: bytes) -> None:
        self.store.set(f"{CALL}{self.calls}", what)
        self.calls += 1


_lead: _Lead | None = None


def lead(rank: Rank, command: Callable[[], int]) -> int:
    """Does the command in rank 0, and lets the others end when it ends. Returns its exit code."""
    global _lead
    _lead = _Lead(rank, _store(rank))
    try:
        return command()
    finally:
        # A store that is gone has no one left to tell.
        with contextlib.suppress(RuntimeError):
            _lead.call(END)
        _lead = None


def others() -> int:
    """How many ranks there are beside this one, which leads them; 0 where torchrun started none."""
    return 0 if _lead is None else _lead.rank.count - 1


@contextlib.contextmanager
def helpers() -> Iterator[Helpers]:
    """The other ranks, for one training. Raises InputError where this machine has fewer GPUs than ranks."""
    with _called_together(HELP) as (rank, _, numbers):
        ranks = _Ranks(rank, numbers)
        try:
            yield ranks
        finally:
            ranks.dismiss()


@contextlib.contextmanager
def together(part: Callable[..., Part], *given: Any) -> Iterator[Together[Part]]:
    """All ranks, for one training, each with a part of it: `part(place, *given)`, of what can be pickled. Raises as `helpers`."""
    with _called_together(ACT) as (rank, line, numbers):
        place = Place(rank.number, rank.count, numbers or dist.group.WORLD, lambda: None)
        ranks = Together[Part](place, line)
        try:
            ranks.begin(part, *given)
            yield ranks
        finally:
            ranks.dismiss()


@contextlib.contextmanager
def _called_together(what: bytes) -> Iterator[tuple[Rank, dist.Store, dist.ProcessGroup | None]]:
    """Rank 0 with the others called and connected; yields the store of this call besides, and the group of numbers."""
    assert _lead is not None, "for a command that `lead` runs"
    _take_device(_lead.rank)
    store = dist.PrefixStore(f"{CALL}{_lead.calls}", _lead.store)
    _lead.call(what)
    with _group(_lead.rank, store) as numbers:
        yield _lead.rank, store, numbers


def follow(rank: Rank) -> Exit:
    """Helps rank 0 with its trainings until its command ends. Raises InputError and Interrupted."""
    store = _store(rank)
    calls = 0
    with stop_requested() as asked:
        while True:
            call = _called(store, f"{CALL}{calls}", asked)
            if call not in (HELP, ACT):
                return Exit.DONE if call == END else Exit.INTERRUPTED
            _take_device(rank)
            line = dist.PrefixStore(f"{CALL}{calls}", store)
            with _group(rank, line) as numbers:
                if call == HELP:
                    with _lost(rank):
                        _help(rank, numbers, asked)
                else:
                    _act(Place(rank.number, rank.count, numbers or dist.group.WORLD, asked), line)
            gc.collect()
            calls += 1


def end(status: int) -> NoReturn:
    """Ends this process, with its output written, and without the end of the interpreter.

    Caches of torch keep a connection of shards and its threads, one of which may still have to let go of a tensor: it asks for the
    interpreter's lock, and aborts the process (SIGABRT) where the interpreter is ending. About one launch in ten ended like that.
    """
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _store(rank: Rank) -> dist.Store:
    """The store that torchrun serves to all ranks."""
    store, _, _ = next(iter(dist.rendezvous("env://", rank.number, rank.count)))
    return store


def _called(store: dist.Store, key: str, asked: Callable[[], str | None]) -> bytes | None:
    """Waits for a call; None where a signal came before it, or the store is gone."""
    while not asked():
        try:
            if store.check([key]):
                return bytes(store.get(key))
        except RuntimeError:
            return None
        time.sleep(LOOK_SECONDS)
    return None


def _take_device(rank: Rank) -> None:
    """Each rank of a machine takes the GPU of its number there."""
    if not torch.cuda.is_available():
        return
    if rank.count_here > torch.cuda.device_count():
        raise InputError(
            f"torchrun started {rank.count_here} processes on this machine, which has {torch.cuda.device_count()} GPUs; "
            "expected one process a GPU",
            hint=f"torchrun --nproc-per-node {torch.cuda.device_count()}",
        )
    torch.cuda.set_device(rank.number_here)


@contextlib.contextmanager
def _group(rank: Rank, store: dist.Store) -> Iterator[dist.ProcessGroup | None]:
    """All ranks connected; yields the group over which numbers go, None = the same as words."""
    dist.init_process_group(
        "gloo", store=dist.PrefixStore("group", store), rank=rank.number, world_size=rank.count, timeout=PATIENCE
    )
    try:
        yield dist.new_group(backend="nccl") if pick_device().type == "cuda" else None
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _lost(rank: Rank) -> Iterator[None]:
    """An error of the connection becomes one that says which end of it is left."""
    try:
        yield
    except RuntimeError as error:
        raise _without_a_word(rank.number, error) from error


def _without_a_word(number: int, error: Exception) -> Interrupted:
    """What is left to say of a connection that broke."""
    return Interrupted(
        f"rank {number}: another process of this training ended without a word ({str(error).strip().split(chr(10))[0]})",
        hint="It was killed or ran out of memory; what it said stands above. The same command continues.",
    )


class _Ranks:
    """The other ranks as seen from rank 0."""

    def __init__(self, rank: Rank, numbers: dist.ProcessGroup | None) -> None:
        self._rank = rank
        self._numbers = numbers
        self._in_step = False

    @property
    def count(self) -> int:
        return self._rank.count - 1

    def build(self, build: Build) -> None:
        with _lost(self._rank):
            _told([build])
            told = _gathered(Answer(0.0), self._rank.count)
        for answer in told:
            if isinstance(answer, Exception):
                raise answer

    def share(self, shares: Sequence[Share], parameters: Sequence[nn.Parameter]) -> None:
        self._in_step = True
        cpu = torch.device("cpu")
        with _lost(self._rank):
            _told([Share([pack.to(cpu) for pack in one.packs], one.supervised, one.seed) for one in shares])
            _spread_weights(parameters, self._numbers)

    def answers(self, mine: Answer | Exception, parameters: Sequence[nn.Parameter]) -> list[Answer | Exception]:
        with _lost(self._rank):
            told = _gathered(mine, self._rank.count)
            if _all_well(told):
                _sum_gradients(parameters, self._numbers)
        self._in_step = False
        return told[1:]

    def dismiss(self) -> None:
        """Ends the training in the others, unless a step was left half-way: then nobody listens."""
        if not self._in_step:
            with contextlib.suppress(RuntimeError):
                _told([])


def _help(rank: Rank, numbers: dist.ProcessGroup | None, asked: Callable[[], str | None]) -> None:
    """One training: what to build, then a share of each step, until nothing more is told."""
    told = _told(None)
    if not told:  # rank 0 could not load its own
        return
    who = f"rank {rank.number}"
    try:
        take, named = told[0]()
    except Exception as error:
        _gathered(sendable(error, who), rank.count)
        return
    _gathered(Answer(0.0), rank.count)
    parameters = list(named.values())
    while told := _told(None):
        _spread_weights(parameters, numbers)
        answer = done(take, told[rank.number - 1], pick_device(), asked())
        if _all_well(_gathered(sendable(answer, who), rank.count)):
            _sum_gradients(parameters, numbers)
        forget(parameters)


# ------------------------------------------------------------------------------------------ acting together


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
            _told([what, given])
            got = what(self._part, *given, **here)
        self._acting = False
        return got

    def dismiss(self) -> None:
        """Ends the training in the others, unless they were left half-way."""
        if not self._acting:
            with contextlib.suppress(RuntimeError):
                _told([])


def _act(place: Place, line: dist.Store) -> None:
    """The same in every other rank, until nothing more is told."""
    part: Any = place
    with _of_one_fate(place, line):
        while told := _told(None):
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
            raise _without_a_word(place.number, error) from error
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


# ------------------------------------------------------------------------------------------ words and numbers


def _told(words: list[Any] | None) -> list[Any]:
    """What rank 0 tells all; others give None."""
    said = [words]
    dist.broadcast_object_list(said, src=0)
    assert said[0] is not None
    return said[0]


def _gathered(mine: Any, count: int) -> list[Any]:
    """What each rank says, in their order."""
    said: list[Any] = [None] * count
    dist.all_gather_object(said, mine)
    return said


def _all_well(told: Sequence[Any]) -> bool:
    return all(isinstance(answer, Answer) for answer in told)


def _spread_weights(parameters: Sequence[nn.Parameter], group: dist.ProcessGroup | None) -> None:
    """The parameters of rank 0 to all."""
    for bucket in _buckets(parameters):
        weights_P = joined(bucket)
        dist.broadcast(weights_P, src=0, group=group)
        if dist.get_rank() != 0:
            put(bucket, weights_P)


def _sum_gradients(parameters: Sequence[nn.Parameter], group: dist.ProcessGroup | None) -> None:
    """`.grad` of rank 0 becomes the sum over all ranks."""
    for bucket in _buckets(parameters):
        gradient_P = joined([gradient(parameter) for parameter in bucket])
        dist.reduce(gradient_P, dst=0, op=dist.ReduceOp.SUM, group=group)
        if dist.get_rank() == 0:
            for parameter, part in parts(bucket, gradient_P):
                parameter.grad = part


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """The parameters in order, some at a time: BUCKET numbers, or one parameter that has more."""
    bucket: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        if bucket and size + parameter.numel() > BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.numel()
    if bucket:
        yield bucket
