"""The gradients of pretraining steps, computed in bf16 by this process or by several that share the work.

    with workers(master, count=2) as gang:
        gang.window(512)                                  # compiles for windows of this length
        gang.take(master)                                 # the weights of this step
        loss = gang.gradients(parts, norm)                # into master's .grad

Several processes of one thread each beat one process of several threads wherever the machine also does something else: they
wait for one another once a step, threads once a matrix product. Which worker computes which part is fixed and so is the order
in which their sums are added: the weights do not depend on who was faster.

Shapes: B windows of a micro-batch, T positions, D hidden width, V vocabulary.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from lathe.engine.attention import register_attention
from lathe.engine.attention_in_tiles import attention_of_windows, register
from lathe.engine.devices import keep_freed_memory
from lathe.engine.loss import supervised_loss
from lathe.errors import LatheError
from lathe.processes import beside

Part = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A micro-batch: token ids, position numbers and loss weights, each of shape (B, T)."""
_ROW_MULTIPLE = 256


class Gang(Protocol):
    """Whoever computes the gradients."""

    def window(self, length: int) -> None:
        """Makes ready for windows of `length` positions."""

    def take(self, master: nn.Module) -> None:
        """Copies the weights to compute with."""

    def gradients(self, master: nn.Module, parts: Sequence[Part], norm: float) -> float:
        """Sets `.grad` of the master's parameters; returns the summed loss over `norm`, in nats a token."""


class Worker:
    """A bf16 copy of the network and float32 sums of its gradients; both may lie in memory shared with another process."""

    def __init__(self, config: LlamaConfig, weights: dict[str, Tensor], sums: Sequence[Tensor]) -> None:
        register_attention()
        register()
        self.network = viewed(config, weights, attention_of_windows(config.head_dim)).train().requires_grad_()
        self.sums = sums

    def window(self, length: int) -> None:
        """See Gang; `length` is only a key to what is compiled."""
        self.body = compiled_body(self.network)

    def run(self, parts: Sequence[Part], norm: float) -> float:
        """Forward and backward over the parts; the sums are overwritten."""
        for total in self.sums:
            total.zero_()
        loss = 0.0
        for ids, positions, weights in parts:
            ids_BT = torch.from_numpy(ids.astype(np.int64))
            told = self.body(input_ids=ids_BT, position_ids=torch.from_numpy(positions), use_cache=False)
            part = weighted_loss(told.last_hidden_state, self.network.lm_head.weight, ids_BT, torch.from_numpy(weights))
            (part / norm).backward()
            loss += part.item() / norm
            for total, parameter in zip(self.sums, self.network.parameters(), strict=True):
                total.add_(parameter.grad)
                parameter.grad = None
        return loss


class Alone:
    """This process computes, with as many threads as torch has."""

    def __init__(self, master: LlamaForCausalLM) -> None:
        weights, sums = _copies(master)
        self.weights, self.worker = weights, Worker(master.config, weights, sums)
        self.window = self.worker.window

    def take(self, master: nn.Module) -> None:
        _copy(master, self.weights)

    def gradients(self, master: nn.Module, parts: Sequence[Part], norm: float) -> float:
        loss = self.worker.run(parts, norm)
        for parameter, total in zip(master.parameters(), self.worker.sums, strict=True):
            parameter.grad = total
        return loss


class Several:
    """Processes of one thread each; they read the same weights and add up gradients of their own."""

    def __init__(
        self, weights: dict[str, Tensor], sums: Sequence[Sequence[Tensor]], lines: Sequence[Connection]
    ) -> None:
        self.weights, self.sums, self.lines = weights, sums, lines

    def window(self, length: int) -> None:
        for line in self.lines:
            line.send(length)

    def take(self, master: nn.Module) -> None:
        _copy(master, self.weights)

    def gradients(self, master: nn.Module, parts: Sequence[Part], norm: float) -> float:
        count = len(self.lines)
        for number, line in enumerate(self.lines):
            line.send((list(parts[number::count]), norm))
        try:
            loss = sum(line.recv() for line in self.lines)
        except EOFError as error:
            raise LatheError("a worker process of the pretraining ended; its message stands above") from error
        for parameter, *totals in zip(master.parameters(), *self.sums, strict=True):
            parameter.grad = torch.stack(totals).sum(dim=0)
        return loss


