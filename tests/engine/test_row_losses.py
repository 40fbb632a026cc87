"""The loss of each row by itself, whatever rows it is computed with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lathe.contracts import Model
from lathe.engine.model import load_base
from lathe.engine.row_losses import row_losses
from lathe.text.tokenizer import load
from lathe.text.tokens import TokenSet, tokenise
from tiny_base import examples, write_base


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def tokens(base: Path) -> TokenSet:
    return tokenise(load(base), examples(9))


def alone(base: Path, tokens: TokenSet, row: int) -> float:
    """transformers' own loss of one row."""
    found = tokens.row(row)
    ids = torch.from_numpy(found.ids.astype(np.int64))[None]
    labels = torch.where(torch.from_numpy(found.supervised.copy()), ids[0], -100)[None]
    with torch.inference_mode():
        return float(load_base(base)(input_ids=ids, labels=labels).loss)


@pytest.mark.parametrize("budget", [1, 100, 4096])
def test_each_row_has_the_loss_that_transformers_gives_it_alone(base: Path, tokens: TokenSet, budget: int) -> None:
    asked = [8, 0, 3, 5]
    seen: list[int] = []
    found = row_losses(
        Model(base), tokens, asked, token_budget=budget, threads=1, progress=lambda done, total: seen.append(done)
    )
    assert found == pytest.approx([alone(base, tokens, row) for row in asked], rel=1e-5)
    assert seen[-1] == 4


def test_a_row_without_supervised_tokens_has_none(base: Path, tokens: TokenSet) -> None:
    silent = tokens.supervised_T.copy()
    silent[tokens.offsets[2] : tokens.offsets[3]] = False
    muted = TokenSet(tokens.ids_T, silent, tokens.offsets, tokens.example_ids)
    found = row_losses(Model(base), muted, [1, 2, 3], threads=1)
    assert np.isnan(found).tolist() == [False, True, False]
