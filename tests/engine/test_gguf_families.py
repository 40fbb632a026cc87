"""A file of every family says through llama.cpp what the model says through transformers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoConfig

from gguf_base import LLAMA_LIKE, QWEN_LIKE, SHAPES, write_gguf_base, write_sentencepiece
from lathe.engine.fidelity import predictions, texts
from lathe.engine.fidelity.gguf_file import check_vocabulary
from lathe.engine.gguf import families
from lathe.engine.gguf.read import format_of
from lathe.engine.gguf.write import write
from lathe.engine.llama_server import LlamaServer
from lathe.engine.model import load_base
from lathe.errors import InputError
from lathe.plan import findings
from lathe.plan.architecture import DEFAULTS, shapes
from lathe.records import Message
from lathe.text import render, tokenizer
from tiny_base import CHATML

pytestmark = pytest.mark.usefixtures("one_thread")
pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")

COMES_WITH = {
    "llama": ("llama3", LLAMA_LIKE, True),
    "qwen2": ("qwen2", QWEN_LIKE, False),
    "qwen3": ("qwen2", QWEN_LIKE, False),
    "gemma3_text": ("gpt-2", CHATML, False),
    "smollm3": ("llama3", CHATML, False),
    "phi3": ("smollm", None, False),
}
"""Cut, template and whether a bos is added, by family; together every cut and every kind of template once."""


def test_every_family_is_tried() -> None:
    assert COMES_WITH.keys() | {"mistral"} == families.FAMILIES.keys()


@pytest.mark.parametrize("kind", ["gguf_q8_0", "gguf_q4_k_m", "ollama"])
@pytest.mark.parametrize("architecture", DEFAULTS)
def test_the_plan_says_which_families_cannot_be_written_in_the_words_of_the_exporter(
    architecture: str, kind: str
) -> None:
    config = AutoConfig.for_model(architecture)
    told = [one for one in findings.does_not_ship((kind, "merged"), shapes(config.to_dict())) if "family" in one.id]
    if architecture in families.FAMILIES:
        assert told == []
        return
    with pytest.raises(InputError, match="cannot be written as GGUF") as refused:
        families.of(config)
    assert [one.message for one in told] == [f"ship names {kind}: {refused.value.message}"]
    assert f"S{told[0].fix[1:]}." == refused.value.hint


@pytest.mark.parametrize("family", SHAPES)
def test_a_file_says_what_the_model_says(family: str, tmp_path: Path) -> None:
    cut, template, adds_bos = COMES_WITH[family]
    base = write_gguf_base(tmp_path / "base", family, cut, template=template, adds_bos=adds_bos)
    model, tok = load_base(base), tokenizer.load(base)
    write(model, tok, tmp_path / "model.gguf", "F16", "tiny")
    ids = render.prompts(tok, [(Message(role="user", content="order 12 total Größe naïve " * 3),)])[0]
    answer = [predictions.Place(ids[:end], ids[end], last=False) for end in range(10, len(ids) - 1, 2)]
    with LlamaServer(tmp_path / "model.gguf", 512, threads=1) as server:
        checks = texts.check_texts(tok, server)
        files = [server.next_token(place.before, 40) for place in answer]
    assert [check.id for check in checks] == ["token_ids", "chat_ids", "one_bos", "stop_tokens"]
    assert all(check.ok for check in checks), checks
    assert checks[0].measured["equal"] == checks[0].measured["texts"] == 300
    ours = predictions.log_probabilities(model, answer)
    same = [int(one.argmax()) == next(iter(file)) for one, file in zip(ours, files, strict=True)]
    assert sum(same) >= len(same) - 1  # random weights have near-ties, which half precision may turn over
    assert max(predictions.divergence(one, file) for one, file in zip(ours, files, strict=True)) < 1e-4


@pytest.mark.parametrize("space_in_front", [True, False])
def test_a_sentencepiece_tokenizer_gives_the_same_ids(space_in_front: bool, tmp_path: Path) -> None:
    base = write_gguf_base(tmp_path / "base")
    write_sentencepiece(base, space_in_front)
    tok = tokenizer.load(base)
    write(load_base(base), tok, tmp_path / "model.gguf", "F16", "tiny")
    with LlamaServer(tmp_path / "model.gguf", 512, threads=1) as server:
        checks = texts.check_texts(tok, server)
    assert all(check.ok for check in checks), checks


PHI_3 = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)


@pytest.mark.parametrize(("name", "swallows"), [("0a1b2c", True), ("my-phi3", True), ("my-phi3", False)])
def test_a_file_reads_blanks_behind_special_tokens_as_its_tokenizer_does_whatever_it_is_called(
    name: str, swallows: bool, tmp_path: Path
) -> None:
    """Those of Phi-3 swallow them, and llama.cpp knows that by the name of a file alone."""
    base = write_gguf_base(tmp_path / "base", "phi3")
    write_sentencepiece(base, space_in_front=True)
    described = json.loads((base / "tokenizer.json").read_text())
    flags = {"special": True, **dict.fromkeys(("single_word", "lstrip", "normalized"), False)}
    ends = ("</s>", "<|user|>", "<|system|>", "<|assistant|>", "<|end|>")
    for id, token in enumerate(("<s>", *ends), start=len(described["model"]["vocab"])):
        described["added_tokens"].append({"id": id, "content": token, "rstrip": swallows and token in ends, **flags})
    (base / "tokenizer.json").write_text(json.dumps(described))
    (base / "chat_template.jinja").write_text(PHI_3)
    tok = tokenizer.load(base)
    write(load_base(base), tok, tmp_path / "model.gguf", "F16", name)
    with LlamaServer(tmp_path / "model.gguf", 512, threads=1) as server:
        checks = {check.id: check for check in texts.check_texts(tok, server)}
    assert checks["chat_ids"].ok, checks


def test_a_special_token_without_an_embedding_is_left_out(tmp_path: Path) -> None:
    """Gemma 3's tokenizer has one for images, which its text models lack."""
    base = write_gguf_base(tmp_path / "base")
    described = json.loads((base / "tokenizer.json").read_text())
    flags = {"special": True, **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)}
    size = len(described["model"]["vocab"])
    described["added_tokens"] += [{"id": id, "content": f"<pad {id}>", **flags} for id in range(size, 416)] + [
        {"id": 416, "content": "<image_soft_token>", **flags}
    ]
    (base / "tokenizer.json").write_text(json.dumps(described))
    tok = tokenizer.load(base)
    assert tok.vocab_size == 417
    write(load_base(base), tok, tmp_path / "model.gguf", "F16", "tiny")
    assert check_vocabulary(tmp_path / "model.gguf", tok) == []
    with LlamaServer(tmp_path / "model.gguf", 512, threads=1) as server:
        checks = texts.check_texts(tok, server)
    assert all(check.ok for check in checks), checks


