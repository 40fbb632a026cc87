"""What makes an answer a draw: noise on logits, so that the machinery which takes the likeliest token draws one.

    chance = Chance(temperature=0.7, seed=3)
    key = chance.key(prompt_ids)
    chance.moved(logits_TV, [(key, 0), (key, 1)]).argmax(dim=1)      # a draw for the first and the second token of the answer

The likeliest token of logits / temperature + Gumbel noise is a draw from softmax(logits / temperature), also among the tokens
that a form allows (Gumbel 1954; Maddison, Tarlow and Minka 2014, arXiv:1411.0030). The noise follows from seed, prompt and place
in the answer alone: an answer does not depend on what else is under way, nor on what was guessed ahead, and the same seed gives it
again.

Shapes: T rows of logits, V vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Chance:
    """How answers are drawn. temperature: above 0; seed: another one draws other answers."""

    temperature: float
    seed: int

    def key(self, prompt_ids: Sequence[int]) -> int:
        """What the noise of a prompt's answer follows from, 128 bits."""
        text = self.seed.to_bytes(8, "little") + np.asarray(prompt_ids, dtype="<i4").tobytes()
        return int.from_bytes(hashlib.sha256(text).digest()[:16], "little")

    def moved(self, logits_TV: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
        """Logits whose maximum is a draw. places: of each row the key of its prompt, and which token of the answer it is for."""
        noise_TV = np.stack([_noise(*place, logits_TV.shape[1]) for place in places])
        return logits_TV / self.temperature + torch.from_numpy(noise_TV).to(logits_TV)


def _noise(key: int, place: int, size: int) -> NDArray[np.float32]:
    bits = np.random.Philox(key=key, counter=[0, 0, 0, place])
    return np.random.Generator(bits).gumbel(size=size).astype(np.float32)
