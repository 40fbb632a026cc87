"""Ranks that help: rank 0 says who does what of a step and which weights, the others give their part of its gradient."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import nn

from lathe.engine.devices import pick_device
from lathe.engine.ranks.exchange import all_well, broadcast, gather, lost, spread_weights, sum_gradients
from lathe.engine.step_in_processes import Answer, Build, Share, done, forget, sendable
from lathe.processes import Rank


class Ranks:
    """The other ranks as seen from rank 0: `step_in_processes.Helpers`."""

    def __init__(self, rank: Rank, numbers: dist.ProcessGroup | None) -> None:
        self._rank = rank
        self._numbers = numbers
        self._in_step = False

    @property
    def count(self) -> int:
        return self._rank.count - 1

    def build(self, build: Build) -> None:
        with lost(self._rank.number):
            broadcast([build])
            told = gather(Answer(0.0), self._rank.count)
        for answer in told:
            if isinstance(answer, Exception):
                raise answer

    def share(self, shares: Sequence[Share], parameters: Sequence[nn.Parameter]) -> None:
        self._in_step = True
        cpu = torch.device("cpu")
        with lost(self._rank.number):
            broadcast([Share([pack.to(cpu) for pack in one.packs], one.supervised, one.seed) for one in shares])
            spread_weights(parameters, self._numbers)

    def answers(self, mine: Answer | Exception, parameters: Sequence[nn.Parameter]) -> list[Answer | Exception]:
        with lost(self._rank.number):
            told = gather(mine, self._rank.count)
            if all_well(told):
                sum_gradients(parameters, self._numbers)
        self._in_step = False
        return told[1:]

    def dismiss(self) -> None:
        """Ends the training in the others, unless a step was left half-way: then nobody listens."""
        if not self._in_step:
            with contextlib.suppress(RuntimeError):
                broadcast([])


def help_with(rank: Rank, numbers: dist.ProcessGroup | None, asked: Callable[[], str | None]) -> None:
    """One training: what to build, then a share of each step, until nothing more is told."""
    told = broadcast(None)
    if not told:  # rank 0 could not load its own
        return
    who = f"rank {rank.number}"
    try:
        take, named = told[0]()
    except Exception as error:
        gather(sendable(error, who), rank.count)
        return
    gather(Answer(0.0), rank.count)
    parameters = list(named.values())
    while told := broadcast(None):
        spread_weights(parameters, numbers)
        answer = done(take, told[rank.number - 1], pick_device(), asked())
        if all_well(gather(sendable(answer, who), rank.count)):
            sum_gradients(parameters, numbers)
        forget(parameters)
