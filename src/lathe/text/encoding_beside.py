"""Texts encoded here and by a process beside this one: `python -m lathe.text.encoding_beside` (`lathe.worker`).

    with beside(tok, num_rows=10_000) as encoded:
        ids = encoded(["pay by card", "pay by cash"])         # a future: that process has them, or it is done already
        ids.result()

Both encode by words (lathe.text.words), so the ids are the same whoever encodes. The process starts in a fifth of a second and gets
few lists of texts ahead; what it has no time for is encoded here meanwhile. Its memory is some 80 MB.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

import tokenizers

from lathe.processes import usable_cores
from lathe.text.special import OPEN
from lathe.text.words import Ids, Words
from lathe.worker import Worker, serve

if TYPE_CHECKING:
    from lathe.text.tokenizer import Tokenizer

Encode = Callable[[Sequence[str]], "Future[list[Ids]]"]
"""As `Tokenizer.encode_marked_batch`, at once or later."""
FEW = 3000
"""Rows that are encoded sooner than a process starts."""
AHEAD = 2
"""Lists that the process may have and not yet have encoded: one in work, and one so that it need not wait for this process."""


@contextlib.contextmanager
def beside(tok: Tokenizer, num_rows: int) -> Iterator[Encode]:
    """The process lives for the block. Where rows are few, or the tokenizer's texts do not fall into words, all is encoded here."""
    if num_rows <= FEW or usable_cores() == 1 or not tok.has_words:
        yield lambda texts: _done(tok.encode_marked_batch(texts))
        return
    other = _Beside(tok)
    try:
        yield other.encoded
    finally:
        other.close()


class _Beside:
    """The process, and which lists it has."""

    def __init__(self, tok: Tokenizer) -> None:
        self._tok = tok
        hint = "Its last words are above; without any, it most likely wanted memory."
        terms = tok.backend.to_str()
        self._worker = Worker("lathe.text.encoding_beside", terms, name="the process that encoded texts", hint=hint)
        self._handed: deque[Future[list[Ids]]] = deque()

    def encoded(self, texts: Sequence[str]) -> Future[list[Ids]]:
        """Hands texts over, or encodes them here: where the process has enough to do, and what is not plain text."""
        while self._handed and self._handed[0].done():
            self._handed.popleft()
        if len(self._handed) == AHEAD or any(OPEN in text for text in texts):
            return _done(self._tok.encode_marked_batch(texts))
        self._handed.append(self._worker.ask(texts))
        return self._handed[-1]

    def close(self) -> None:
        self._worker.close()


def _done(ids: list[Ids]) -> Future[list[Ids]]:
    found: Future[list[Ids]] = Future()
    found.set_result(ids)
    return found


def prepared(tokenizer_json: str) -> Callable[[Sequence[str]], list[Ids]]:
    """What encodes a list of texts there."""
    words = Words.of(tokenizers.Tokenizer.from_str(tokenizer_json))
    assert words is not None, "the first process found the tokenizer's texts to fall into words"
    return words.encode


if __name__ == "__main__":
    serve(prepared)
