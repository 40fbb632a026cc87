"""The text of an answer while it is being written, token by token.

    growing = Growing(tok)
    growing.grow([17])          -> "Gr"
    growing.grow([17, 203])     -> ""       half of a character: kept back until it is whole
    growing.grow([17, 203, 9])  -> "ü"
    growing.end([17, 203, 9])   -> ""       what was kept back until the end

All pieces together are the text that decoding everything at once gives. Each call decodes only what came since the last piece and
the tokens of that piece, for a decoder may treat the beginning of a text in its own way.
"""

from __future__ import annotations

from collections.abc import Sequence

from lathe.text.tokenizer import Tokenizer

BROKEN = "\ufffd"
"""What a decoder writes for bytes that are no whole character."""


class Growing:
    """One answer."""

    def __init__(self, tok: Tokenizer) -> None:
        self._tok = tok
        self._start = 0
        """Tokens before this one are not decoded again."""
        self._told = 0
        """Tokens whose text was given out."""

    def grow(self, ids: Sequence[int]) -> str:
        """The text that is new and whole. ids: all tokens so far, end token left out."""
        fresh = self._fresh(ids)
        if not fresh or fresh.endswith(BROKEN):
            return ""
        self._start, self._told = self._told, len(ids)
        return fresh

    def end(self, ids: Sequence[int]) -> str:
        """The rest of the text, whole or not."""
        return self._fresh(ids)

    def _fresh(self, ids: Sequence[int]) -> str:
        before = self._tok.decode(ids[self._start : self._told])
        return self._tok.decode(ids[self._start :])[len(before) :]
