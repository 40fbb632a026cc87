"""A step's gradient by several processes: each forms that of its own packs, and this one adds them up in a fixed order.

    with helpers(count=1, threads=1) as lines:                 # start loading torch at once
        lines[0].send(build)                                   # what each helper builds for itself
        step = StepInProcesses(take, parameters, lines)
        loss = step(packs, supervised)                         # .grad now holds the step's gradient, as after `take`

Each helper has the frozen weights of its own; before a step it gets the trained ones and after it sends their gradients back. A
step's loss and gradient are sums over its rows, so they are the same for any number of processes, apart from rounding. Several
processes of one thread beat one process of several threads on small models: threads wait for one another at every matrix product,
processes once a step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lathe.engine.devices import peak_bytes
from lathe.engine.packs import Pack
from lathe.engine.step import Step
from lathe.errors import LatheError
from lathe.processes import beside
from lathe.schedule.packing import deal

Build = Callable[[], tuple[Step, Mapping[str, nn.Parameter]]]
"""Loads a model: its step, and its trained parameters in the order of the first process. Must be picklable."""


class StepInProcesses:
    """A Step that shares its packs with helpers. take: this process's own step. parameters: what is trained, by name."""

    def __init__(self, take: Step, parameters: Mapping[str, nn.Parameter], lines: Sequence[Connection]) -> None:
        self._take = take
        self._parameters = list(parameters.values())
        self._lines = lines
        self.helpers_peak_bytes = 0
        """Sum of the helpers' peaks of resident memory."""

    def __call__(self, packs: Iterable[Pack], supervised: int) -> float:
        """See `step.gradients`. Raises what a helper raised."""
        if not self._lines:
            return self._take(packs, supervised)
        packs = list(packs)
        mine, *others = deal([pack.bounds[-1] for pack in packs], 1 + len(self._lines))
        weights_P = _joined(self._parameters)
        for line, share in zip(self._lines, others, strict=True):
            # The same seed for all: what is dropped depends on the row, not on the process that computes it.
            line.send((weights_P, [packs[index] for index in share], supervised, torch.initial_seed()))
        try:
            loss = self._take([packs[index] for index in mine], supervised)
        finally:  # whatever happened here, every helper's answer to this step is taken, so that the next one is not mistaken for it
            told = [_received(line) for line in self._lines]
        for answer in told:
            if isinstance(answer, Exception):
                raise answer
            loss += answer.loss
            _add(self._parameters, answer.gradient_P)
        peaks = sum(answer.peak_bytes for answer in told if isinstance(answer, _Answer))
        self.helpers_peak_bytes = max(self.helpers_peak_bytes, peaks)
        return loss


@dataclass(frozen=True)
class _Answer:
    """What a helper made of a step: its share of the loss, the gradient of P trained numbers, its peak of memory so far."""

    loss: float
    gradient_P: NDArray[np.float32]
    peak_bytes: int


@contextlib.contextmanager
def helpers(count: int, threads: int) -> Iterator[list[Connection]]:
    """`count` processes that wait for what to build (`line.send(build)`), ended with the block. threads: of each."""
    with contextlib.ExitStack() as ends:
        yield [ends.enter_context(beside(_serve, threads)) for _ in range(count)]


def _serve(line: Connection, threads: int) -> None:
    """A helper's life: what to build, then steps, until the line is closed."""
    torch.set_num_threads(threads)
    build: Build = line.recv()
    try:
        take, named = build()
    except LatheError as error:
        line.send(error)
        return
    parameters = list(named.values())
    while True:
        weights_P, packs, supervised, seed = line.recv()
        _put(parameters, weights_P)
        torch.manual_seed(seed)
        try:
            loss = take(packs, supervised)
            gradient_P = _joined([_gradient(parameter) for parameter in parameters])
            line.send(_Answer(loss, gradient_P, peak_bytes(torch.device("cpu"))))
        except (RuntimeError, MemoryError) as error:
            line.send(error)
        for parameter in parameters:
            parameter.grad = None


def _received(line: Connection) -> _Answer | Exception:
    try:
        told: _Answer | Exception = line.recv()
    except (EOFError, ConnectionError):
        return LatheError("a helper process of the training ended; its message stands above")
    return told


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _joined(tensors: Sequence[Tensor]) -> NDArray[np.float32]:
    """All numbers in one vector."""
    return torch.cat([tensor.detach().float().flatten() for tensor in tensors]).numpy()


def _parts(parameters: Sequence[nn.Parameter], joined_P: NDArray[np.float32]) -> Iterator[tuple[nn.Parameter, Tensor]]:
    sizes = [parameter.numel() for parameter in parameters]
    for parameter, part in zip(parameters, torch.from_numpy(joined_P).split(sizes), strict=True):
        yield parameter, part.view_as(parameter)


def _put(parameters: Sequence[nn.Parameter], weights_P: NDArray[np.float32]) -> None:
    with torch.no_grad():
        for parameter, part in _parts(parameters, weights_P):
            parameter.copy_(part)


def _add(parameters: Sequence[nn.Parameter], gradient_P: NDArray[np.float32]) -> None:
    for parameter, part in _parts(parameters, gradient_P):
        parameter.grad = part.to(parameter.dtype) if parameter.grad is None else parameter.grad.add_(part)
