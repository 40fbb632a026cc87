"""A tokenizer, and the forms that answers in its tokens can be held to."""

from __future__ import annotations

from pathlib import Path

import pytest

from lathe.engine.grammar import Grammars
from lathe.text import tokenizer
from lathe.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tok(tiny_base: Path) -> Tokenizer:
    return tokenizer.load(tiny_base)


@pytest.fixture(scope="module")
def grammars(tok: Tokenizer) -> Grammars:
    return Grammars(tok, tok.stop_ids)
