"""Answers to many prompts, greedy or drawn, in bounded memory, each given out as soon as it is finished.

    for answer in generate(taken(model), prompts, token_budget=16384, stop_ids=frozenset({2})):
        answer.index, answer.ids, answer.finish

Answers under way share a cache of `token_budget` tokens, cut into as many slots as the longest of those to come leaves room for.
Each new prompt takes over the keys and values that it has in common with a prompt still in the cache (an instruction, a schema,
examples), and a finished answer's place goes to the next prompt at once. What comes next is guessed from the form that the answer
probably has (see outline.py), else from what the text said before (see lookup.py), and checked in the same pass. Every answer is
the one that its prompt gives alone, also where it is drawn (see chance.py). An answer that is held to a form (see grammar.py) is
made of tokens that the form allows, and may go back (see backtracking.py); guesses are held to it too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from lathe.contracts import Form, Request
from lathe.engine.backtracking import REACH, HeldAnswer
from lathe.engine.chance import Chance
from lathe.engine.decoding.cache import Read
from lathe.engine.decoding.decoder import Decoder
from lathe.engine.decoding.weights import Weights, can_decode
from lathe.engine.grammar import Grammars
from lathe.engine.lookup import Lookup
from lathe.engine.outline import Way
from lathe.engine.reference_decoder import ReferenceDecoder
from lathe.errors import InputError, LatheError
from lathe.records import Finish, Prediction
from lathe.text.tokenizer import Tokenizer

SIMILAR = 0.6
"""Share of a slot below which what is to come gets smaller ones: at most 40 % of the cache stays empty."""
MOST_SLOTS = 64
"""More answers at once gain nothing on a CPU and delay the first."""
READ_AT_ONCE = 512
"""Tokens of several prompts that are read in one pass at most: as many as make products fast."""
WORTH_A_PASS = 64
"""Tokens that a prompt has in common with one which is not read yet, from which on that one is read first."""
MOST_GUESSES = 7
"""Tokens guessed ahead at most."""


@dataclass(frozen=True)
class Prompt:
    """Token ids to continue, and by how many at most. form: what the answer is held to; None = it is written freely. outline: what
    it probably looks like (see outline.py); empty = not known."""

    ids: Sequence[int]
    max_new_tokens: int
    form: Form | None = None
    outline: tuple[int, ...] = ()

    @property
    def need(self) -> int:
        """Tokens of cache that the answer can take."""
        return len(self.ids) + self.max_new_tokens


@dataclass(frozen=True)
class Answer:
    """What was written after prompt `index`. ids: without the token that ended it. finish: none = its form could not be followed
    further. seconds: its share of the wall time."""

    index: int
    ids: list[int]
    finish: Finish
    seconds: float


def prediction(answer: Answer, request: Request, tokenizer: Tokenizer) -> Prediction:
    """An answer as what is kept of it."""
    return Prediction(
        id=request.id,
        text=tokenizer.decode(answer.ids),
        finish=answer.finish,
        prompt_tokens=len(request.prompt_ids),
        new_tokens=len(answer.ids),
        seconds=answer.seconds,
    )


@dataclass
class Writing:
    """An answer under way, in one slot."""

    index: int
    limit: int
    prompt: Sequence[int]
    outline: tuple[int, ...]
    held: HeldAnswer | None
    seconds: float = 0.0
    ids: list[int] = field(default_factory=list)
    unread: int = 1
    """How many of the last tokens the model has not read."""
    trust: int = 2
    """Guesses from the text that are worth their place in the next pass."""
    key: int = 0
    """What the noise of an answer that is drawn follows from."""
    lost: bool = False
    """Whether the form could not be followed further."""

    def __post_init__(self) -> None:
        self._look_anew()

    @staticmethod
    def of(index: int, prompt: Prompt, held: HeldAnswer | None = None) -> Writing:
        """An answer to a prompt that is not read yet."""
        return Writing(index, prompt.max_new_tokens, prompt.ids, prompt.outline, held)

    def _look_anew(self) -> None:
        self.lookup = Lookup([*self.prompt, *self.ids])
        self.way = Way(self.outline, self.ids)
        self._from_text = False
        """Whether the last guess was one from the text."""

    @property
    def settled(self) -> Sequence[int]:
        """Its tokens that are not taken back any more."""
        return self.ids if self.held is None else self.ids[:-REACH]

    @property
    def num_read(self) -> int:
        """Tokens of prompt and answer that the model has read."""
        return len(self.prompt) + len(self.ids) - self.unread

    @property
    def room(self) -> int:
        """Tokens that may still be written."""
        return self.limit - len(self.ids)

    def places(self, count: int) -> list[tuple[int, int]]:
        """Where the next tokens stand: the answer's key, and how many come before."""
        return [(self.key, len(self.ids) + ahead) for ahead in range(count)]

    def guess(self, most: int) -> list[int]:
        """Tokens that may come next. From the text twice as many after guesses that were all right, few after wrong ones."""
        most = min(most, self.room - 1)
        guess = self.way.guess(most)
        self._from_text = not guess
        if self._from_text:
            guess = self.lookup.guess(min(most, self.trust))
        return guess if self.held is None else self.held.guess(guess)

    def go_on(self, logits_TV: Tensor, free_T: list[int], guess: Sequence[int], stop_ids: frozenset[int]) -> None:
        """Writes what the model says after the last token, and after each guess as long as they are right.

        logits_TV: after the last token and after each of the guesses; free_T: the likeliest token of each.
        """
        if self.held is None:
            self._write(free_T[: _right(guess, free_T) + 1], len(guess), stop_ids)
            return
        try:
            stay, tokens, self.unread = self.held.go_on(logits_TV, guess)
        except LatheError:
            self.lost = True
            return
        if stay < len(self.ids):
            del self.ids[stay:]
            self._look_anew()
        self._write(tokens, len(guess), stop_ids)

    def _write(self, tokens: Sequence[int], guessed: int, stop_ids: frozenset[int]) -> None:
        """Adds tokens, up to the first that ends the answer: the last one, and before it guesses that were right."""
        if guessed and self._from_text:
            self.trust = 2 * guessed if len(tokens) == guessed + 1 else len(tokens)
        for token in tokens:
            self.ids.append(token)
            self.lookup.append(token)
            self.way.append(token)
            if token in stop_ids:
                break


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


