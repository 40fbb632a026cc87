"""Weights, gradients and moments in shards over the ranks that torchrun started (FSDP2): full training of what no device holds.

    with ranks.together(Shards, shape) as together:             # every rank makes its Shards
        trained = Sharded(together, shape)                      # rank 0's; the other ranks do what it does
        trained.begin(base)                                     # each gets its part of the weights to start from
        loss = trained.gradients(packs, supervised)

torch's `fully_shard` keeps of every parameter one part in each rank. A layer is gathered right before it is computed, forward and
backward, and its gradient is summed into parts right after (Zhao et al. 2023, arXiv 2304.11277; ZeRO-3: Rajbhandari et al. 2020,
arXiv 1910.02054). Embedding, last norm and head are gathered for the length of a pack. So all ranks must compute as many packs: who
has fewer than another computes a token that nothing is learned from. Gradients are plain sums, so a step's is that of one process.

The optimiser moves each part where it lies. Whole tensors exist one at a time: when a checkpoint is written or read. Only a result
is put together whole, in rank 0, which also holds the base while it is dealt out.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate, distribute_tensor
from transformers import PretrainedConfig, PreTrainedModel

from lathe.engine import checkpoint, model
from lathe.engine.between_layers import give_back_between_layers, layers
from lathe.engine.devices import Precision, out_of_memory, peak_bytes, pick_device
from lathe.engine.packs import Pack, Segment
from lathe.engine.ranks import Place, Together
from lathe.engine.step import pack_loss, register_attention
from lathe.engine.step_in_processes import Answer, Share
from lathe.engine.trained import Whole
from lathe.errors import InputError
from lathe.records import TrainSpec
from lathe.schedule.packing import deal


@dataclass(frozen=True)
class Shape:
    """What every rank builds before there are weights. buffers: tensors of the model that are no weights, by name."""

    kind: type[PreTrainedModel]
    config: PretrainedConfig
    buffers: Mapping[str, Tensor]
    train: TrainSpec
    precision: Precision

    @classmethod
    def of(cls, base: PreTrainedModel, train: TrainSpec, precision: Precision) -> Shape:
        """That of a base."""
        return cls(type(base), base.config, dict(base.named_buffers()), train, precision)

    def bare(self) -> PreTrainedModel:
        """The model without any numbers."""
        with torch.device("meta"):
            return self.kind(self.config)


class Shards:
    """A rank's part of all that is trained. All ranks call the same method at the same time."""

    def __init__(self, place: Place, shape: Shape, threads: int) -> None:
        """threads: of this rank, on the CPU."""
        register_attention()
        torch.set_num_threads(threads)
        self._place = place
        self._device = device = pick_device()
        self._mesh = DeviceMesh.from_group(place.group, device.type)
        net = shape.bare().requires_grad_(True).train()
        if shape.train.recompute:
            net.gradient_checkpointing_enable({"use_reentrant": False})
        give_back_between_layers(net, device)  # what was gathered is freed too
        self._loss_of = _sharded(net, self._mesh, shape.precision)
        net.to_empty(device=device)
        for name, buffer in net.named_buffers():
            buffer.copy_(shape.buffers[name])
        self._own = Whole(net, self._take, shape.train)
        self._held = self._own.tensors()

    def gradients(self, shares: Sequence[Share]) -> list[Answer]:
        """Does this rank's share of a step, and gives what came of all. Raises InputError where memory runs out."""
        share = shares[self._place.number]
        torch.manual_seed(share.seed)
        spare = max(len(one.packs) for one in shares) - len(share.packs)
        loss = self._own.gradients([*share.packs, *[idle(shares)] * spare], share.supervised)
        told: list[Any] = [None] * self._place.count
        dist.all_gather_object(told, Answer(loss, peak_bytes(self._device), self._place.asked()))
        return told

    def _take(self, packs: Iterable[Pack], supervised: float) -> float:
        """The gradient of this rank's packs, added to everybody's part of it."""
        total = 0.0
        for pack in packs:
            with _lasting(self._place, f"in a pack of {pack.bounds[-1]} tokens"):
                loss = self._loss_of(pack.to(self._device)) / supervised
                loss.backward()
            total += loss.item()
        return total

    def forget(self) -> None:
        """See Trained."""
        self._own.forget()

    def clip(self, most: float) -> float:
        """See Trained: the norm is that over all ranks."""
        return self._own.clip(most)

    def move(self, learning_rate: float) -> None:
        """See Trained."""
        with _lasting(self._place, "when the weights were moved"):
            self._own.move(learning_rate)

    def hold(self) -> dict[str, Tensor]:
        """Weights and moments by their names in a checkpoint, in shards."""
        self._held = self._own.tensors()
        return self._held

    def begin_moments(self) -> None:
        """Makes the moments, which the optimiser makes in its first step alone; the weights stay as they are."""
        for parameter in self._loss_of.parameters():
            parameter.grad = torch.zeros_like(parameter)
        self._own.move(0.0)

    def whole(self, name: str) -> Tensor:
        """One tensor of those that were held last."""
        held = self._held[name]
        return held.full_tensor() if isinstance(held, DTensor) else held

    def put(self, name: str, whole: Tensor | None = None) -> None:
        """Overwrites a tensor of those that were held last. whole: what with, in rank 0."""
        held = self._held[name]
        placements = held.placements if isinstance(held, DTensor) else [Replicate()]
        # The others get their part of rank 0's; what they give says only how large it is.
        given = torch.empty(held.shape, dtype=held.dtype, device=self._device) if whole is None else whole
        _local(held).copy_(distribute_tensor(given.to(self._device), self._mesh, placements).to_local())


