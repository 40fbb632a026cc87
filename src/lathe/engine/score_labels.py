"""How likely a model finds each of some given answers: the log-probability of every label after every prompt.

    found = score_labels(taken(model), prompts, labels)
    found.raw_PL.argmax(axis=1)          the most likely label of each prompt
    found.normalised_PL                  the same per token, so that long labels are not at a disadvantage

A label is all that the model would write, its end token included: without it `card` would always be at least as likely as
`card_arrival`. A prompt is read once, whatever the number of labels, and so is what it has in common with the prompt before it.

Shapes: P prompts, L labels, N slots, M tokens of a slot, D hidden width, V vocabulary, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from lathe.engine.decoding.cache import Read
from lathe.engine.decoding.decoder import Decoder
from lathe.engine.generate import Taken, decoder_of
from lathe.engine.slots import common_length
from lathe.errors import InputError

MOST_SLOTS = 64
"""Labels scored in one pass at most."""


@dataclass(frozen=True, eq=False)
class LabelScores:
    """raw_PL: log-probability of each label after each prompt, in nats, at most 0. lengths_L: tokens of each label."""

    raw_PL: NDArray[np.float64]
    lengths_L: NDArray[np.int64]

    @property
    def normalised_PL(self) -> NDArray[np.float64]:
        """The mean log-probability of a label's tokens."""
        return self.raw_PL / self.lengths_L


def score_labels(
    weights: Taken,
    prompts: Sequence[Sequence[int]],
    labels: Sequence[Sequence[int]],
    *,
    token_budget: int = 16384,
) -> LabelScores:
    """The log-probability of every label after every prompt. token_budget: most tokens held at once; it changes no score.

    Raises InputError where a prompt or a label is empty, or both together are longer than the model's context.
    """
    decoder = decoder_of(weights)
    _check(decoder.context, prompts, labels)
    lengths_L = np.asarray([len(label) for label in labels], dtype=np.int64)
    raw_PL = np.zeros((len(prompts), len(labels)))
    if raw_PL.size:
        if isinstance(decoder, Decoder):
            _by_decoder(decoder, prompts, labels, token_budget, raw_PL)
        else:
            _by_forward(decoder.model, prompts, labels, raw_PL)
    return LabelScores(raw_PL, lengths_L)


def _check(context: int | None, prompts: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> None:
    if not all(map(len, prompts)) or not all(map(len, labels)):
        raise InputError("a prompt or a label without tokens cannot be scored")
    longest = max(map(len, prompts), default=0), max(map(len, labels), default=0)
    if context is not None and sum(longest) > context:
        raise InputError(
            f"a prompt of {longest[0]} tokens with a label of {longest[1]} exceeds the context of {context}",
            hint="Shorten the text, leave the labels out of the prompt, or take a base with a longer context.",
        )


@torch.inference_mode()
def _by_decoder(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    labels: Sequence[Sequence[int]],
    token_budget: int,
    raw_PL: NDArray[np.float64],
) -> None:
    """Fills raw_PL. Slot 0 holds the prompt, and what the next one shares with it stays there."""
    capacity = max(map(len, prompts)) + max(map(len, labels))
    slots = min(max(1, token_budget // capacity), len(labels), MOST_SLOTS)
    decoder.reserve(slots, capacity)
    held_T = np.zeros(0, dtype=np.int64)
    # Neighbours begin alike, and labels of like length waste no padding.
    for place in sorted(range(len(prompts)), key=lambda place: tuple(prompts[place])):
        prompt_T = np.asarray(prompts[place], dtype=np.int64)
        last_1D = decoder.forward((), [Read(0, prompt_T, common_length(held_T, prompt_T))])
        held_T = prompt_T
        first_V = torch.log_softmax(decoder.logits(last_1D), dim=-1)[0]
        for slot in range(1, slots):
            decoder.move(0, slot)
        by_length = sorted(range(len(labels)), key=lambda label: len(labels[label]))
        for start in range(0, len(labels), slots):
            chosen = by_length[start : start + slots]
            rest = _after_first(decoder, [labels[label] for label in chosen])
            raw_PL[place, chosen] = [
                float(first_V[labels[label][0]]) + more for label, more in zip(chosen, rest, strict=True)
            ]


def _after_first(decoder: Decoder, labels: Sequence[Sequence[int]]) -> list[float]:
    """The log-probability of each label's tokens after its first, one label a slot."""
    rows = [label[:-1] for label in labels]
    if not any(rows):
        return [0.0] * len(labels)
    parts_TD = decoder.forward(rows).split([len(row) for row in rows])
    return [_sum(decoder.logits(part_TD), label[1:]) for part_TD, label in zip(parts_TD, labels, strict=True)]


def _sum(logits_TV: Tensor, tokens_T: Sequence[int]) -> float:
    """The log-probability of T tokens, each from its own row of logits."""
    wanted_T1 = torch.as_tensor(tokens_T, dtype=torch.long, device=logits_TV.device)[:, None]
    return float(torch.log_softmax(logits_TV.float(), dim=-1).gather(1, wanted_T1).double().sum())


@torch.inference_mode()
def _by_forward(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    labels: Sequence[Sequence[int]],
    raw_PL: NDArray[np.float64],
) -> None:
    """Fills raw_PL for architectures that `decoder.py` does not write out: one pass over prompt and label for every pair."""
    for place, prompt in enumerate(prompts):
        for number, label in enumerate(labels):
            ids_1T = torch.as_tensor([[*prompt, *label]], device=model.device)
            logits_TV = model(input_ids=ids_1T, use_cache=False).logits[0, len(prompt) - 1 : -1]
            raw_PL[place, number] = _sum(logits_TV, label)
