"""Tokens that hardly a document holds, taught at the end of pretraining.

BPE makes tokens on the way to longer ones, and keeps them; other texts than a corpus's then hold tokens that no document had. All
that pretraining does to their rows of the embedding is to push them away from what it predicts, all to the same place, so a base
cannot tell them apart, and copies none. So in the end some tokens of documents are swapped for them, everywhere in a document, and
their rows are learned from that, all else of the network staying as it is. The embedding is tied: a row is read and predicted by.

    drawn = Drawn.from_documents(documents, tokenizer, spec, seed)
    teach(network, drawn, spec, seed)
    copied(network.model, network.lm_head.weight, drawn, drawn.rare, seed)    # share of swapped tokens that are the likeliest

Shapes: B documents of a step, T tokens of the longest, D hidden width, V vocabulary, R rare tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaForCausalLM

from lathe.engine.tokenizer_training import PAD, SPECIAL_TOKENS
from lathe.engine.windows import Documents, encoded
from lathe.records.pretrain import RareTokens

_PAD_ID = SPECIAL_TOKENS.index(PAD)
_LONGEST = 600
"""Tokens of a document, at most."""
_ORDINARY = 16
"""A token is ordinary, and may be swapped, where it stands at least so many times as often as a rare one may."""
_SWAPPED = 3
"""Of the ordinary tokens that a document has more than once, one of so many is swapped."""
_SCORED_SHARE = 0.05
"""Positions of smaller weight are not scored."""
_ANSWER = 0.9
"""Weight from which on a position follows from its context."""
_HELD_OUT = 400
"""Documents that are not taught on."""
Weighted = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Ids of a document, and the weight of predicting each."""


@dataclass(frozen=True)
class Drawn:
    """Documents, and which tokens they hold hardly and often."""

    taught_on: Sequence[Weighted]
    held_out: Sequence[Weighted]
    rare: NDArray[np.int64]
    ordinary: NDArray[np.int64]

    @classmethod
    def from_documents(cls, documents: Documents, tokenizer: Tokenizer, spec: RareTokens, seed: int) -> Drawn:
        """Ordinary are words and parts of words alone: what documents are built with keeps its place."""
        stream = documents(seed, 0, spec.longest_characters, spec.drill_share, spec.lookup_share)
        every = [
            (ids.astype(np.int64), weights.astype(np.float32))
            for ids, weights in encoded(stream, tokenizer, spec.tokens)
        ]
        counts = np.bincount(np.concatenate([ids for ids, _ in every]), minlength=tokenizer.get_vocab_size())
        ids = range(len(SPECIAL_TOKENS), len(counts))
        often = [one for one in ids if counts[one] >= _ORDINARY * spec.fewer_than]
        words = [one for one in often if (tokenizer.id_to_token(one) or "").isalpha()]
        fitting = [one for one in every if len(one[0]) <= _LONGEST]
        return cls(
            taught_on=fitting[_HELD_OUT:],
            held_out=fitting[:_HELD_OUT],
            rare=np.array([one for one in ids if counts[one] < spec.fewer_than], dtype=np.int64),
            ordinary=np.array(words, dtype=np.int64),
        )


