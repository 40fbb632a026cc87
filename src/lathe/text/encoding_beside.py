"""Texts encoded here and by a process beside this one (`lathe.worker`).

    with encoders(tok, num_rows=10_000) as beside:
        for ids, mark in beside.hand(["pay by card", "pay by cash"], mark): ...       (`lathe.workers`)
        for ids, mark in beside.rest(): ...

Both encode by words (lathe.text.words), so the ids are the same whoever encodes. The memory of the process is some 80 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import tokenizers

from lathe.processes import usable_cores
from lathe.text.special import OPEN
from lathe.text.words import Ids, Words
from lathe.workers import Workers

if TYPE_CHECKING:
    from lathe.text.tokenizer import Tokenizer

Mark = TypeVar("Mark")
FEW = 3000
"""Rows that are encoded sooner than a process starts."""
MOST = 2
"""Processes, this one among them: more would wait for the texts, which the template renders."""


def encoders(tok: Tokenizer, num_rows: int) -> Workers[Sequence[str], list[Ids], Mark]:
    """Who encodes, as `Tokenizer.encode_marked_batch` does; this process alone where rows are few, or the tokenizer's texts do not
    fall into words."""
    many = num_rows > FEW and tok.has_words
    return Workers(
        "lathe.text.encoding_beside",
        tok.backend.to_str() if many else None,
        tok.encode_marked_batch,
        few=0,
        processes=min(MOST, usable_cores()) if many else 1,
        name="the process that encoded texts",
        hint="Its last words are above; without any, it most likely wanted memory.",
    )


def is_plain(texts: Sequence[str]) -> bool:
    """Whether words are all that there is to encode: names of special tokens only the tokenizer itself knows."""
    return not any(OPEN in text for text in texts)


def prepared(tokenizer_json: str) -> Callable[[Sequence[str]], list[Ids]]:
    """What encodes a list of texts there."""
    words = Words.of(tokenizers.Tokenizer.from_str(tokenizer_json))
    assert words is not None, "the first process found the tokenizer's texts to fall into words"
    return words.encode