@pytest.mark.parametrize("format", ["F16", "BF16", "Q8_0", "Q5_1", "Q4_0"])
def test_a_smaller_format_strays_further_and_says_which_it_is(format: str, tmp_path: Path) -> None:
    base = write_gguf_base(tmp_path / "base")
    model, tok, path = load_base(base), tokenizer.load(base), tmp_path / "model.gguf"
    write(model, tok, path, format, "tiny")
    assert format_of(path) == format
    ids = render.prompts(tok, [(Message(role="user", content="order 12 total Größe naïve " * 3),)])[0]
    answer = [predictions.Place(ids[:end], ids[end], last=False) for end in range(10, len(ids) - 1, 4)]
    with LlamaServer(path, 512, threads=1) as server:
        files = [server.next_token(place.before, 40) for place in answer]
    ours = predictions.log_probabilities(model, answer)
    kl = sum(predictions.divergence(one, file) for one, file in zip(ours, files, strict=True)) / len(files)
    most = {"F16": 1e-4, "BF16": 1e-2, "Q8_0": 1e-2, "Q5_1": 0.2, "Q4_0": 1.0}
    assert kl < most[format]
    assert kl > {"Q5_1": most["F16"], "Q4_0": most["F16"]}.get(format, -1e-6)


def test_a_family_that_llama_cpp_lacks_is_named() -> None:
    with pytest.raises(InputError, match="type gpt2 cannot be written as GGUF"):
        families.of(AutoConfig.for_model("gpt2"))


@pytest.mark.parametrize(
    ("family", "settings", "reason"),
    [
        ("qwen2", {"use_sliding_window": True, "sliding_window": 64}, "sliding window"),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "type dynamic"),
        ("smollm3", {"no_rope_layers": [1, 1, 1, 1]}, "4th layer"),
        ("gemma3_text", {"layer_types": ["full_attention"] * 6}, "6th layer"),
        ("gemma3_text", {"query_pre_attn_scalar": 7}, "query_pre_attn_scalar"),
    ],
)
def test_an_option_that_its_graph_lacks_is_named(family: str, settings: dict[str, object], reason: str) -> None:
    small = {"num_hidden_layers": SHAPES[family].get("num_hidden_layers", 2), "head_dim": 16}
    with pytest.raises(InputError, match=reason):
        families.of(AutoConfig.for_model(family, **{**SHAPES[family], **small, **settings}))


def test_the_scaling_of_llama_3_1_is_that_of_transformers() -> None:
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    rope = {
        "rope_type": "llama3", "rope_theta": 5e5, "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }  # fmt: skip
    config = AutoConfig.for_model("llama", head_dim=64, rope_parameters=rope, max_position_embeddings=131072)
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, device="cpu")
    plain = 1 / rope["rope_theta"] ** (np.arange(0, 64, 2) / 64)
    assert np.allclose(plain / families.llama3_factors(config), scaled.numpy(), rtol=1e-5)


def test_no_tokenizer_is_written_with_a_cut_that_llama_cpp_does_not_know(tmp_path: Path) -> None:
    base = write_gguf_base(tmp_path / "base")
    described = (base / "tokenizer.json").read_text().replace('"individual_digits":true', '"individual_digits":false')
    (base / "tokenizer.json").write_text(described.replace('"individual_digits": true', '"individual_digits": false'))
    with pytest.raises(InputError, match="no tokenizer with the cut Digits"):
        write(load_base(base), tokenizer.load(base), tmp_path / "model.gguf", "F16", "tiny")
