"""A step's gradient by several processes: each forms that of its own packs, and the first one gets their sum.

    with piped(count=1) as helpers:                            # start loading torch at once
        helpers.build(build)                                   # what each helper builds for itself
        step = StepInProcesses(take, parameters, helpers)
        loss = step(packs, supervised)                         # .grad now holds the step's gradient, as after `take`

Each helper has the frozen weights of its own; before a step it gets the trained ones and after it gives their gradients back. A
step's loss and gradient are sums over its rows, so they are the same for any number of processes, apart from rounding. Only the
first process has an optimiser, takes the step and writes anything.

Helpers are processes beside this one (`piped`), spoken to over pipes and with their numbers in memory that all see, or the ranks
that torchrun started (`lathe.engine.ranks`). Several processes of one thread beat one process of several threads on small models:
threads wait for one another at every matrix product, processes once a step.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from mmap import mmap
from multiprocessing.connection import Connection
from typing import Protocol

import torch
from torch import Tensor, nn

from lathe.engine.devices import peak_bytes
from lathe.engine.packs import Pack
from lathe.engine.step import Step
from lathe.errors import LatheError, helper_gone
from lathe.processes import beside, borrow, lend
from lathe.schedule.packing import deal

Build = Callable[[], tuple[Step, Mapping[str, nn.Parameter]]]
"""Loads a model: its step, and its trained parameters in the order of the first process. Must be picklable."""


@dataclass(frozen=True)
class Share:
    """What a process does of a step. supervised: supervised tokens of the whole step, or the sum of their weights."""

    packs: list[Pack]
    supervised: float
    seed: int


@dataclass(frozen=True)
class Answer:
    """What a process made of its share: its part of the loss, its peak of memory so far, and the signal that it got, if any."""

    loss: float
    peak_bytes: int = 0
    signal: str | None = None


class Helpers(Protocol):
    """The other processes that share the steps of a training, always in the same order."""

    @property
    def count(self) -> int:
        """How many there are beside this one."""

    def build(self, build: Build) -> None:
        """Has each load what it trains with from now on."""

    def share(self, shares: Sequence[Share], parameters: Sequence[nn.Parameter]) -> None:
        """Gives each its share of a step, and the trained weights as they are."""

    def answers(self, mine: Answer | Exception, parameters: Sequence[nn.Parameter]) -> list[Answer | Exception]:
        """What each made of its share. mine: what this process made of its own.

        Where all got through, `.grad` of the parameters has become the sum over all processes; otherwise it is worth nothing.
        """


class StepInProcesses:
    """A Step that shares its packs with helpers. take: this process's own step. parameters: what is trained, by name."""

    def __init__(self, take: Step, parameters: Mapping[str, nn.Parameter], helpers: Helpers) -> None:
        self._take = take
        self._parameters = list(parameters.values())
        self._helpers = helpers
        self.helpers_peak_bytes = [0] * helpers.count
        """Peak memory of each helper."""
        self._signal: str | None = None

    def signal(self) -> str | None:
        """The signal that a helper got, if any."""
        return self._signal

    def __call__(self, packs: Iterable[Pack], supervised: float) -> float:
        """See `step.gradients`. Raises what a helper raised."""
        if not self._helpers.count:
            return self._take(packs, supervised)
        packs = list(packs)
        # The same seed for all: what is dropped depends on the row, not on the process that computes it.
        mine, *others = (
            Share([packs[index] for index in share], supervised, torch.initial_seed())
            for share in deal([pack.bounds[-1] for pack in packs], 1 + self._helpers.count)
        )
        self._helpers.share(others, self._parameters)
        # Whatever happens here, every helper's answer to this step is taken, so that the next one is not mistaken for it.
        own = done(self._take, mine)
        told = self._helpers.answers(own, self._parameters)
        loss = 0.0
        for answer in (own, *told):
            if isinstance(answer, Exception):
                raise answer
            loss += answer.loss
            self._signal = self._signal or answer.signal
        peaks = [answer.peak_bytes for answer in told if isinstance(answer, Answer)]
        self.helpers_peak_bytes = [max(pair) for pair in zip(self.helpers_peak_bytes, peaks, strict=True)]
        return loss


def done(take: Step, share: Share, device: torch.device | None = None, signal: str | None = None) -> Answer | Exception:
    """Does a share of a step, or says why it could not be done; adds the gradient to `.grad`.

    device: of the model, for a share that came from elsewhere. signal: what this process got.
    """
    torch.manual_seed(share.seed)
    packs = share.packs if device is None else (pack.to(device) for pack in share.packs)
    try:
        loss = take(packs, share.supervised)
    except Exception as error:
        return error
    return Answer(loss, peak_bytes(device) if device is not None else 0, signal)


def sendable(answer: Answer | Exception, who: str) -> Answer | Exception:
    """An answer without what belongs to this process alone; of an exception, its traceback is kept in words."""
    if not isinstance(answer, Exception):
        return answer
    answer.add_note("".join([f"in {who}:\n", *traceback.format_tb(answer.__traceback__)]))
    return answer.with_traceback(None)