def teach(network: LlamaForCausalLM, drawn: Drawn, spec: RareTokens, seed: int) -> None:
    """Gives each rare token a row of its own."""
    plain = LlamaForCausalLM(network.config)
    plain.load_state_dict(network.state_dict())
    plain.set_attn_implementation("sdpa")
    plain.requires_grad_(False)
    embedding_VD = plain.get_input_embeddings().weight.detach().clone()
    rare_R, ordinary = torch.from_numpy(drawn.rare), embedding_VD[torch.from_numpy(drawn.ordinary)]
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(rare_R), ordinary.shape[1], generator=generator)
    rows_RD = nn.Parameter(ordinary.mean(0) + ordinary.std(0) * noise)
    optimiser = torch.optim.Adam([rows_RD], lr=spec.learning_rate)
    draw = np.random.default_rng(seed)
    for step in range(spec.steps):
        for group in optimiser.param_groups:
            group["lr"] = spec.learning_rate * (1 - step / spec.steps)
        places = draw.integers(len(drawn.taught_on), size=spec.documents_a_step)
        # Half as they are, for rare tokens are not likelier than they were where nothing calls for them.
        swapped = [
            _swapped(drawn.taught_on[place], drawn, draw) if number % 2 else drawn.taught_on[place]
            for number, place in enumerate(places)
        ]
        loss = _loss(plain, embedding_VD.index_copy(0, rare_R, rows_RD), *_together(swapped))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        network.get_input_embeddings().weight.index_copy_(0, rare_R, rows_RD.detach())


@torch.no_grad()
def copied(body: nn.Module, head_VD: Tensor, drawn: Drawn, swap_for: NDArray[np.int64] | None, seed: int) -> float:
    """How often a token that stands earlier in its document is the likeliest one where it follows from the context, on documents
    that were not taught on. swap_for: what it is swapped for, everywhere in the document; None = it stays."""
    draw, ordinary, right, tried = np.random.default_rng(seed), set(drawn.ordinary.tolist()), 0, 0
    for ids, weights in drawn.held_out:
        answer = np.flatnonzero(weights >= _ANSWER)
        places = [place for place in answer if int(ids[place]) in ordinary and ids[place] in ids[: answer[0]]]
        if not places:
            continue
        place = int(draw.choice(places))
        wanted = int(ids[place] if swap_for is None else draw.choice(swap_for))
        text = torch.from_numpy(np.where(ids == ids[place], wanted, ids)[None, :place])
        hidden = body(input_ids=text, use_cache=False).last_hidden_state[0, -1]
        right += int((head_VD @ hidden.to(head_VD.dtype)).argmax()) == wanted
        tried += 1
    return right / max(1, tried)


def _swapped(document: Weighted, drawn: Drawn, draw: np.random.Generator) -> Weighted:
    """A document in which some ordinary tokens have become rare ones, each another one; scored where it follows from its context
    alone, for nothing else foretells that it has them."""
    ids, weights = document
    found, times = np.unique(ids, return_counts=True)
    kinds = draw.permutation(np.intersect1d(found[times > 1], drawn.ordinary))
    kinds = kinds[: min(-(-len(kinds) // _SWAPPED), len(drawn.rare))]
    becomes = np.arange(int(ids.max()) + 1)
    becomes[kinds] = draw.choice(drawn.rare, len(kinds), replace=False)
    return becomes[ids], np.where(weights >= _ANSWER, weights, 0)


def _together(documents: Sequence[Weighted]) -> tuple[Tensor, Tensor]:
    """Ids and weights of documents, filled up: shape (B, T) each."""
    longest = max(len(ids) for ids, _ in documents)
    ids_BT = torch.full((len(documents), longest), _PAD_ID)
    weights_BT = torch.zeros(len(documents), longest)
    for row, (ids, weights) in enumerate(documents):
        ids_BT[row, : len(ids)], weights_BT[row, : len(ids)] = torch.from_numpy(ids), torch.from_numpy(weights)
    return ids_BT, weights_BT


def _loss(plain: LlamaForCausalLM, embedding_VD: Tensor, ids_BT: Tensor, weights_BT: Tensor) -> Tensor:
    hidden = plain.model(inputs_embeds=functional.embedding(ids_BT, embedding_VD), use_cache=False).last_hidden_state
    scored = weights_BT[:, 1:] >= _SCORED_SHARE
    each = functional.cross_entropy(hidden[:, :-1][scored] @ embedding_VD.T, ids_BT[:, 1:][scored], reduction="none")
    weights = weights_BT[:, 1:][scored]
    return (each * weights).sum() / weights.sum()