@contextlib.contextmanager
def workers(master: LlamaForCausalLM, count: int) -> Iterator[Gang]:
    """Whoever computes, for the length of a with block: this process where `count` is 1, else so many beside it."""
    if count == 1:
        yield Alone(master)
        return
    weights, first = _copies(master)
    sums = [first, *([torch.zeros_like(total) for total in first] for _ in range(count - 1))]
    for tensor in (*weights.values(), *(total for one in sums for total in one)):
        tensor.share_memory_()  # torch then sends where it lies, not what it holds
    with contextlib.ExitStack() as ends:
        yield Several(weights, sums, [ends.enter_context(beside(_serve, master.config, weights, one)) for one in sums])


def _serve(line: Connection, config: LlamaConfig, weights: dict[str, Tensor], sums: Sequence[Tensor]) -> None:
    """A worker process: window lengths and parts in, losses out, until the line is closed."""
    torch.set_num_threads(1)
    keep_freed_memory()
    worker = Worker(config, weights, sums)
    while True:
        order = line.recv()
        if isinstance(order, int):
            worker.window(order)
        else:
            line.send(worker.run(*order))


def compiled_body(network: LlamaForCausalLM) -> nn.Module:
    """The network without its head, compiled for the first shape that it meets; what was compiled before is forgotten."""
    torch._dynamo.reset()
    return torch.compile(network.model, dynamic=False)


def viewed(config: LlamaConfig, weights: dict[str, Tensor], attention: str) -> LlamaForCausalLM:
    """A network on these very weights (by parameter name, the tied head left out), with the given attention."""
    config = copy.deepcopy(config)
    config._attn_implementation = attention
    with torch.device("meta"):
        view = LlamaForCausalLM(config)
    view.load_state_dict({**weights, "lm_head.weight": weights["model.embed_tokens.weight"]}, assign=True)
    view.tie_weights()
    view.model.rotary_emb = type(view.model.rotary_emb)(config)  # its table is no parameter
    return view


def _copies(master: LlamaForCausalLM) -> tuple[dict[str, Tensor], list[Tensor]]:
    """bf16 weights by name, and zeroed float32 sums, one a parameter."""
    named = dict(master.named_parameters())
    weights = {name: parameter.detach().to(torch.bfloat16) for name, parameter in named.items()}
    return weights, [torch.zeros_like(parameter, dtype=torch.float32) for parameter in named.values()]


def _copy(master: nn.Module, weights: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in master.named_parameters():
            weights[name].copy_(parameter)


def weighted_loss(hidden_BTD: Tensor, head_VD: Tensor, ids_BT: Tensor, weights_BT: Tensor) -> Tensor:
    """Summed loss of predicting ids_BT[b, t] from hidden_BTD[b, t - 1], times weights_BT[b, t]; rows of weight 0 are
    not scored.

    Rows are filled up with weight 0 to a multiple of 256, because the CPU's matrix kernels are built anew for each
    shape and kept.
    """
    length = ids_BT.shape[1]
    flat = torch.nonzero((weights_BT[:, 1:] != 0).flatten()).squeeze(1)
    flat = flat + flat // (length - 1)  # from rows of length - 1 to rows of length
    num_scored = len(flat)
    flat = torch.cat((flat, flat.new_zeros(-num_scored % _ROW_MULTIPLE)))
    targets, weights = ids_BT.flatten()[flat + 1], weights_BT.flatten()[flat + 1]
    weights[num_scored:] = 0
    return supervised_loss(hidden_BTD.flatten(0, 1), head_VD, flat, targets, weights)
