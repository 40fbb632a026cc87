"""What a training moves: weights with their gradients and moments, whole in this process or in shards over ranks.

    trained = Whole(net, take, train)
    loss = trained.gradients(packs, supervised)
    norm = trained.clip(1.0)
    trained.move(learning_rate=1e-3)            # the gradients are gone then
    held = trained.tensors()                    # for a checkpoint; trained.put(...) takes them back
    trained.write(base_folder, folder)          # what the training is for

The other kind is `lathe.engine.shards.Sharded`. A checkpoint of one is continued by the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from lathe.engine import checkpoint
from lathe.engine.model import trainable, write_result
from lathe.engine.optim import OPTIMISERS, clip_global_norm
from lathe.engine.packs import Pack
from lathe.engine.step import Step
from lathe.records import TrainSpec


class Trained(Protocol):
    """What the loop moves step by step, wherever it lies."""

    def gradients(self, packs: Iterable[Pack], supervised: float) -> float:
        """Adds the step's gradient; see `step.gradients`."""

    def forget(self) -> None:
        """Drops all gradients."""

    def clip(self, most: float) -> float:
        """Scales all gradients so that their joint 2-norm is at most this; gives the norm before."""

    def move(self, learning_rate: float) -> None:
        """Takes the optimiser's step, and drops all gradients."""

    def tensors(self) -> Mapping[str, Tensor]:
        """Weights and moments by their names in a checkpoint, as they are held: whole or in shards. Not copied."""

    def whole(self, name: str, held: Tensor) -> Tensor:
        """One of those, whole and on the CPU."""

    def put(self, tensors: Mapping[str, Tensor]) -> None:
        """Overwrites weights and moments with whole ones of a checkpoint."""

    def write(self, base_folder: Path, folder: Path) -> None:
        """Writes the weights as a result; see `model.write_result`."""


class Whole:
    """All that is trained in this process. take: forms its gradient, alone or with helpers."""

    def __init__(self, net: nn.Module, take: Step, train: TrainSpec) -> None:
        self._net = net
        self._take = take
        self._parameters = trainable(net)
        self.optimizer = OPTIMISERS[train.optimiser](self._parameters.items(), train.learning_rate, train.weight_decay)

    def gradients(self, packs: Iterable[Pack], supervised: float) -> float:
        """See Trained."""
        return self._take(packs, supervised)

    def forget(self) -> None:
        """See Trained."""
        self.optimizer.zero_grad(set_to_none=True)

    def clip(self, most: float) -> float:
        """See Trained."""
        return clip_global_norm(self._parameters.values(), most)

    def move(self, learning_rate: float) -> None:
        """See Trained."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.forget()

    def tensors(self) -> dict[str, Tensor]:
        """See Trained."""
        weights = {checkpoint.MODEL + name: parameter.detach() for name, parameter in self._parameters.items()}
        return weights | checkpoint.optimizer_tensors(self.optimizer)

    def whole(self, name: str, held: Tensor) -> Tensor:
        """See Trained."""
        return held.cpu()

    def put(self, tensors: Mapping[str, Tensor]) -> None:
        """See Trained."""
        for name, parameter in self._parameters.items():
            parameter.detach().copy_(tensors[checkpoint.MODEL + name])
        checkpoint.restore_optimizer(self.optimizer, tensors)

    def write(self, base_folder: Path, folder: Path) -> None:
        """See Trained."""
        write_result(self._net, base_folder, folder)
