"""The decoder for architectures that `decoding/` does not write out: transformers' own forward pass and cache, a row at a time.

Correct for any causal language model of transformers, and several times slower: rows share neither a pass nor a prefix.

Shapes: N slots in use, D hidden width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel


class ReferenceDecoder:
    """The same calls as `decoding.decoder.Decoder`; each slot is a cache of transformers."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.body = model.get_decoder()
        self.output = model.get_output_embeddings()
        self.device = model.device
        self.config = model.config
        self.caches: list[DynamicCache] = []

    def reserve(self, slots: int, capacity: int) -> None:
        """Makes room for `slots` answers; these caches grow as they need, and the first ones stay."""
        new = slots - len(self.caches)
        self.caches = self.caches[:slots] + [DynamicCache(config=self.config) for _ in range(new)]

    @torch.inference_mode()
    def prefill(self, slot: int, ids: NDArray[np.int64], start: int = 0) -> Tensor:
        """Reads a prompt into a slot and returns the hidden state of its last token, shape (D,). start: must be 0."""
        assert start == 0
        self.caches[slot] = DynamicCache(config=self.config)
        return self._forward(slot, torch.as_tensor(ids, device=self.device))

    @torch.inference_mode()
    def extend(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Appends one token to each of the first N slots; the hidden states after them, shape (N, D)."""
        assert all(len(row) == 1 for row in rows)
        return torch.stack(
            [self._forward(slot, torch.tensor(row, device=self.device)) for slot, row in enumerate(rows)]
        )

    def keep(self, added_N: Tensor) -> None:
        """Every token stays: none was a guess."""

    def move(self, source: int, target: int) -> None:
        """Moves a slot's content."""
        self.caches[target] = self.caches[source]

    @torch.inference_mode()
    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Logits of hidden states, float32, shape (N, vocabulary)."""
        return self.output(hidden_ND).float()

    def _forward(self, slot: int, ids_T: Tensor) -> Tensor:
        told = self.body(input_ids=ids_T[None], past_key_values=self.caches[slot], use_cache=True)
        return told.last_hidden_state[0, -1]
