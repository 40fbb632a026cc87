"""A small real tokenizer, made once for all text tests: byte-level BPE with ChatML's special tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from lathe.text import tokenizer
from lathe.text.tokenizer import Tokenizer

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<pad>"]
CORPUS = [
    'Extract the total as JSON: {"total": 41.5, "currency": "EUR"}',
    "system user assistant\n\nThe quick brown fox jumps over the lazy dog.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. 日本語 🙂",
] * 20

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture(scope="session")
def backend() -> tokenizers.Tokenizer:
    bpe = tokenizers.Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=420, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False),
    )
    return bpe


@pytest.fixture
def base(tmp_path: Path, backend: tokenizers.Tokenizer) -> Callable[..., Path]:
    """Writes a base folder's tokenizer files; keyword arguments go into tokenizer_config.json."""

    def write(template: str | None = CHATML, name: str = "base", **settings: object) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        backend.save(str(folder / "tokenizer.json"))
        named: dict[str, object] = {"eos_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast"}
        (folder / "tokenizer_config.json").write_text(json.dumps(named | settings))
        if template is not None:
            (folder / "chat_template.jinja").write_text(template)
        return folder

    return write


@pytest.fixture
def tok(base: Callable[..., Path]) -> Tokenizer:
    return tokenizer.load(base())
