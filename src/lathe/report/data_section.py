"""Rows in the report as the model was trained on them: token by token, with what carried loss.

story.masked = trained_rows(run, locked)            read from the very tokens that the trainer read
[token_view(row) for row in shown(story.masked)]    for the page
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lathe.errors import InputError
from lathe.records import LockedRecipe
from lathe.records.check import MaskedRow, MaskedToken
from lathe.runs import RunFolder
from lathe.safe_text import redact
from lathe.text.coloured import coloured
from lathe.text.tokenizer import load
from lathe.text.tokens import TokenSet

ROWS = 5
FIRST, LAST = 150, 450
"""Tokens shown of the beginning and of the end of a longer row; the answer stands at the end."""


@dataclass(frozen=True)
class TokenView:
    """One row, ready to be shown. left_out: tokens between `first` and `last`."""

    place: str
    num_tokens: int
    num_supervised: int
    first: tuple[MaskedToken, ...]
    last: tuple[MaskedToken, ...]
    left_out: int


def trained_rows(run: RunFolder, locked: LockedRecipe) -> tuple[MaskedRow, ...]:
    """A few training rows from the shortest to the longest; none where tokens or base are not there any more."""
    with contextlib.suppress(InputError):
        if run.tokens.is_file():
            tok, tokens = load(Path(locked.base_folder)), TokenSet.load(run.tokens)
            return tuple(coloured(tok, tokens.row(row), tokens.example_ids[row]) for row in spread(tokens.lengths))
    return ()


def spread(lengths: Sequence[int] | np.ndarray) -> list[int]:
    """Numbers of ROWS rows spread evenly over the lengths, the shortest and the longest among them."""
    by_length = np.argsort(np.asarray(lengths), kind="stable")
    places = np.linspace(0, len(by_length) - 1, min(ROWS, len(by_length))).round().astype(int)
    return [int(row) for row in by_length[places]]


def shown(rows: Sequence[MaskedRow], secrets: Collection[str]) -> list[TokenView]:
    """The rows that may be shown. A secret is cut into tokens, where nothing would find it: a row that holds one is left out."""
    texts = ("".join(token.text for token in row.tokens) for row in rows)
    return [token_view(row) for row, text in zip(rows, texts) if redact(text, secrets) == text]


def token_view(row: MaskedRow) -> TokenView:
    """A row without the middle of its prompt where it is long."""
    count = len(row.tokens)
    whole = count <= FIRST + LAST
    return TokenView(
        place=row.place,
        num_tokens=count,
        num_supervised=sum(token.supervised for token in row.tokens),
        first=row.tokens if whole else row.tokens[:FIRST],
        last=() if whole else row.tokens[-LAST:],
        left_out=0 if whole else count - FIRST - LAST,
    )
