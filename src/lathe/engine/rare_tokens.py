"""Tokens that hardly a document holds, in the place of ordinary ones.

BPE makes tokens on the way to longer ones, and keeps them; other texts than a corpus's then hold tokens that no document had. All
that pretraining does to their rows of the embedding is to push them away from what it predicts, all to the same place, so a base
cannot tell them apart, and copies none. So in some documents ordinary tokens are swapped for them, everywhere in the document:
what follows from its context teaches them then.

    kinds = TokenKinds.counted(encoded(documents, tokenizer, tokens=750_000), tokenizer)
    swapped(ids, weights, kinds, draw)
    copied(network.model, network.lm_head.weight, documents, kinds, kinds.rare, seed)    # share that is given back

Shapes: V vocabulary, D hidden width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from lathe.engine.tokenizer_training import SPECIAL_TOKENS
from lathe.engine.windows import Tokens
from lathe.records.pretrain import Mix

DOCUMENTS = Mix(longest_characters=1000, lookup_share=0.7, drill_share=0.06)
"""What tokens are counted in, and copied in."""
FEWER_THAN = 3
"""A token is rare that stands fewer times in the documents that are counted."""
_ORDINARY = 16 * FEWER_THAN
"""A token is ordinary, and may be swapped, that stands at least so many times."""
_SWAPPED = 3
"""Of the ordinary tokens that a document has more than once, one of so many is swapped."""
_LEARNED = 0.8
"""Of the spread of ordinary rows. Pushed away, rare ones had 0.44 of it in the bundled base's first part; learned, 1.02 to 1.06."""
_ANSWER = 0.9
"""Weight from which on a position follows from its context."""


@dataclass(frozen=True)
class TokenKinds:
    """Which tokens documents hold hardly, and which often."""

    rare: NDArray[np.int64]
    ordinary: NDArray[np.int64]

    @classmethod
    def counted(cls, documents: Iterable[Tokens], tokenizer: Tokenizer) -> TokenKinds:
        """Ordinary are words and parts of words alone: what documents are built with keeps its place."""
        counts = np.zeros(tokenizer.get_vocab_size(), dtype=np.int64)
        for ids, _ in documents:
            counts += np.bincount(ids, minlength=len(counts))
        known = range(len(SPECIAL_TOKENS), len(counts))
        words = [one for one in known if counts[one] >= _ORDINARY and (tokenizer.id_to_token(one) or "").isalpha()]
        rare = [one for one in known if counts[one] < FEWER_THAN]
        return cls(rare=np.array(rare, dtype=np.int64), ordinary=np.array(words, dtype=np.int64))


def spread_out(embedding_VD: Tensor, kinds: TokenKinds, seed: int) -> Tensor:
    """The embedding with rows of rare tokens that are spread as those of ordinary ones are: rows that training has only pushed away
    lie in one place, and from there one step moves them all alike. Such rows are drawn anew; learned ones stay."""
    ordinary = embedding_VD[torch.from_numpy(kinds.ordinary)]
    rare = embedding_VD[torch.from_numpy(kinds.rare)]
    if rare.std(0).mean() >= _LEARNED * ordinary.std(0).mean():
        return embedding_VD
    noise = torch.randn(len(kinds.rare), ordinary.shape[1], generator=torch.Generator().manual_seed(seed))
    return embedding_VD.index_copy(0, torch.from_numpy(kinds.rare), ordinary.mean(0) + ordinary.std(0) * noise)


def with_swaps(documents: Iterable[Tokens], kinds: TokenKinds, share: float, seed: int) -> Iterator[Tokens]:
    """The documents, a `share` of them with rare tokens in the place of some ordinary ones."""
    draw = np.random.default_rng(seed)
    for document in documents:
        yield swapped(document, kinds, draw) if draw.random() < share else document


def swapped(document: Tokens, kinds: TokenKinds, draw: np.random.Generator) -> Tokens:
    """A document in which some ordinary tokens have become rare ones, each another one; scored where it follows from its context
    alone, for nothing else foretells that it has them."""
    ids, weights = document
    found, times = np.unique(ids, return_counts=True)
    taken = draw.permutation(np.intersect1d(found[times > 1], kinds.ordinary))
    taken = taken[: min(-(-len(taken) // _SWAPPED), len(kinds.rare))]
    becomes = np.arange(int(ids.max()) + 1, dtype=ids.dtype)
    becomes[taken] = draw.choice(kinds.rare, len(taken), replace=False)
    return becomes[ids], np.where(weights >= _ANSWER, weights, 0).astype(weights.dtype)


@torch.no_grad()
def copied(
    body: nn.Module,
    head_VD: Tensor,
    documents: Iterable[Tokens],
    kinds: TokenKinds,
    swap_for: NDArray[np.int64] | None,
    seed: int,
) -> float:
    """How often a token that stands earlier in its document is the likeliest one where it follows from the context.

    swap_for: what it is swapped for, everywhere in the document; None = it stays."""
    draw, ordinary, right, tried = np.random.default_rng(seed), set(kinds.ordinary.tolist()), 0, 0
    for ids, weights in documents:
        answer = np.flatnonzero(weights >= _ANSWER)
        places = [place for place in answer if int(ids[place]) in ordinary and ids[place] in ids[: answer[0]]]
        if not places:
            continue
        place = int(draw.choice(places))
        wanted = int(ids[place] if swap_for is None else draw.choice(swap_for))
        text = torch.from_numpy(np.where(ids == ids[place], wanted, ids)[None, :place].astype(np.int64))
        hidden = body(input_ids=text.to(head_VD.device), use_cache=False).last_hidden_state[0, -1]
        right += int((head_VD @ hidden.to(head_VD.dtype)).argmax()) == wanted
        tried += 1
    return right / max(1, tried)
