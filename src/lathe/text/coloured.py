"""A row token by token, for a person: what each token says, and whether it carries loss.

coloured(tok, encode(tok, example), "rows.jsonl:17").tokens   ->  (MaskedToken("Hi", supervised=False), ...)
"""

from __future__ import annotations

from collections.abc import Sequence

from lathe.records.check import MaskedRow, MaskedToken
from lathe.text.render import Encoded
from lathe.text.tokenizer import Tokenizer


def coloured(tok: Tokenizer, row: Encoded, place: str) -> MaskedRow:
    """A row token by token: its text, and whether it carries loss."""
    ids = [int(id) for id in row.ids]
    return MaskedRow(
        place=place,
        tokens=tuple(
            MaskedToken(text=text, supervised=bool(supervised), special=id in tok.special_ids)
            for id, text, supervised in zip(ids, pieces(tok, ids), row.supervised, strict=True)
        ),
    )


def pieces(tok: Tokenizer, ids: Sequence[int]) -> list[str]:
    """The text that each token adds; joined they are the decoded text. The last token of a character adds all of it."""
    found: list[str] = []
    before: list[int] = []  # decoders drop a space at the beginning, so a token is decoded behind the one before it
    pending: list[int] = []
    for id in ids:
        pending.append(id)
        text = _decoded(tok, before + pending)[len(_decoded(tok, before)) :]
        if text.endswith("\N{REPLACEMENT CHARACTER}"):
            found.append("")
        else:
            found.append(text)
            before, pending = [id], []
    if pending:
        found[-1] = _decoded(tok, before + pending)[len(_decoded(tok, before)) :]
    return found


def _decoded(tok: Tokenizer, ids: Sequence[int]) -> str:
    return str(tok.backend.decode(list(ids), skip_special_tokens=False))
