"""Guesses at what comes next from the form that an answer probably has: behind a value of a JSON object its next key is known.

    outlines = Outlines(tok)
    tokens = outlines.of(JsonForm(schema))     # the answer's tokens, GAP where a value stands
    way = Way(tokens)
    way.append(token)                          # what was written
    way.guess(most=7)                          # what comes next, up to a value; within one nothing

Nobody holds the answer to it: a guess is checked in the next pass like those of `lookup`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from lathe.conformity.outline import outline
from lathe.contracts import Form, JsonForm
from lathe.text.tokenizer import Tokenizer

GAP = -1
"""Stands for the tokens of a value."""
LENGTHS = (3, 2, 1)
"""Tokens by which an answer that left its outline is found there again, longest first; within a value by the longest alone."""
KEPT_OUTLINES = 256


class Outlines:
    """Outlines in the tokens of one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._encoded = lru_cache(KEPT_OUTLINES)(self._encode)

    def of(self, form: Form | None) -> tuple[int, ...]:
        """The outline of answers of a form; empty where it tells nothing."""
        return self._encoded(outline(form.schema)) if isinstance(form, JsonForm) else ()

    def _encode(self, texts: tuple[str, ...]) -> tuple[int, ...]:
        first, *others = (self._tokenizer.encode(text) for text in texts)
        return tuple(first) + tuple(token for ids in others for token in (GAP, *ids))


class Way:
    """How far an answer has come along an outline."""

    def __init__(self, tokens: tuple[int, ...], written: Sequence[int] = ()) -> None:
        self._tokens = tokens
        self._next = 0
        """Where the outline goes on."""
        self._left = False
        """Whether the answer is elsewhere."""
        self._last: tuple[int, ...] = ()
        self._after = _places_after(tokens)
        for token in written:
            self.append(token)

    def append(self, token: int) -> None:
        """Adds the answer's next token."""
        self._last = (*self._last, token)[-LENGTHS[0] :]
        expected, after = (*self._tokens[self._next : self._next + 2], None, None)[:2]
        if not self._left and expected == token:
            self._next += 1
        elif not self._left and (expected, after) == (GAP, token):
            self._next += 2
        else:
            in_value = not self._left and expected == GAP
            found = self._found(LENGTHS[:1] if in_value else LENGTHS)
            self._left = found is None and not in_value
            self._next = self._next if found is None else found

    def _found(self, lengths: Sequence[int]) -> int | None:
        """The first place behind the present one that follows the last tokens, else the last of all."""
        for length in lengths:
            places = self._after.get(self._last[-length:]) if len(self._last) >= length else None
            if places:
                return next((place for place in places if place > self._next), places[-1])
        return None

    def guess(self, most: int) -> list[int]:
        """At most so many tokens up to the next value."""
        if self._left:
            return []
        ahead = self._tokens[self._next : self._next + most]
        return list(ahead[: ahead.index(GAP)] if GAP in ahead else ahead)


@lru_cache(KEPT_OUTLINES)
def _places_after(tokens: tuple[int, ...]) -> dict[tuple[int, ...], list[int]]:
    """Where each run of tokens without a value is continued, in order."""
    found: dict[tuple[int, ...], list[int]] = {}
    for place in range(1, len(tokens)):
        for length in LENGTHS:
            run = tokens[place - length : place]
            if place >= length and GAP not in run:
                found.setdefault(run, []).append(place)
    return found
