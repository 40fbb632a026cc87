"""Answers that are drawn: the greedy machinery on logits that chance has moved.

    chance = Chance.of([prompt.ids for prompt in prompts], temperature=0.7, seed=3)
    for answer in sample(model, tokenizer, prompts, chance, token_budget=16384, stop_ids=frozenset({2})):
        answer.index, answer.ids, answer.finish

The likeliest token of logits / temperature + Gumbel noise is a draw from softmax(logits / temperature), also among the tokens
that a form allows (Gumbel 1954; Maddison, Tarlow and Minka 2014, arXiv:1411.0030). The noise follows from seed, prompt and place
in the answer alone: an answer does not depend on what else is under way, and the same seed gives it again. Nothing is guessed
ahead, so that each row of logits has one place. With the bundled base a drawn token costs what a greedy one does.

Shapes: N answers under way, D hidden width, V vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from lathe.engine.decoder import Decoder, can_decode
from lathe.engine.generate import MOST_SLOTS, Answer, Prompt, Slots, groups
from lathe.engine.grammar import Grammars
from lathe.engine.reference_decoder import ReferenceDecoder
from lathe.text.tokenizer import Tokenizer


@dataclass
class Chance:
    """What moves the logits of prompts known by their number. keys: what the noise of each follows from, 128 bits."""

    temperature: float
    keys: Sequence[int]
    places: Sequence[tuple[int, int]] = field(default_factory=list)
    """Of each row of logits that comes next: the prompt, and the place of the token in its answer."""

    @classmethod
    def of(cls, prompts: Sequence[Sequence[int]], temperature: float, seed: int) -> Chance:
        """prompts: their token ids."""
        texts = [seed.to_bytes(8, "little") + np.asarray(ids, dtype="<i4").tobytes() for ids in prompts]
        return cls(temperature, [int.from_bytes(hashlib.sha256(text).digest()[:16], "little") for text in texts])

    def moved(self, logits_NV: Tensor) -> Tensor:
        """Logits whose maximum is a draw."""
        noise_NV = np.stack([self._noise(*place, logits_NV.shape[1]) for place in self.places])
        return logits_NV / self.temperature + torch.from_numpy(noise_NV).to(logits_NV)

    def _noise(self, prompt: int, place: int, size: int) -> NDArray[np.float32]:
        bits = np.random.Philox(key=self.keys[prompt], counter=[0, 0, 0, place])
        return np.random.Generator(bits).gumbel(size=size).astype(np.float32)


class DrawingDecoder(Decoder):
    """Its logits are moved."""

    def __init__(self, model: PreTrainedModel, chance: Chance) -> None:
        super().__init__(model)
        self.chance = chance

    def logits(self, hidden_ND: Tensor) -> Tensor:
        return self.chance.moved(super().logits(hidden_ND))


class DrawingReferenceDecoder(ReferenceDecoder):
    """Its logits are moved."""

    def __init__(self, model: PreTrainedModel, chance: Chance) -> None:
        super().__init__(model)
        self.chance = chance

    def logits(self, hidden_ND: Tensor) -> Tensor:
        return self.chance.moved(super().logits(hidden_ND))


def sample(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    chance: Chance,
    *,
    token_budget: int,
    stop_ids: frozenset[int],
) -> Iterator[Answer]:
    """Drawn continuations, in the order in which they finish.

    Raises Unavailable where prompts have a form and the package for it is missing.
    """
    decoder = (DrawingDecoder if can_decode(model) else DrawingReferenceDecoder)(model, chance)
    grammars = Grammars(tokenizer, stop_ids) if any(prompt.form is not None for prompt in prompts) else None
    for group in groups(prompts):
        capacity = max(prompts[index].need for index in group)
        slots = Slots(decoder, min(max(1, token_budget // capacity), len(group), MOST_SLOTS), capacity, stop_ids, 0)
        waiting = list(reversed(group))
        while waiting or slots.writing:
            while waiting and slots.free:
                index = waiting.pop()
                form = prompts[index].form
                chance.places = [(index, 0)]
                slots.begin(index, prompts[index], grammars.begin(form) if grammars and form is not None else None)
            yield from slots.finished()
            if slots.writing:
                chance.places = [(one.index, len(one.ids)) for one in slots.writing]
                slots.write_on()
