"""What a model would really be trained on: the loss mask of every row, proved with the tokenizer and template that training uses.

    proof = MaskProof(tok, max_tokens=2048)
    proof.add(mask_of(encode(tok, example), tok, 2048), "rows.jsonl:17")      # row after row; two numbers of each are kept
    proof.findings()   proof.lengths("nano")

Per row: something is supervised, the end token is, nothing is cut at the sequence length, no second beginning-of-text token. Per
tokenizer: padding is not the end token, the template's special texts are single tokens, no two parts both write the beginning.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass

import numpy as np

from lathe.records import DataFinding, Message
from lathe.records.check import Lengths
from lathe.text.render import Encoded
from lathe.text.template import Chat
from lathe.text.tokenizer import Tokenizer

SHOWN = 10
USUAL_LENGTHS = (512, 1024, 2048)
"""Lengths at which common trainers cut unless told otherwise: 1,024 is TRL's default."""
SPECIAL_LOOK = re.compile(r"<\|[^|<>\s]{1,40}\|>|</?s>|<(?:start|end)_of_turn>|\[/?INST\]|<(?:bos|eos)>")
"""What a template writes that is meant to be one token."""


@dataclass(frozen=True)
class RowMask:
    """What the mask of one row shows. faults: (fault, detail)."""

    length: int
    supervised: int
    faults: tuple[tuple[str, str], ...]


def mask_of(row: Encoded, tok: Tokenizer, max_tokens: int | None = None) -> RowMask:
    """What a row's mask shows. max_tokens: length at which it would be cut; None = the base's context."""
    limit = max_tokens if max_tokens is not None else tok.max_tokens
    found = faults(row, tok.stop_ids, tok.bos_id, limit)
    return RowMask(len(row.ids), int(row.supervised.sum()), tuple(found))


class MaskProof:
    """Collects, over a whole set, what the masks of its rows show."""

    def __init__(self, tok: Tokenizer, max_tokens: int | None = None) -> None:
        self.tok = tok
        self.max_tokens = max_tokens if max_tokens is not None else tok.max_tokens
        self._lengths = array("i")
        self._supervised = array("i")
        self._places: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, mask: RowMask, place: str) -> None:
        """Takes what the next row shows, and where it stands."""
        self._lengths.append(mask.length)
        self._supervised.append(mask.supervised)
        for fault, detail in mask.faults:
            self._counts[fault] = self._counts.get(fault, 0) + 1
            shown = self._places.setdefault(fault, [])
            if len(shown) < SHOWN:
                shown.append(f"{place}: {detail}")

    def lengths(self, name: str) -> Lengths:
        """Tokens of the rows so far. name: how the tokenizer is called."""
        counted = np.frombuffer(self._lengths, np.int32) if self._lengths else np.zeros(1, np.int32)
        return Lengths(
            tokenizer=name,
            rows=len(self._lengths),
            longest=int(counted.max()),
            median=int(np.median(counted)),
            p99=int(np.percentile(counted, 99, method="higher")),
            tokens=int(counted.sum(dtype=np.int64)),
            supervised=sum(self._supervised),
            longer_than={str(limit): int((counted > limit).sum()) for limit in USUAL_LENGTHS},
        )

    def findings(self) -> list[DataFinding]:
        """What must be known before training, for the rows so far and for the tokenizer itself."""
        rows = len(self._lengths)
        found = [
            DataFinding(
                id=fault,
                level=level,
                message=message.format(n=self._counts[fault], rows=rows, limit=self.max_tokens),
                hint=hint.format(longest=max(self._lengths, default=0)),
                examples=tuple(self._places[fault]),
                count=self._counts[fault],
            )
            for fault, (level, message, hint) in FAULTS.items()
            if fault in self._counts
        ]
        return found + tokenizer_findings(self.tok)


FAULTS = {
    "nothing_supervised": (
        "error",
        "{n} of {rows} rows have no token that carries loss",
        "Their answers are empty: take them out.",
    ),
    "answer_cut_by_length": (
        "error",
        "{n} of {rows} answers would be cut at {limit} tokens",
        "The longest row has {longest} tokens: use a base with a longer context, or shorten the rows.",
    ),
    "end_not_trained": (
        "error",
        "{n} of {rows} rows do not end with a supervised end token: a model trained on them does not stop",
        "The template does not end the assistant's turn; use the base's own template.",
    ),
    "double_bos": (
        "error",
        "{n} of {rows} rows begin with two beginning-of-text tokens",
        "Template and tokenizer both write one; remove it from one of them.",
    ),
    "special_text": (
        "warning",
        "{n} of {rows} rows hold text that reads like a special token; it is kept as plain text",
        "Other trainers would read it as the token itself. Was the text rendered with a template before?",
    ),
}  # fmt: skip
"""fault -> level, message, what to do."""


def faults(row: Encoded, stop_ids: frozenset[int], bos_id: int | None, max_tokens: int | None) -> list[tuple[str, str]]:
    """(fault, detail) of one row, whose ids are not cut yet."""
    length, supervised = len(row.ids), int(row.supervised.sum())
    found = []
    # An answer always has its end token; alone it teaches nothing but silence.
    if supervised <= 1:
        found.append(("nothing_supervised", f"{length} tokens, none of an answer"))
    if max_tokens is not None and length > max_tokens:
        kept = int(row.supervised[:max_tokens].sum())
        found.append(("answer_cut_by_length", f"{length} tokens; {kept} of {supervised} of the answer would be left"))
    if not row.supervised[-1:].any() or int(row.ids[-1]) not in stop_ids:
        found.append(("end_not_trained", "the last token is no end token that carries loss"))
    if bos_id is not None and length > 1 and int(row.ids[0]) == int(row.ids[1]) == bos_id:
        found.append(("double_bos", "two at the beginning"))
    if row.num_special_texts:
        found.append(("special_text", f"{row.num_special_texts} places"))
    return found


def tokenizer_findings(tok: Tokenizer) -> list[DataFinding]:
    """What template and tokenizer do to each other, whatever the rows."""
    found = []
    if tok.pad_id in tok.stop_ids:
        found.append(DataFinding(
            id="pad_is_end", level="info",
            message=f"the padding token is an end token ({tok.token(tok.pad_id)}); Lathe masks by position and trains the end",
            hint="A trainer that masks padding by id never trains the end: give it another padding token.",
        ))  # fmt: skip
    if tok.template is None:
        found.append(DataFinding(
            id="no_template", level="info",
            message="the tokenizer has no chat template; turns are written one a line",
            hint="A base without a template has not seen turns; the plainest form is used in training and in use alike.",
        ))  # fmt: skip
        return found
    turns = (Message(role="user", content="a"), Message(role="assistant", content="b"))
    text = tok.template.render([Chat(turns, add_generation_prompt=False)])[0]
    broken = sorted(
        {
            special
            for special in SPECIAL_LOOK.findall(text)
            if len(tok.backend.encode(special, add_special_tokens=False).ids) != 1
        }
    )
    if broken:
        found.append(DataFinding(
            id="template_not_in_vocabulary", level="warning",
            message=f"the template writes {', '.join(broken)}, which this tokenizer does not know as one token",
            hint="Template and tokenizer belong to different models; use the pair of one base.",
        ))  # fmt: skip
    bos = tok.token(tok.bos_id) if tok.bos_id is not None else None
    if bos is not None and tok.adds_bos and text.startswith(bos):
        found.append(DataFinding(
            id="two_write_bos", level="info",
            message=f"template and tokenizer both write {bos}; Lathe writes it once",
            hint="A program that tokenises the rendered text with special tokens added writes it twice.",
        ))  # fmt: skip
    return found
