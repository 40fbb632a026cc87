"""Layers that keep their input alone and are computed again in the backward pass.

    recompute_layers(base, device)          before adapters are attached; raises ValueError where the architecture cannot do it

On a CPU this alone spares nothing. glibc before 2.39 cannot put a tensor where one of the same size was freed (posix_memalign asks
for more room than it then takes, its bug 30723), so each layer takes new room: SmolLM2-135M's shape in fp32 with packs of 1,024
tokens reached 3.1 GB, about as much as without recomputing. So what was freed goes back to the system between layers, once it has
grown to KEPT_BYTES: 0.66 of the peak, for 5 % more time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

import psutil
import torch
from transformers import PreTrainedModel

from lathe.engine.devices import give_back_memory

KEPT_BYTES = 256_000_000
"""Growth of this process after which memory is given back. Less is slower: taking each page anew costs a third of the time."""


def recompute_layers(base: PreTrainedModel, device: torch.device) -> None:
    """Has the layers computed again. Raises ValueError where the architecture cannot."""
    settings: dict[str, object] = {"use_reentrant": False}
    if device.type == "cpu":
        settings["context_fn"] = BetweenLayers().contexts
    base.gradient_checkpointing_enable(settings)


class BetweenLayers:
    """Gives memory back before a layer is computed, where enough was freed."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._least = self._resident()

    def look(self, *_: object) -> None:
        """Gives it back, if so; to be called, or hooked in, before a layer is computed."""
        self._least = min(self._least, self._resident())
        if self._resident() > self._least + KEPT_BYTES:
            give_back_memory()
            self._least = self._resident()

    def contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """In which a layer is computed, and computed again."""
        return self._given_back(), self._given_back()

    @contextlib.contextmanager
    def _given_back(self) -> Iterator[None]:
        self.look()
        yield

    def _resident(self) -> int:
        return int(self._process.memory_info().rss)
