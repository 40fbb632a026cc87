"""Tokens that hardly a document holds get rows of their own, and nothing else of a base changes."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
import torch

from lathe.corpora.structured_text import document
from lathe.engine.base_folder import new_network
from lathe.engine.rare_tokens import Drawn, _swapped, copied, teach
from lathe.engine.tokenizer_training import SPECIAL_TOKENS, train_tokenizer
from lathe.records.pretrain import NetworkShape, RareTokens

SHAPE = NetworkShape(vocabulary=400, hidden=16, layers=2, heads=2, kv_heads=1, intermediate=16, context=512)
SPEC = RareTokens(tokens=60_000, fewer_than=2, longest_characters=300, steps=10, documents_a_step=4)


def documents(seed: int, start: int, longest: int, drill_share: float, lookup_share: float = 0.0):
    return (document(seed, index, longest=longest, drill_share=drill_share) for index in count(start))


@pytest.fixture(scope="module")
def tokenizer():
    texts = (one.text for one, _ in zip(documents(1, 0, 400, 0.3), range(60), strict=False))
    return train_tokenizer(texts, SHAPE.vocabulary)


@pytest.fixture(scope="module")
def drawn(tokenizer) -> Drawn:
    return Drawn.from_documents(documents, tokenizer, SPEC, 7)


def test_rare_are_those_that_hardly_stand_in_the_documents(drawn: Drawn, tokenizer) -> None:
    every = np.concatenate([ids for ids, _ in (*drawn.taught_on, *drawn.held_out)])
    assert len(drawn.rare) > 50, "most single bytes stand in no text"
    assert min(drawn.rare) >= len(SPECIAL_TOKENS)
    assert max((every == one).sum() for one in drawn.rare) < SPEC.fewer_than
    assert len(drawn.ordinary) > 20
    assert all(tokenizer.id_to_token(int(one)).isalpha() for one in drawn.ordinary)
    assert not set(drawn.rare) & set(drawn.ordinary)


def test_a_token_is_swapped_wherever_its_document_has_it(drawn: Drawn) -> None:
    swapped = 0
    for one in drawn.taught_on[:50]:
        ids, weights = _swapped(one, drawn, np.random.default_rng(0))
        assert ((weights == one[1]) | ((weights == 0) & (one[1] < 0.9))).all()
        became = dict(zip(one[0].tolist(), ids.tolist(), strict=True))
        assert [became[token] for token in one[0].tolist()] == ids.tolist(), "each token became one token"
        changed = {token: new for token, new in became.items() if token != new}
        assert changed.keys() <= set(drawn.ordinary.tolist())
        assert set(changed.values()) <= set(drawn.rare.tolist())
        assert len(set(changed.values())) == len(changed)
        swapped += len(changed)
    assert swapped > 50


def test_only_their_rows_change_and_the_same_seed_gives_the_same_bytes(drawn: Drawn, tokenizer) -> None:
    found = []
    for _ in range(2):
        network = new_network(SHAPE, tokenizer, 0)
        before = {name: values.clone() for name, values in network.state_dict().items()}
        teach(network, drawn, SPEC, 3)
        after = network.state_dict()
        assert network.lm_head.weight is network.get_input_embeddings().weight
        changed = (after["model.embed_tokens.weight"] != before["model.embed_tokens.weight"]).any(dim=1)
        assert set(changed.nonzero().flatten().tolist()) == set(drawn.rare.tolist())
        others = [name for name in before if name not in ("model.embed_tokens.weight", "lm_head.weight")]
        assert all(torch.equal(before[name], after[name]) for name in others)
        found.append(after["model.embed_tokens.weight"])
    assert torch.equal(*found)


def test_what_a_network_gives_back_is_counted(drawn: Drawn, tokenizer) -> None:
    """One that has learned nothing gives back next to nothing."""
    network = new_network(SHAPE, tokenizer, 0)
    for swap_for in (None, drawn.ordinary, drawn.rare):
        assert 0 <= copied(network.model, network.lm_head.weight, drawn, swap_for, 0) < 0.3
