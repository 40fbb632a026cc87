"""Many encoded rows in flat arrays, as the engine reads them.

    rows = tokenise(tok, examples, max_tokens=2048)
    rows.lengths, rows.row(3).ids
    storage.committed(path) <- rows.to_bytes()          # one safetensors file; TokenSet.load(path) maps it back

10,000 rows of 700 tokens are 35 MB. Tokens: T; rows: N.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from lathe.errors import DataError, InputError
from lathe.records import Example, TrainSpec, digest
from lathe.storage import committed, file_sha256, read_rows
from lathe.text.render import Encoded, encode_ahead
from lathe.text.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class TokenSet:
    """Rows one after the other; row i is offsets[i] .. offsets[i + 1]."""

    ids_T: NDArray[np.int32]
    supervised_T: NDArray[np.bool_]
    """Whether token t is a target."""
    offsets: NDArray[np.int64]
    """Shape: (N + 1,)."""
    example_ids: tuple[str, ...]
    truncated_rows: int = 0
    """Rows that were cut at the longest length allowed."""
    special_texts: int = 0
    """Places where a row's own text reads like a special token; kept as plain text."""
    origin: str = ""
    """Hash of what the set was made from, where it is one that `of_file` keeps."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row. Shape: (N,)."""
        return np.diff(self.offsets)

    @cached_property
    def supervised_lengths(self) -> NDArray[np.int64]:
        """Supervised tokens of each row. Shape: (N,)."""
        sums = np.concatenate([[0], np.cumsum(self.supervised_T, dtype=np.int64)])
        return np.diff(sums[self.offsets])

    def row(self, number: int) -> Encoded:
        """One row, as views into the flat arrays."""
        place = slice(int(self.offsets[number]), int(self.offsets[number + 1]))
        supervised = self.supervised_T[place]
        num_prompt = int(supervised.argmax()) if supervised.any() else len(supervised)
        return Encoded(self.ids_T[place], supervised, num_prompt)

    def to_bytes(self) -> bytes:
        """The set as one safetensors file; equal sets give equal bytes."""
        names = np.frombuffer(json.dumps(self.example_ids).encode(), dtype=np.uint8)
        arrays = {
            "ids": self.ids_T,
            "supervised": self.supervised_T.astype(np.uint8),
            "offsets": self.offsets,
            "example_ids": names,
            "origin": np.frombuffer(self.origin.encode(), dtype=np.uint8),
            # As a tensor: the order of a header's metadata differs from process to process, and equal sets give equal bytes.
            "counts": np.array([self.truncated_rows, self.special_texts], dtype=np.int64),
        }
        return bytes(safetensors.numpy.save(arrays))

    def save(self, path: Path) -> None:
        """Writes the file in place; a run's file goes through storage.committed with `to_bytes` instead."""
        path.write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> TokenSet:
        """Reads what `to_bytes` made. Raises InputError where the file is missing or damaged."""
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                truncated_rows, special_texts = file.get_tensor("counts").tolist()
                return cls(
                    ids_T=file.get_tensor("ids"),
                    supervised_T=file.get_tensor("supervised").astype(np.bool_),
                    offsets=file.get_tensor("offsets"),
                    example_ids=tuple(json.loads(file.get_tensor("example_ids").tobytes())),
                    truncated_rows=truncated_rows,
                    special_texts=special_texts,
                    origin=file.get_tensor("origin").tobytes().decode(),
                )
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise InputError(f"{path} holds no token set that can be read: {error}") from error


def of_file(
    tok: Tokenizer,
    rows: Path,
    kept: Path,
    train: TrainSpec,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TokenSet:
    """The examples of a file as tokens: those in `kept` where they were made from the same rows, tokenizer and limits, else
    encoded anew and written there, the same rows giving the same bytes.

    Raises DataError where the file has no rows, and InputError as `tokenise`.
    """
    origin = digest([tok.content_hash, tok.max_tokens, train.max_tokens, train.truncate, file_sha256(rows)])
    with contextlib.suppress(InputError):
        found = TokenSet.load(kept)
        if found.origin == origin:
            return found
    examples = read_rows(rows, Example)
    if not examples:
        raise DataError("no rows to train on", file=str(rows), hint="Look at data/rejected.jsonl and the split.")
    tokens = replace(tokenise(tok, examples, train.max_tokens, train.truncate, progress), origin=origin)
    with committed(kept) as file:
        file.write(tokens.to_bytes())
    return tokens


def tokenise(
    tok: Tokenizer,
    examples: Sequence[Example],
    max_tokens: int | None = None,
    truncate: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TokenSet:
    """All rows encoded, in order.

    max_tokens: longest row; None = the base's context, which no row may exceed either way. truncate: whether longer rows are
    cut at their end. progress: called with rows done and rows in all. Raises InputError where rows are longer and may not be
    cut, or where a cut leaves nothing to learn from.
    """
    max_tokens = min((limit for limit in (max_tokens, tok.max_tokens) if limit is not None), default=None)
    rows: list[Encoded] = []
    for encoded in encode_ahead(tok, examples):
        rows += encoded
        progress(len(rows), len(examples))
    long = [] if max_tokens is None else [place for place, row in enumerate(rows) if len(row.ids) > max_tokens]
    if long and not truncate:
        longest = max(long, key=lambda place: len(rows[place].ids))
        need = len(rows[longest].ids)
        fits = tok.max_tokens is None or need <= tok.max_tokens
        larger = f"Set train.max_tokens to {need}" if fits else f"Use a base with a context of {need} tokens or more"
        raise InputError(
            f"{len(long)} of {len(rows)} rows are longer than {max_tokens} tokens; "
            f"the longest, {examples[longest].id}, has {need}",
            hint=f"{larger}, or set train.truncate to true: then longer rows are cut and counted.",
        )
    cut = set(long)
    kept = [_cut(row, max_tokens) if place in cut else row for place, row in enumerate(rows)]
    for place in long:
        if not kept[place].supervised.any():
            prompt = rows[place].num_prompt
            fits = tok.max_tokens is None or prompt < tok.max_tokens
            larger = (
                f"Set train.max_tokens above {prompt}" if fits else f"Use a base with a context above {prompt} tokens"
            )
            raise InputError(
                f"cut at {max_tokens} tokens, row {examples[place].id} has nothing left to learn from: "
                f"its prompt alone has {prompt}",
                hint=f"{larger}, or remove the row.",
            )
    return TokenSet(
        ids_T=np.concatenate([row.ids for row in kept]) if kept else np.zeros(0, dtype=np.int32),
        supervised_T=np.concatenate([row.supervised for row in kept]) if kept else np.zeros(0, dtype=np.bool_),
        offsets=np.concatenate([[0], np.cumsum([len(row.ids) for row in kept])]).astype(np.int64),
        example_ids=tuple(example.id for example in examples),
        truncated_rows=len(long),
        special_texts=sum(row.num_special_texts for row in rows),
    )


def _cut(row: Encoded, max_tokens: int | None) -> Encoded:
    return Encoded(row.ids[:max_tokens], row.supervised[:max_tokens], row.num_prompt, row.num_special_texts)
