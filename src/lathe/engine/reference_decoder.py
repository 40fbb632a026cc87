"""The decoder for architectures that `decoding/` does not write out: transformers' own forward pass and cache, a row at a time.

Correct for any causal language model of transformers, and several times slower: rows share neither a pass nor a prefix.

Shapes: N slots that go on, R tokens that the caller hears of, D hidden width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from lathe.engine.decoding.cache import Read


class ReferenceDecoder:
    """The same calls as `decoding.decoder.Decoder`; each slot is a cache of transformers."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.body = model.get_decoder()
        self.output = model.get_output_embeddings()
        self.device = model.device
        self.config = model.config
        self.context: int | None = getattr(model.config, "max_position_embeddings", None)
        self.caches: list[DynamicCache] = []
        self.read: list[list[int]] = []
        """Tokens that stand in each."""

    def reserve(self, slots: int, capacity: int) -> None:
        """Makes room for `slots` answers; these caches grow as they need, and the first ones stay."""
        new = slots - len(self.caches)
        self.caches = self.caches[:slots] + [self._empty() for _ in range(new)]
        self.read = self.read[:slots] + [[] for _ in range(new)]

    def forward(self, rows: Sequence[Sequence[int]], prompts: Sequence[Read] = ()) -> Tensor:
        """Appends tokens to each of the first N slots and reads prompts into others, whose starts must be 0; the hidden states
        after all tokens that were appended, row after row, and after the last of each prompt, shape (R, D)."""
        assert not any(prompt.start for prompt in prompts)
        appended = [self._append(slot, row) for slot, row in enumerate(rows)]
        return torch.cat([*appended, *(self._anew(prompt.slot, prompt.ids.tolist())[-1:] for prompt in prompts)])

    def keep(self, lengths: Sequence[int]) -> None:
        """Says how many tokens of each of the first N slots stay. Where some do not, those that do are read again: not every cache
        of transformers can be cut."""
        for slot, length in enumerate(lengths):
            if length < len(self.read[slot]):
                self._anew(slot, self.read[slot][:length])

    def move(self, source: int, target: int) -> None:
        """Moves a slot's content."""
        self.caches[target], self.read[target] = self.caches[source], self.read[source]

    @torch.inference_mode()
    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Logits of hidden states, float32, shape (N, vocabulary)."""
        return self.output(hidden_ND).float()

    def _empty(self) -> DynamicCache:
        return DynamicCache(config=self.config)

    def _anew(self, slot: int, ids: Sequence[int]) -> Tensor:
        self.caches[slot], self.read[slot] = self._empty(), []
        return self._append(slot, ids)

    @torch.inference_mode()
    def _append(self, slot: int, ids: Sequence[int]) -> Tensor:
        ids_T = torch.tensor(ids, device=self.device)
        told = self.body(input_ids=ids_T[None], past_key_values=self.caches[slot], use_cache=True)
        # Another list, for a slot that was moved shares it with where it was.
        self.read[slot] = [*self.read[slot], *ids]
        return told.last_hidden_state[0]
