"""Conversations as tokens: every answer that is trained is one encoded row, with the turns before it as its prompt.

tokens_of(tok, [(conversation, "rows.jsonl:17")])   ->  [("rows.jsonl:17", Encoded(ids, supervised, num_prompt))]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from lathe.data.conversations.conversation import Conversation, answer_example, identity_of
from lathe.errors import InputError
from lathe.text.render import Encoded, encode_all
from lathe.text.tokenizer import Tokenizer

Place = TypeVar("Place")
"""What tells a row from others: a text, or its number."""


def encoded(tok: Tokenizer, rows: Sequence[tuple[Conversation, Place]]) -> Iterator[tuple[Place, Encoded]]:
    """(place, tokens) of every answer that is trained: several of a conversation with several; a plain text is one."""
    answers = [
        (place, answer_example(before, answer, identity_of(conversation), conversation))
        for conversation, place in rows
        if len(conversation.turns) > 1
        for before, answer in conversation.answers()
    ]
    yield from zip((place for place, _ in answers), encode_all(tok, [example for _, example in answers]), strict=True)
    for conversation, place in rows:
        if len(conversation.turns) == 1:
            yield place, plain_text(tok, conversation.completion)


def tokens_of(tok: Tokenizer, rows: Sequence[tuple[Conversation, Place]]) -> list[tuple[Place, Encoded | str]]:
    """(place, tokens) of rows, or the reason why a row has none."""
    try:
        return list(encoded(tok, rows))
    except InputError:
        pass  # one row spoils a batch; each by itself tells which
    found: list[tuple[Place, Encoded | str]] = []
    for conversation, place in rows:
        try:
            found += encoded(tok, [(conversation, place)])
        except InputError as error:
            found.append((place, error.message))
    return found


def plain_text(tok: Tokenizer, text: str) -> Encoded:
    """A text without a prompt: every token but the first carries loss, the end token too."""
    ids = np.asarray([*tok.encode(text), tok.eos_id], dtype=np.int32)
    supervised = np.ones(len(ids), dtype=np.bool_)
    supervised[:1] = False
    return Encoded(ids, supervised, 0)
