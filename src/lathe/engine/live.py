"""Greedy answers to prompts that come at any time, side by side, each told as it is written.

    live = Live(taken(model), tok, at_once=16, tokens=2048, stop_ids=tok.stop_ids, threads=2)
    stop = live.begin(request, heard, pieces=True)      # from any thread; `heard` is called from the model's own
    stop()                                              # nobody waits for it any more
    live.close()

One thread owns the model. Before each pass it takes in what has come, so a new prompt waits for one pass and for a free slot. The
answers are those that `generate` gives: the same slots, the same arithmetic.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from lathe.contracts import Heard, Piece, Request
from lathe.engine import devices
from lathe.engine.backtracking import HeldAnswer
from lathe.engine.generate import Taken, decoder_of
from lathe.engine.grammar import Grammars
from lathe.engine.outline import Outlines
from lathe.engine.slots import Slots, guesses_of
from lathe.engine.writing import Answer, Prompt, Writing, prediction
from lathe.errors import InputError, LatheError
from lathe.text.growing import Growing
from lathe.text.tokenizer import Tokenizer


@dataclass
class _Order:
    """A request that is not answered yet. growing: None where only the whole answer is wanted."""

    request: Request
    heard: Heard
    growing: Growing | None


@dataclass(frozen=True)
class _Dropped:
    """Nobody waits for this order any more."""

    number: int


class Live:
    """A model at work. tokens: of a prompt and its answer together, at most; threads: of the CPU."""

    def __init__(
        self,
        weights: Taken,
        tokenizer: Tokenizer,
        *,
        at_once: int,
        tokens: int,
        stop_ids: frozenset[int],
        threads: int,
    ) -> None:
        self._decoder = decoder_of(weights)
        self._tokenizer = tokenizer
        self._outlines = Outlines(tokenizer)
        self._at_once = at_once
        self._capacity = tokens + guesses_of(self._decoder)
        self._stop_ids = stop_ids
        self._inbox: queue.SimpleQueue[tuple[int, _Order] | _Dropped | None] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._waiting: dict[int, _Order] = {}
        """Orders that wait for a slot, by number, in the order of coming."""
        self._under_way: dict[int, _Order] = {}
        self._thread = threading.Thread(target=self._work, args=(threads,), name="answers", daemon=True)
        self._thread.start()

    @cached_property
    def grammars(self) -> Grammars:
        """What answers can be held to. Raises as `Grammars`."""
        return Grammars(self._tokenizer, self._stop_ids)

    def begin(self, request: Request, heard: Heard, pieces: bool) -> Callable[[], None]:
        """Takes an order; see `contracts.Service.begin`. Raises InputError where no answer can be held to its form."""
        if request.form is not None and (problem := self.grammars.problem_with(request.form)):
            raise InputError(f"no answer can be held to this form: {problem}")
        number = next(self._numbers)
        self._inbox.put((number, _Order(request, heard, Growing(self._tokenizer) if pieces else None)))
        return lambda: self._inbox.put(_Dropped(number))

    def close(self) -> None:
        """Ends the thread after the pass that it is in; who still waits hears that the model was closed."""
        self._inbox.put(None)
        self._thread.join()

    # The rest runs in the model's thread ----------------------------------------------------

    def _work(self, threads: int) -> None:
        with devices.threads(threads):
            slots = self._slots()
            while self._take_in(slots):
                try:
                    self._pass(slots)
                except Exception as error:  # of one pass: whoever is under way is told, and the next ones are answered
                    self._fail(error)
                    slots = self._slots()
        for order in (*self._under_way.values(), *self._waiting.values()):
            order.heard(LatheError("the model was closed before it had answered"))

    def _slots(self) -> Slots:
        return Slots(self._decoder, self._at_once, self._capacity, self._stop_ids)

    def _take_in(self, slots: Slots) -> bool:
        """Takes in what has come, and waits for it where nothing is to be done; False at the end."""
        while True:
            try:
                come = self._inbox.get(block=not self._waiting and not self._under_way)
            except queue.Empty:
                return True
            if come is None:
                return False
            if isinstance(come, _Dropped):
                self._waiting.pop(come.number, None)
                self._under_way.pop(come.number, None)
                slots.drop(come.number)
            else:
                self._waiting[come[0]] = come[1]

    def _pass(self, slots: Slots) -> None:
        """Fills free slots, writes on, and tells what is finished and what has grown."""
        for number in list(self._waiting)[: slots.free]:
            order = self._under_way[number] = self._waiting.pop(number)
            asked = order.request
            held = HeldAnswer(self.grammars.begin(asked.form)) if asked.form is not None else None
            outline = self._outlines.of(asked.form or asked.likely)
            slots.begin(Writing.of(number, Prompt(asked.prompt_ids, asked.max_new_tokens, outline=outline), held))
        if slots.begun:
            slots.write_on()
        for answer in slots.finished():
            self._tell_end(answer, self._under_way.pop(answer.index))
        for entry in slots.writing:
            _tell_piece(entry, self._under_way[entry.index])

    def _tell_end(self, answer: Answer, order: _Order) -> None:
        if answer.finish == "none":
            order.heard(LatheError("the form of this answer became too large to be followed"))
            return
        rest = order.growing.end(answer.ids) if order.growing is not None else ""
        if rest:
            order.heard(Piece(rest, len(answer.ids)))
        order.heard(prediction(answer, order.request, self._tokenizer))

    def _fail(self, error: Exception) -> None:
        """Tells those whose answers were under way; those that wait for a slot go on waiting."""
        why = "memory ran out" if devices.out_of_memory(error) else f"{type(error).__name__}: {error}"
        for order in self._under_way.values():
            order.heard(LatheError(f"the model broke off this answer: {why}"))
        self._under_way.clear()


def _tell_piece(entry: Writing, order: _Order) -> None:
    text = order.growing.grow(entry.settled) if order.growing is not None else ""
    if text:
        order.heard(Piece(text, len(entry.settled)))