class Sharded:
    """All that is trained, as rank 0 sees it: a `Trained` whose numbers lie in all ranks."""

    def __init__(self, together: Together[Shards], shape: Shape) -> None:
        self._do = together.do
        self._shape = shape
        self._count = together.count
        self.others_peak_bytes = [0] * (self._count - 1)
        """Peak memory of each other rank."""
        self._signal: str | None = None

    def signal(self) -> str | None:
        """The signal that another rank got, if any."""
        return self._signal

    def begin(self, base: PreTrainedModel) -> None:
        """Deals out the weights to start from."""
        weights = dict(base.named_parameters())
        for name in self.tensors():
            self._do(Shards.put, name, whole=weights[name.removeprefix(checkpoint.MODEL)].detach())

    def gradients(self, packs: Iterable[Pack], supervised: float) -> float:
        """See Trained. Raises what a rank raised."""
        packs = [pack.to(torch.device("cpu")) for pack in packs]
        shares = [
            Share([packs[place] for place in share], supervised, torch.initial_seed())
            for share in deal([pack.bounds[-1] for pack in packs], self._count)
        ]
        told = self._do(Shards.gradients, shares)
        others = told[1:]
        self._signal = self._signal or next((answer.signal for answer in others if answer.signal), None)
        self.others_peak_bytes = [answer.peak_bytes for answer in others]
        return math.fsum(answer.loss for answer in told)

    def forget(self) -> None:
        """See Trained."""
        self._do(Shards.forget)

    def clip(self, most: float) -> float:
        """See Trained."""
        return self._do(Shards.clip, most)

    def move(self, learning_rate: float) -> None:
        """See Trained."""
        self._do(Shards.move, learning_rate)

    def tensors(self) -> dict[str, Tensor]:
        """See Trained."""
        return self._do(Shards.hold)

    def whole(self, name: str, held: Tensor) -> Tensor:
        """See Trained."""
        return self._do(Shards.whole, name).cpu()

    def put(self, tensors: Mapping[str, Tensor]) -> None:
        """See Trained."""
        self._do(Shards.begin_moments)
        for name in self._do(Shards.hold):
            self._do(Shards.put, name, whole=tensors[name])

    def write(self, base_folder: Path, folder: Path) -> None:
        """See Trained. Rank 0 holds the weights whole while it writes."""
        weights = {
            name.removeprefix(checkpoint.MODEL): self.whole(name, held)
            for name, held in self.tensors().items()
            if name.startswith(checkpoint.MODEL)
        }
        net = self._shape.bare()
        # Not strict: of tied weights one stands there, and not all buffers are kept.
        net.load_state_dict({**self._shape.buffers, **weights}, strict=False, assign=True)
        net.tie_weights()
        model.write_result(net, base_folder, folder)


class _PackLoss(nn.Module):
    """The outermost module of what is sharded: its weights, the head among them, are there while it computes."""

    def __init__(self, net: PreTrainedModel, precision: Precision) -> None:
        super().__init__()
        self.net = net
        self._precision = precision

    def forward(self, pack: Pack) -> Tensor:
        return pack_loss(self.net, pack, self._precision)


def _sharded(net: PreTrainedModel, mesh: DeviceMesh, precision: Precision) -> nn.Module:
    """A model without numbers whose layers are gathered one at a time, as the function that gives a pack's loss."""
    # Gathered as bf16, weights are gone after a layer; cast by autocast, a copy of all would be kept until the backward pass.
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if precision == "bf16" else None,
        reduce_dtype=torch.float32,
        cast_forward_inputs=False,
    )
    loss_of = _PackLoss(net, precision)
    for layer in layers(net):
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(loss_of, mesh=mesh)
    for part in loss_of.modules():
        if isinstance(part, FSDPModule):
            # Sums and no means: a step's loss is divided by its supervised tokens already.
            part.set_force_sum_reduction_for_comms(True)
            part.set_gradient_divide_factor(1.0)
    return loss_of


def idle(shares: Sequence[Share]) -> Pack:
    """A pack of one token that teaches nothing, for who has fewer packs than others."""
    pack = next(pack for share in shares for pack in share.packs)
    return replace(
        pack,
        ids_1T=pack.ids_1T[:, :1],
        positions_1T=pack.positions_1T[:, :1],
        segments=(Segment(0, 1),),
        scored_S=pack.scored_S[:0],
        targets_S=pack.targets_S[:0],
    )


@contextlib.contextmanager
def _lasting(place: Place, where: str) -> Iterator[None]:
    """Raises InputError where memory runs out inside the block: all ranks are half-way then, and none can take the step again."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise InputError(
            f"memory ran out in rank {place.number}, {where}; with weights in shards all ranks were half-way in the step, so it "
            "cannot be taken again with smaller packs",
            hint=f"Let torchrun start more than {place.count} processes, which go on from the last checkpoint; or lower "
            "train.token_budget, or set train.recompute: true, which trains anew.",
        ) from error


def _local(held: Tensor) -> Tensor:
    """The part of it that this rank has."""
    return held.to_local() if isinstance(held, DTensor) else held
