"""Who leads, who follows, and how they come together for a training and end."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist

from lathe.engine.devices import pick_device
from lathe.engine.ranks.acting import Part, Place, Together, act
from lathe.engine.ranks.exchange import lost
from lathe.engine.ranks.helping import Ranks, help_with
from lathe.engine.signals import stop_requested
from lathe.engine.step_in_processes import Helpers
from lathe.errors import Exit, InputError
from lathe.processes import Rank

CALL = "lathe/call/"
"""What rank 0 calls the others to, by number: HELP, ACT (together) or END."""
HELP, ACT, END = b"help", b"act", b"end"
LOOK_SECONDS = 0.2
"""From one look for a call to the next."""
PATIENCE = timedelta(days=30)
"""How long a rank waits for words: rank 0 may answer rows for hours between two steps. One that ended is known at once."""


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
        ranks = Ranks(rank, numbers)
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
                    with lost(rank.number):
                        help_with(rank, numbers, asked)
                else:
                    act(Place(rank.number, rank.count, numbers or dist.group.WORLD, asked), line)
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