def guesses_of(decoder: Decoder | ReferenceDecoder, most: int = MOST_GUESSES) -> int:
    """Tokens that the decoder can check ahead in one pass, `most` at most: so much room a slot needs beyond its answer."""
    return most if isinstance(decoder, Decoder) else 0


class Slots:
    """The answers under way: one in each of the first slots of a decoder's cache, the others free.

    capacity: tokens of a slot: prompt, answer and guesses. What is asked of `begin` must fit.
    """

    def __init__(
        self,
        decoder: Decoder | ReferenceDecoder,
        count: int,
        capacity: int,
        stop_ids: frozenset[int],
        most_guesses: int = MOST_GUESSES,
        chance: Chance | None = None,
    ) -> None:
        decoder.reserve(count, capacity)
        self.capacity = capacity
        self.writing: list[Writing] = []
        """Answer by slot."""
        self._unread: list[Writing] = []
        """Answers whose prompts are not read yet, in the order in which they were begun."""
        self._decoder = decoder
        self._stop_ids = stop_ids
        self._guesses = guesses_of(decoder, most_guesses)
        self._chance = chance
        self._prompts: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)] * count

    @property
    def begun(self) -> list[Writing]:
        """The answers that have come to no end yet."""
        return [*self.writing, *self._unread]

    @property
    def free(self) -> int:
        """Slots that no answer has or will have."""
        return len(self._prompts) - len(self.begun)

    def lay_out(self, count: int, capacity: int) -> None:
        """Cuts the cache into `count` slots of such a capacity, if that is more of them; answers under way must fit, and go on."""
        if count <= len(self._prompts):
            return
        self._decoder.reserve(count, capacity)
        self.capacity = capacity
        new = [np.zeros(0, dtype=np.int64)] * (count - len(self._prompts))
        self._prompts = [prompt_N[:capacity] for prompt_N in self._prompts] + new

    def begin(self, entry: Writing) -> None:
        """Takes an answer in, of which there is one free slot at least; its prompt is read by one of the next passes."""
        if self._chance is not None:
            entry.key = self._chance.key(entry.prompt)
        self._unread.append(entry)

    def _to_read(self) -> list[Read]:
        """Of the prompts that are not read the first ones, as many as one pass reads, each into the next free slot."""
        reads: list[Read] = []
        for entry in self._unread:
            slot, ids = len(self.writing) + len(reads), np.asarray(entry.prompt, dtype=np.int64)
            beginning = max((common_length(read.ids, ids) for read in reads), default=0)
            source, shared = self._alike(ids)
            unread = sum(read.unread for read in reads) + len(ids) - shared
            if reads and (unread > READ_AT_ONCE or beginning - shared >= WORTH_A_PASS):
                break
            if source != slot and isinstance(self._decoder, Decoder):
                self._decoder.copy_prefix(source, slot, shared)
            self._prompts[slot] = ids[:shared]
            reads.append(Read(slot, ids, shared))
        return reads

    def _alike(self, ids: NDArray[np.int64]) -> tuple[int, int]:
        """The slot whose prompt begins most like another, and how many tokens they share."""
        if not isinstance(self._decoder, Decoder):
            return 0, 0
        source = max(range(len(self._prompts)), key=lambda place: common_length(self._prompts[place], ids))
        return source, common_length(self._prompts[source], ids)

    def finished(self) -> Iterator[Answer]:
        """The answers that have come to their end; their slots are free then."""
        for slot in reversed(range(len(self.writing))):
            entry, finish = self.writing[slot], _finish(self.writing[slot], self._stop_ids)
            if finish is not None:
                yield Answer(entry.index, entry.ids[:-1] if finish == "stop" else entry.ids, finish, entry.seconds)
                self._free(slot)

    def drop(self, index: int) -> None:
        """Breaks off the answer to a prompt, if it is under way."""
        self._unread = [entry for entry in self._unread if entry.index != index]
        for slot, entry in enumerate(self.writing):
            if entry.index == index:
                self._free(slot)
                return

    def _free(self, slot: int) -> None:
        """The last answer moves into the slot, so that those in use stay the first ones."""
        last = len(self.writing) - 1
        if slot != last:
            self._decoder.move(last, slot)
            self._prompts[slot], self.writing[slot] = self._prompts[last], self.writing[last]
        self.writing.pop()

    def write_on(self) -> None:
        """One pass: each answer's last tokens and the guesses after them, and prompts of others. An answer grows by the guesses
        that were right and one token more, or goes back; one whose prompt was read gets its first token."""
        begun = time.perf_counter()
        guesses = [entry.guess(self._guesses) for entry in self.writing]
        rows = [[*entry.ids[-entry.unread :], *guess] for entry, guess in zip(self.writing, guesses, strict=True)]
        reads = self._to_read()
        logits_RV = self._decoder.logits(self._decoder.forward(rows, reads))
        for read in reads:
            self._prompts[read.slot] = read.ids
            self.writing.append(self._unread.pop(0))
        tokens = [*map(len, rows), *(read.unread for read in reads)]
        told = [*map(len, rows), *(1 for _ in reads)]
        if self._chance is not None:
            places = [place for entry, count in zip(self.writing, told, strict=True) for place in entry.places(count)]
            logits_RV = self._chance.moved(logits_RV, places)
        free_R, start = likeliest(logits_RV), 0
        for entry, count, guess in zip(self.writing, told, [*guesses, *([] for _ in reads)], strict=True):
            first, start = start + entry.unread - 1, start + count
            entry.go_on(logits_RV[first:start], free_R[first:start], guess, self._stop_ids)
        self._decoder.keep([entry.num_read for entry in self.writing])
        seconds = time.perf_counter() - begun
        for entry, count in zip(self.writing, tokens, strict=True):
            entry.seconds += seconds * count / sum(tokens)


def _right(guess: Sequence[int], best: Sequence[int]) -> int:
    """Length of the beginning of `guess` that the model would have written."""
    return next((place for place, token in enumerate(guess) if token != best[place]), len(guess))


def likeliest(logits_TV: Tensor) -> list[int]:
    """The first of the likeliest tokens of each row."""
    if logits_TV.device.type != "cpu":
        return logits_TV.argmax(dim=-1).tolist()
    return logits_TV.numpy().argmax(axis=-1).tolist()  # sixteen times as fast as torch's, one thread, 49,152 words


def common_length(first_N: NDArray[np.int64], second_N: NDArray[np.int64]) -> int:
    """Length of the common beginning, at least one token short of the second: its last is read for its hidden state."""
    length = min(len(first_N), len(second_N) - 1)
    differ = np.flatnonzero(first_N[:length] != second_N[:length])
    return int(differ[0]) if len(differ) else length


def _finish(entry: Writing, stop_ids: frozenset[int]) -> Finish | None:
    if entry.lost:
        return "none"
    if entry.ids[-1] in stop_ids:
        return "stop"
    return "length" if len(entry.ids) >= entry.limit else None
