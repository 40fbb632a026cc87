"""A wrong template, a lost end token, a dropped adapter and a double bos show, each in its own check and in no other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gguf_base import LLAMA_LIKE, with_metadata, write_adapter, write_gguf_base
from lathe.contracts import Model
from lathe.engine.fidelity import predictions
from lathe.engine.fidelity.gguf_file import check_gguf_file
from lathe.engine.fidelity.golden import NUM_TEXTS, golden_texts
from lathe.engine.gguf.write import write
from lathe.engine.llama_server import LlamaServer, check_gguf
from lathe.engine.model import load_base, load_merged
from lathe.errors import InputError
from lathe.records import Example
from lathe.text import tokenizer
from tiny_base import CHATML, examples

pytestmark = pytest.mark.usefixtures("one_thread")
pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")

ROWS = examples(12)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A base whose template writes a bos, with an adapter."""
    folder = tmp_path_factory.mktemp("tuned")
    base = write_gguf_base(folder / "base", template=LLAMA_LIKE, adds_bos=True)
    return Model(base, write_adapter(base, folder / "adapter"))


@pytest.fixture(scope="module")
def file(tuned: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "model.gguf"
    write(load_merged(tuned), tokenizer.load(tuned.base_folder), path, "F16", "tiny")
    return path


def failed(model: Model, path: Path, rows: list[Example] = ROWS) -> list[str]:
    return [check.id for check in check_gguf_file(model, path, rows, "F16", threads=1) if check.ok is False]


def test_a_right_file_passes_every_check_with_its_numbers(tuned: Model, file: Path) -> None:
    checks = {check.id: check for check in check_gguf_file(tuned, file, ROWS, "F16", threads=1)}
    assert list(checks) == [
        "token_ids",
        "chat_ids",
        "one_bos",
        "stop_tokens",
        "blocks",
        "memory",
        "next_tokens",
        "adapter_in_file",
    ]
    assert all(check.ok for check in checks.values()), checks
    assert checks["chat_ids"].measured["chats"] == 10 + len(ROWS)
    assert checks["next_tokens"].measured["positions"] > 50
    assert checks["next_tokens"].measured["kl"] < 1e-3 < checks["adapter_in_file"].measured["kl_from_base"]


def test_a_wrong_template_is_caught(tuned: Model, file: Path, tmp_path: Path) -> None:
    planted = with_metadata(file, tmp_path / "planted.gguf", tokenizer__chat_template=CHATML)
    assert failed(tuned, planted) == ["chat_ids"]


def test_a_lost_end_token_is_caught(tuned: Model, file: Path, tmp_path: Path) -> None:
    """The name <|im_end|> alone would make llama.cpp stop; so the token is stored as ordinary text, as converters did."""
    import gguf

    types = [int(kind) for kind in gguf.GGUFReader(file).fields["tokenizer.ggml.token_type"].contents()]
    tokens = list(gguf.GGUFReader(file).fields["tokenizer.ggml.tokens"].contents())
    tokens[2], types[2] = "<|turn_end|>", int(gguf.TokenType.NORMAL)
    changes = {
        "tokenizer__ggml__tokens": tokens,
        "tokenizer__ggml__token_type": types,
        "tokenizer__ggml__eos_token_id": 0,
    }
    planted = with_metadata(file, tmp_path / "planted.gguf", **changes)
    assert "stop_tokens" in failed(tuned, planted)


def test_a_dropped_adapter_is_caught(tuned: Model, tmp_path: Path) -> None:
    path = tmp_path / "base.gguf"
    write(load_base(tuned.base_folder), tokenizer.load(tuned.base_folder), path, "F16", "tiny")
    assert failed(tuned, path) == ["next_tokens", "adapter_in_file"]


def test_a_double_bos_is_caught(tuned: Model, file: Path, tmp_path: Path) -> None:
    planted = with_metadata(
        file, tmp_path / "planted.gguf", tokenizer__chat_template="{{ '<|endoftext|>' }}" + LLAMA_LIKE
    )
    assert failed(tuned, planted) == ["chat_ids", "one_bos"]


def test_without_the_adapter_at_hand_a_file_must_differ_from_its_base(tuned: Model, file: Path, tmp_path: Path) -> None:
    """Both end no answer where they should, being random."""
    base, path = Model(tuned.base_folder), tmp_path / "base.gguf"
    write(load_base(tuned.base_folder), tokenizer.load(tuned.base_folder), path, "F16", "tiny")
    assert failed(base, path) == ["adapter_in_file", "learned_to_stop"]
    assert failed(base, file) == ["learned_to_stop"]


def test_an_adapter_without_effect_can_not_be_found_in_a_file(tuned: Model, tmp_path: Path) -> None:
    path, adapter = tmp_path / "base.gguf", write_adapter(tuned.base_folder, tmp_path / "zero", std=0.0)
    write(load_base(tuned.base_folder), tokenizer.load(tuned.base_folder), path, "F16", "tiny")
    found = check_gguf_file(Model(tuned.base_folder, adapter), path, ROWS, "F16", 1)
    assert [check.id for check in found if check.ok is None] == ["adapter_in_file"]


def test_the_golden_texts_are_three_hundred_different_ones() -> None:
    texts = golden_texts(("<|im_end|>", "<s>"))
    assert len(texts) == NUM_TEXTS == 300
    assert len(set(texts)) > 295
    assert texts == golden_texts(("<|im_end|>", "<s>"))


def test_the_divergence_over_all_tokens_is_the_kl_divergence() -> None:
    first, second = torch.log_softmax(torch.randn(2, 6, generator=torch.Generator().manual_seed(3)), dim=-1)
    expected = float((first.exp() * (first - second)).sum())
    every = dict(enumerate(second.tolist()))
    assert predictions.divergence(first, every) == pytest.approx(expected, rel=1e-5)
    few = {i: every[i] for i in (0, 1)}
    assert 0 <= predictions.divergence(first, few) <= expected + 1e-9


def test_a_file_that_is_none_is_refused_before_llama_cpp_sees_it(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    with pytest.raises(InputError, match="cannot be read"):
        check_gguf(path)
    path.write_bytes(b"PK\x03\x04 no model")
    with pytest.raises(InputError, match="no GGUF file"):
        LlamaServer(path, 128)
    path.write_bytes(b"GGUF" + b"\xff" * 100)
    with pytest.raises(InputError, match=r"llama\.cpp cannot load"):
        LlamaServer(path, 128)


def test_a_file_that_breaks_llama_cpp_becomes_an_error_and_leaves_no_process(file: Path) -> None:
    server = LlamaServer(file, 256, threads=1)
    child = server._child
    child.kill()
    with pytest.raises(InputError, match="ended with code"):
        server.tokenize("a")
    server.close()
    assert child.poll() is not None
    with LlamaServer(file, 256, threads=1) as server:
        assert server.resident_bytes() > 1_000_000
        child = server._child
    assert child.poll() is not None
