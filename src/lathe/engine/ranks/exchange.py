"""What ranks say to one another: words, weights and gradients. All of them call the same function at the same time.

Words go over gloo, numbers over the group that they are given, which is the same one where there is no GPU.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch.distributed as dist
from torch import nn

from lathe.engine.step_in_processes import Answer, gradient, joined, parts, put
from lathe.errors import Interrupted

BUCKET = 1 << 24
"""Numbers that travel at once: 64 MiB in float32, which bounds the memory that it takes."""


def broadcast(words: list[Any] | None) -> list[Any]:
    """What rank 0 tells all; others give None."""
    said = [words]
    dist.broadcast_object_list(said, src=0)
    assert said[0] is not None
    return said[0]


def gather(mine: Any, count: int) -> list[Any]:
    """What each rank says, in their order."""
    said: list[Any] = [None] * count
    dist.all_gather_object(said, mine)
    return said


def all_well(told: Sequence[Any]) -> bool:
    """Whether no rank gave an error instead of its answer."""
    return all(isinstance(answer, Answer) for answer in told)


def spread_weights(parameters: Sequence[nn.Parameter], group: dist.ProcessGroup | None) -> None:
    """The parameters of rank 0 to all."""
    for bucket in _buckets(parameters):
        weights_P = joined(bucket)
        dist.broadcast(weights_P, src=0, group=group)
        if dist.get_rank() != 0:
            put(bucket, weights_P)


def sum_gradients(parameters: Sequence[nn.Parameter], group: dist.ProcessGroup | None) -> None:
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


@contextlib.contextmanager
def lost(number: int) -> Iterator[None]:
    """An error of the connection becomes one that says which end of it is left."""
    try:
        yield
    except RuntimeError as error:
        raise without_a_word(number, error) from error


def without_a_word(number: int, error: Exception) -> Interrupted:
    """What is left to say of a connection that broke."""
    return Interrupted(
        f"rank {number}: another process of this training ended without a word ({str(error).strip().split(chr(10))[0]})",
        hint="It was killed or ran out of memory; what it said stands above. The same command continues.",
    )
