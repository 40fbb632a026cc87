"""Tokens that hardly a document holds, in the place of ordinary ones."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from lathe.corpora.structured_text import CORPUS
from lathe.engine.base_folder import new_network
from lathe.engine.rare_tokens import FEWER_THAN, TokenKinds, copied, spread_out, swapped, with_swaps
from lathe.engine.tokenizer_training import SPECIAL_TOKENS, train_tokenizer
from lathe.engine.windows import Tokens, encoded
from lathe.records.pretrain import Mix, NetworkShape

SHAPE = NetworkShape(vocabulary=400, hidden=16, layers=2, heads=2, kv_heads=1, intermediate=16, context=512)
MIX = Mix(longest_characters=300)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer((one.text for one in islice(CORPUS.documents(1, 0, MIX), 60)), SHAPE.vocabulary)


@pytest.fixture(scope="module")
def documents(tokenizer) -> list[Tokens]:
    return list(encoded(CORPUS.documents(7, 0, MIX), tokenizer, 60_000))


@pytest.fixture(scope="module")
def kinds(documents: list[Tokens], tokenizer) -> TokenKinds:
    return TokenKinds.counted(documents, tokenizer)


def test_rare_are_those_that_hardly_stand_in_the_documents(kinds: TokenKinds, documents, tokenizer) -> None:
    every = np.concatenate([ids for ids, _ in documents])
    assert len(kinds.rare) > 50, "most single bytes stand in no text"
    assert min(kinds.rare) >= len(SPECIAL_TOKENS)
    assert max((every == one).sum() for one in kinds.rare) < FEWER_THAN
    assert len(kinds.ordinary) > 20
    assert all(tokenizer.id_to_token(int(one)).isalpha() for one in kinds.ordinary)
    assert not set(kinds.rare) & set(kinds.ordinary)


def test_a_token_is_swapped_wherever_its_document_has_it(kinds: TokenKinds, documents: list[Tokens]) -> None:
    changes = 0
    for one in documents[:50]:
        ids, weights = swapped(one, kinds, np.random.default_rng(0))
        assert (ids.dtype, weights.dtype) == (one[0].dtype, one[1].dtype)
        assert ((weights == one[1]) | ((weights == 0) & (one[1] < 0.9))).all()
        became = dict(zip(one[0].tolist(), ids.tolist(), strict=True))
        assert [became[token] for token in one[0].tolist()] == ids.tolist(), "each token became one token"
        changed = {token: new for token, new in became.items() if token != new}
        assert changed.keys() <= set(kinds.ordinary.tolist())
        assert set(changed.values()) <= set(kinds.rare.tolist())
        assert len(set(changed.values())) == len(changed)
        changes += len(changed)
    assert changes > 50


def test_a_share_of_the_documents_is_swapped_the_same_ones_each_time(kinds: TokenKinds, documents) -> None:
    first, again = (list(with_swaps(documents, kinds, 0.3, 5)) for _ in range(2))
    assert all((a[0] == b[0]).all() for a, b in zip(first, again, strict=True))
    changed = [not np.array_equal(a[0], b[0]) for a, b in zip(first, documents, strict=True)]
    assert 0.15 < np.mean(changed) < 0.35
    assert all(a is b for a, b in zip(with_swaps(documents, kinds, 0.0, 5), documents, strict=True))


def test_what_a_network_gives_back_is_counted(kinds: TokenKinds, documents, tokenizer) -> None:
    """One that has learned nothing gives back next to nothing."""
    network = new_network(SHAPE, tokenizer, 0)
    for swap_for in (None, kinds.ordinary, kinds.rare):
        assert 0 <= copied(network.model, network.lm_head.weight, documents[:200], kinds, swap_for, 0) < 0.3


def test_rows_of_rare_tokens_are_spread_where_they_lie_in_one_place_and_stay_where_they_were_learned(
    kinds: TokenKinds, tokenizer
) -> None:
    learned = torch.randn(tokenizer.get_vocab_size(), 16, generator=torch.Generator().manual_seed(0))
    assert spread_out(learned, kinds, seed=1) is learned
    pushed = learned.clone()
    pushed[kinds.rare] = learned[kinds.rare] * 0.01 + 3
    found = spread_out(pushed, kinds, seed=1)
    moved = (found != pushed).any(dim=1).nonzero().flatten()
    assert moved.tolist() == kinds.rare.tolist()
    assert found[kinds.rare].std(0).mean() == pytest.approx(float(learned.std(0).mean()), rel=0.2)
    assert torch.equal(found, spread_out(pushed, kinds, seed=1))
