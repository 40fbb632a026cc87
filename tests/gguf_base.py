"""Tiny bases of every family that can be written as GGUF, with tokenizers of the kinds that they come with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM

from lathe.engine.gguf.vocabulary import _LLAMA3, _QWEN
from tiny_base import CHATML, SPECIAL

VOCABULARY = 400
QWEN_LIKE = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}{% endif %}"
    + CHATML
)
LLAMA_LIKE = (
    "{{ '<|endoftext|>' }}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n\n' + message['content'] | trim"
    " + '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n\n' }}{% endif %}"
)


def text_lines() -> Iterator[str]:
    """Something to learn merges from."""
    rng = Random(1)
    words = [
        "order",
        "total",
        "12",
        "345",
        "Größe",
        "naïve",
        "don't",
        "we'll",
        '{"key":',
        '"value"}',
        "return",
        "日本",
        "مرحبا",
    ]
    for _ in range(400):
        yield " ".join(rng.choices(words, k=12))


def write_tokenizer(folder: Path, cut: str = "smollm", template: str | None = CHATML, adds_bos: bool = False) -> None:
    """A trained byte-level tokenizer with the cut of smollm, gpt-2, qwen2 or llama3; adds_bos: the first special token in front."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=cut == "llama3"))
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    only_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = {
        "gpt-2": whole,
        "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), whole]),
        "qwen2": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(_QWEN), "isolated"), only_bytes]),
        "llama3": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(_LLAMA3), "isolated"), only_bytes]),
    }[cut]
    if cut == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        text_lines(),
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=SPECIAL,
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    if adds_bos:
        from tokenizers.processors import TemplateProcessing

        tokenizer.post_processor = TemplateProcessing(single=f"{SPECIAL[0]} $A", special_tokens=[(SPECIAL[0], 0)])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"bos_token": SPECIAL[0], "eos_token": SPECIAL[2], "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)


SHAPES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {"use_sliding_window": False},
    "qwen3": {"use_sliding_window": False, "head_dim": 16},
    "gemma3_text": {"num_hidden_layers": 6, "query_pre_attn_scalar": 16, "sliding_window": 16, "head_dim": 16},
    "smollm3": {"num_hidden_layers": 4, "use_sliding_window": False, "pad_token_id": 0},
    "phi3": {"sliding_window": None, "pad_token_id": 0},
}


def write_gguf_base(folder: Path, model_type: str = "llama", cut: str = "smollm", **tokenizer: Any) -> Path:
    """A random model of two or more layers of width 64, with weights large enough that a wrong layout shows."""
    shape: dict[str, Any] = {
        "vocab_size": 416, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 2048, "tie_word_embeddings": True,
        "bos_token_id": 0, "eos_token_id": 2, "initializer_range": 0.15,
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(11)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **(shape | SHAPES[model_type])))
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                torch.nn.init.normal_(
                    parameter.data, mean=float("norm" in name) * (model_type != "gemma3_text"), std=0.2
                )
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    write_tokenizer(folder, cut, **tokenizer)
    return folder


def with_metadata(path: Path, out: Path, **changes: Any) -> Path:
    """A copy of a GGUF file with other metadata, as another tool might write it. __ in a key stands for a dot; None drops it."""
    import gguf

    reader = gguf.GGUFReader(path)
    wanted = {key.replace("__", "."): value for key, value in changes.items()}
    writer = gguf.GGUFWriter(out, str(reader.fields["general.architecture"].contents()))
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = wanted.pop(name) if name in wanted else field.contents()
        if value is not None:
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, value, field.types[0], inner)
    for name, value in wanted.items():
        writer.add_key_value(name, value, gguf.GGUFValueType.get_type(value))
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def write_adapter(base: Path, folder: Path, seed: int = 1, std: float = 0.1) -> Path:
    """An adapter that changes what the base says."""
    from lathe.engine import model
    from lathe.records import Method

    net = model.attach(model.load_base(base), Method(rank=4), seed=seed)
    with torch.no_grad():
        for parameter in model.trainable(net).values():
            parameter.normal_(generator=torch.Generator().manual_seed(seed), std=std)
    folder.mkdir()
    model.write_trained(net, folder)
    return folder


def write_sentencepiece(folder: Path, space_in_front: bool) -> None:
    """A tokenizer as those of Llama 2, Phi-3 (a space in front) and Gemma come: whole words, bytes for what is unknown."""
    special = ["<unk>", *SPECIAL[:1], *SPECIAL[:0:-1]]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token=special[0], fuse_unk=True))
    blanks = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), blanks]) if space_in_front else blanks
    if not space_in_front:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY - 256, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(text_lines(), trainer)
    described = json.loads(tokenizer.to_str())
    joined = list(dict.fromkeys("".join(pair) for pair in described["model"]["merges"]))
    single = [piece for piece in described["model"]["vocab"] if piece not in joined and piece not in special]
    pieces = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *joined, *single]
    described["model"]["vocab"] = {piece: id for id, piece in enumerate(pieces)}
    for added in described["added_tokens"]:
        added["id"] = pieces.index(added["content"])
    (folder / "tokenizer.json").write_text(json.dumps(described))
    settings = {"bos_token": special[1], "eos_token": special[2], "unk_token": special[0]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
