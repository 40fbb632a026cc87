"""Pretraining data: documents become windows of one length, whole documents packed, a loss weight on every position.

    chunk = make_chunk(encoded(documents, tokenizer, tokens=524_288), window=512, pad=3, seed=0)
    chunk.ids_WT, chunk.weights_WT          # uint16, float16; weights_WT[w, t] is the weight of predicting ids_WT[w,
    t]

Documents are placed best-fit, longest first, so windows of short documents are about 99 % full (documents longer than half a
window leave the rest of it empty), and no document is ever cut: an answer
without its context would teach guessing. A window's documents are not masked from one another; the separator between
them is enough for short ones.

Shapes: W windows, T positions of a window.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lathe.records.pretrain import Mix

_BATCH = 512


class WeightedText(Protocol):
    """What a pretraining corpus yields."""

    @property
    def text(self) -> str:
        """The document."""

    @property
    def weights(self) -> Sequence[tuple[int, int, float]]:
        """Stretches that cover it: first character, character after the last, loss weight."""


Documents = Callable[[int, int, Mix], Iterator[WeightedText]]
"""(seed, first index, which documents) -> documents without end."""
Tokens = tuple[NDArray[np.uint16], NDArray[np.float16]]
"""Ids of a document, and the weight of predicting each."""


@dataclass(frozen=True)
class Chunk:
    """Windows made from one stretch of the corpus."""

    ids_WT: NDArray[np.uint16]
    weights_WT: NDArray[np.float16]
    num_documents: int
    """Documents in the windows."""
    num_left_out: int
    """Documents longer than a window."""


def token_weights(offsets: Sequence[tuple[int, int]], weights: Sequence[tuple[int, int, float]]) -> NDArray[np.float16]:
    """The weight of each token: that of the stretch which holds its last character."""
    ends = [end for _, end, _ in weights]
    return np.array(
        [weights[min(bisect_left(ends, max(1, end)), len(weights) - 1)][2] for _, end in offsets], dtype=np.float16
    )


def encoded(documents: Iterator[WeightedText], tokenizer: Tokenizer, tokens: int) -> Iterator[Tokens]:
    """Token ids and weights of documents, until about `tokens` tokens have been given out."""
    given = 0
    while given < tokens:
        batch = [document for document, _ in zip(documents, range(_BATCH), strict=False)]
        if not batch:
            return
        for document, encoding in zip(
            batch, tokenizer.encode_batch([d.text for d in batch], add_special_tokens=False), strict=True
        ):
            given += len(encoding.ids)
            yield np.array(encoding.ids, dtype=np.uint16), token_weights(encoding.offsets, document.weights)


def best_fit(lengths: Sequence[int], window: int) -> list[list[int]]:
    """Indices of `lengths` (each at most `window`) by window: longest first, each into the fullest window that still
    has room."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    rooms: list[tuple[int, int]] = []
    windows: list[list[int]] = []
    for index in order:
        at = bisect_left(rooms, (lengths[index], -1))
        if at < len(rooms):
            room, number = rooms.pop(at)
            windows[number].append(index)
        else:
            room, number = window, len(windows)
            windows.append([index])
        insort(rooms, (room - lengths[index], number))
    return windows


def make_chunk(documents: Iterator[Tokens], *, window: int, pad: int, seed: int) -> Chunk:
    """Windows of documents, in an order drawn from `seed`; free positions hold `pad` with weight 0."""
    pairs = list(documents)
    fitting = [pair for pair in pairs if len(pair[0]) <= window]
    plan = best_fit([len(ids) for ids, _ in fitting], window)
    rng = np.random.default_rng(seed)
    ids_WT = np.full((len(plan), window), pad, dtype=np.uint16)
    weights_WT = np.zeros((len(plan), window), dtype=np.float16)
    for row, members in zip(rng.permutation(len(plan)), plan, strict=True):
        at = 0
        for member in rng.permutation(members):
            ids, weights = fitting[member]
            ids_WT[row, at : at + len(ids)], weights_WT[row, at : at + len(ids)] = ids, weights
            at += len(ids)
    return Chunk(ids_WT, weights_WT, len(fitting), len(pairs) - len(fitting))


def stretched_positions(num_windows: int, window: int, context: int, share: float, seed: int) -> NDArray[np.int64]:
    """Position numbers of each window: 0, 1, 2 ..., and in a `share` of windows with one to three jumps ahead,
    staying below `context`.

    The jumps let a short window show distances up to the context. Source: Zhu et al. 2023 (PoSE), with random cuts.
    """
    rng = np.random.default_rng(seed)
    positions = np.tile(np.arange(window), (num_windows, 1))
    for row in np.flatnonzero(rng.random(num_windows) < share):
        cuts = np.sort(rng.integers(1, window, rng.integers(1, 4)))
        gaps = rng.dirichlet(np.ones(len(cuts) + 1))[:-1] * (context - window)
        for cut, gap in zip(cuts, gaps, strict=True):
            positions[row, cut:] += int(gap)
    return positions


def thinned(weights_WT: NDArray[np.float16], seed: int, below: float = 0.3, kept: float = 0.5) -> NDArray[np.float32]:
    """The weights with a random half of the small ones set to 0 and the other half doubled: the same loss on
    average, fewer rows to score."""
    weights = weights_WT.astype(np.float32)
    small = weights < below
    keep = np.random.default_rng(seed).random(weights.shape) < kept
    return np.where(small, np.where(keep, weights / kept, 0), weights).astype(np.float32)