# ------------------------------------------------------------------------------------------ helpers beside this process


@contextlib.contextmanager
def piped(count: int) -> Iterator[Helpers]:
    """`count` processes beside this one, on the CPU, ended with the block."""
    with contextlib.ExitStack() as ends:
        yield at_lines([ends.enter_context(beside(serve)) for _ in range(count)])


def at_lines(lines: Sequence[Connection]) -> Helpers:
    """Processes that were started already, each to `serve` at the other end of its line."""
    return _Piped(lines)


@dataclass(frozen=True)
class _Table:
    """Memory that this process and its helpers see: a row of trained weights, and a row for the gradient of each helper."""

    rows: int
    numbers: int
    dtype: torch.dtype

    @property
    def num_bytes(self) -> int:
        return self.rows * self.numbers * self.dtype.itemsize

    def on(self, memory: mmap) -> Tensor:
        """Shape: (rows, P)."""
        return torch.frombuffer(memory, dtype=self.dtype).view(self.rows, self.numbers)


class _Piped:
    """Helpers spoken to over pipes; numbers lie in memory that all see. Their gradients are added in their order."""

    def __init__(self, lines: Sequence[Connection]) -> None:
        self._lines = lines
        self._table_NP: Tensor | None = None

    @property
    def count(self) -> int:
        return len(self._lines)

    def build(self, build: Build) -> None:
        self._table_NP = None
        for line in self._lines:
            _tell(line, build)

    def share(self, shares: Sequence[Share], parameters: Sequence[nn.Parameter]) -> None:
        if self._table_NP is None:
            self._table_NP = self._lent(parameters)
        joined(parameters, self._table_NP[0])
        for line, share in zip(self._lines, shares, strict=True):
            _tell(line, share)

    def _lent(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        dtype = reduce(torch.promote_types, (parameter.dtype for parameter in parameters))
        table = _Table(1 + self.count, sum(parameter.numel() for parameter in parameters), dtype)
        for row, line in enumerate(self._lines, start=1):
            _tell(line, (table, row))
        return table.on(lend(self._lines, table.num_bytes))

    def answers(self, mine: Answer | Exception, parameters: Sequence[nn.Parameter]) -> list[Answer | Exception]:
        assert self._table_NP is not None, "a share is given before its answer is asked for"
        told: list[Answer | Exception] = []
        for line, gradient_P in zip(self._lines, self._table_NP[1:], strict=True):
            try:
                told.append(line.recv())
            except (EOFError, ConnectionError):
                told.append(helper_gone("training", kept="the last checkpoint"))
            if isinstance(told[-1], Answer):
                _add(parameters, gradient_P)
        return told


def _tell(line: Connection, what: object) -> None:
    """Raises Interrupted where the helper is gone."""
    try:
        line.send(what)
    except ConnectionError:
        raise helper_gone("training", kept="the last checkpoint") from None


def serve(line: Connection) -> None:
    """A helper's life: what to build, then steps of it, until something else is to be built or the line is closed."""
    while True:
        told = line.recv()
        if isinstance(told, tuple):
            table, row = told
            table_NP = table.on(borrow(line, table.num_bytes))
            continue
        if not isinstance(told, Share):
            try:
                take, named = told()
            except LatheError as error:
                line.send(error)
                return
            parameters = list(named.values())
            continue
        put(parameters, table_NP[0])
        answer = done(take, told, torch.device("cpu"))
        if isinstance(answer, Answer):
            joined([gradient(parameter) for parameter in parameters], table_NP[row])
        line.send(sendable(answer, "a helper process"))
        forget(parameters)


# ------------------------------------------------------------------------------------------ numbers of many parameters in one


def gradient(parameter: nn.Parameter) -> Tensor:
    """A parameter's gradient; zeros where none was formed."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def forget(parameters: Iterable[nn.Parameter]) -> None:
    """Drops all gradients."""
    for parameter in parameters:
        parameter.grad = None


def joined(tensors: Sequence[Tensor], into_P: Tensor | None = None) -> Tensor:
    """All numbers in one vector, P: a new one, or this one."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors], out=into_P)


def parts(parameters: Sequence[nn.Parameter], joined_P: Tensor) -> Iterator[tuple[nn.Parameter, Tensor]]:
    """Each parameter with its part of a vector that `joined` made."""
    sizes = [parameter.numel() for parameter in parameters]
    for parameter, part in zip(parameters, joined_P.split(sizes), strict=True):
        yield parameter, part.view_as(parameter)


def put(parameters: Sequence[nn.Parameter], weights_P: Tensor) -> None:
    """Overwrites the parameters."""
    with torch.no_grad():
        for parameter, part in parts(parameters, weights_P):
            parameter.copy_(part)


def _add(parameters: Sequence[nn.Parameter], gradient_P: Tensor) -> None:
    for parameter, part in parts(parameters, gradient_P):
        # Its own: the helper writes its next gradient where this one lies.
        parameter.grad = part.clone() if parameter.grad is None else parameter.grad.add_(part)
