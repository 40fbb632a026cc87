"""Answers side by side, each in a slot of a decoder's cache.

    slots = Slots(decoder, 16, 900, stop_ids)
    while slots.free:
        slots.begin(Writing.of(index, prompt))
    slots.write_on()                            # one pass: prompts are read, and every answer grows
    for answer in slots.finished(): ...         # their slots are free again

A prompt takes over the keys and values that it has in common with one still in the cache (an instruction, a schema, examples).
Every answer is the one that its prompt gives alone, also where it is drawn (see chance.py).

Shapes: N tokens of a prompt, R rows of logits that a pass gives, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lathe.engine.chance import Chance
from lathe.engine.decoding.cache import Read
from lathe.engine.decoding.decoder import Decoder
from lathe.engine.reference_decoder import ReferenceDecoder
from lathe.engine.writing import Answer, Writing

READ_AT_ONCE = 512
"""Tokens of several prompts that are read in one pass at most: as many as make products fast."""
WORTH_A_PASS = 64
"""Tokens that a prompt has in common with one which is not read yet, from which on that one is read first."""
MOST_GUESSES = 7
"""Tokens guessed ahead at most."""


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
            entry = self.writing[slot]
            finish = entry.finish(self._stop_ids)
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
