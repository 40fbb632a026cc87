"""Answers to many prompts, greedy or drawn, in bounded memory, each given out as soon as it is finished.

    for answer in generate(taken(model), prompts, token_budget=16384, stop_ids=frozenset({2})):
        answer.index, answer.ids, answer.finish

Answers under way share a cache of `token_budget` tokens, cut into as many slots (see slots.py) as the longest of those to come
leaves room for; a finished answer's place goes to the next prompt at once. How one is written stands in writing.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TypeAlias

from transformers import PreTrainedModel

from lathe.contracts import Form
from lathe.engine.backtracking import HeldAnswer
from lathe.engine.chance import Chance
from lathe.engine.decoding.decoder import Decoder
from lathe.engine.decoding.weights import Weights, can_decode
from lathe.engine.grammar import Grammars
from lathe.engine.reference_decoder import ReferenceDecoder
from lathe.engine.slots import MOST_GUESSES, Slots, guesses_of
from lathe.engine.writing import Answer, Prompt, Writing
from lathe.errors import InputError

SIMILAR = 0.6
"""Share of a slot below which what is to come gets smaller ones: at most 40 % of the cache stays empty."""
MOST_SLOTS = 64
"""More answers at once gain nothing on a CPU and delay the first."""


Taken: TypeAlias = Weights | PreTrainedModel
"""What answers are written with: the weights of an architecture that is written out, or a model as it is."""


def taken(model: PreTrainedModel) -> Taken:
    """Takes the weights out of a model that is loaded to answer, which computes nothing afterwards if its architecture is written
    out."""
    return Weights(model) if can_decode(model) else model


def decoder_of(weights: Taken) -> Decoder | ReferenceDecoder:
    """A decoder without answers."""
    return Decoder(weights) if isinstance(weights, Weights) else ReferenceDecoder(weights)


def generate(
    weights: Taken,
    prompts: Sequence[Prompt],
    *,
    token_budget: int,
    stop_ids: frozenset[int],
    grammars: Grammars | None = None,
    most_guesses: int = MOST_GUESSES,
    chance: Chance | None = None,
) -> Iterator[Answer]:
    """Continuations, in the order in which they finish. grammars: needed where prompts have a form. most_guesses: 0 writes token by
    token. chance: what draws them; None = they are greedy.

    Raises InputError where a prompt is empty, or longer with its answer than the model's context, or cannot be held to its form.
    """
    decoder = decoder_of(weights)
    _check(prompts, decoder.context)
    waiting = list(reversed(in_order(prompts)))
    # The largest need of the last n, by n.
    longest = list(accumulate((prompts[index].need for index in waiting), max, initial=1))
    guesses = guesses_of(decoder, most_guesses)

    def held(form: Form | None) -> HeldAnswer | None:
        if grammars is None or form is None:
            return None
        return HeldAnswer(grammars.begin(form), returns=chance is None)

    slots = Slots(decoder, *_cut(longest[-1] + guesses, len(prompts), token_budget), stop_ids, most_guesses, chance)
    while waiting or slots.begun:
        if waiting:
            need = max([longest[len(waiting)], *(prompts[entry.index].need for entry in slots.begun)]) + guesses
            if need <= SIMILAR * slots.capacity:
                slots.lay_out(*_cut(need, len(waiting) + len(slots.begun), token_budget))
        for index in [waiting.pop() for _ in range(min(slots.free, len(waiting)))]:
            slots.begin(Writing.of(index, prompts[index], held(prompts[index].form)))
        slots.write_on()
        yield from slots.finished()


def _check(prompts: Sequence[Prompt], context: int | None) -> None:
    for prompt in prompts:
        if not prompt.ids:
            raise InputError("a prompt without tokens cannot be continued")
        if context is not None and prompt.need > context:
            raise InputError(
                f"a prompt of {len(prompt.ids)} tokens with up to {prompt.max_new_tokens} new ones "
                f"exceeds the context of {context}",
                hint="Lower evaluate.max_new_tokens, use fewer examples in the prompt, or a base with a longer context.",
            )


def in_order(prompts: Sequence[Prompt]) -> list[int]:
    """Indices of prompts in the order in which they are begun: those that need most first, and among those of like need in the
    order of their ids, so that neighbours begin alike."""
    by_need = sorted(range(len(prompts)), key=lambda index: (-prompts[index].need, index))
    alike: list[list[int]] = []
    for index in by_need:
        if alike and prompts[index].need >= SIMILAR * prompts[alike[-1][0]].need:
            alike[-1].append(index)
        else:
            alike.append([index])
    return [index for group in alike for index in sorted(group, key=lambda index: (tuple(prompts[index].ids), index))]


def _cut(capacity: int, num_answers: int, token_budget: int) -> tuple[int, int]:
    """How many slots of a capacity the cache is cut into, and the capacity."""
    return min(max(1, token_budget // capacity), num_answers, MOST_SLOTS), capacity
