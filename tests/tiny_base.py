"""A complete base model folder of some 60,000 parameters, random weights, made in a tenth of a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM

from lathe.records import Example, Message

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def write_tokenizer(folder: Path) -> None:
    """Bytes as tokens, three special ones, ChatML."""
    alphabet = SPECIAL + sorted(pre_tokenizers.ByteLevel.alphabet())
    bytewise = tokenizers.Tokenizer(models.BPE(vocab={token: id for id, token in enumerate(alphabet)}, merges=[]))
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = decoders.ByteLevel()
    bytewise.add_special_tokens(SPECIAL)
    bytewise.save(str(folder / "tokenizer.json"))
    settings = {"eos_token": SPECIAL[0], "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "chat_template.jinja").write_text(CHATML)


def write_base(folder: Path, model_type: str = "llama", dtype: torch.dtype = torch.float32, **settings: Any) -> Path:
    """Two layers of width 32, four heads, two key-value heads, 264 ids, tied embedding; `settings` go into config.json."""
    shape: dict[str, Any] = {
        "vocab_size": 264, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512, "tie_word_embeddings": True,
        "bos_token_id": None, "eos_token_id": 0, "pad_token_id": None, "initializer_range": 0.1,
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **(shape | settings)))
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                # At their initial 1 and 0 a mistake with gains and biases would not be seen.
                torch.nn.init.normal_(parameter.data, mean=float("norm" in name), std=0.2)
    folder.mkdir(parents=True, exist_ok=True)
    model.to(dtype).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def examples(count: int) -> list[Example]:
    """Rows whose answers a small model can learn: the first word of the prompt, spelled in capitals."""
    words = ["alder", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine"]
    rows = []
    for index in range(count):
        word, filler = words[index % len(words)], " ".join(words[: index * 7 % 5])
        content = f"{word} {filler} {index}"
        turns = (Message(role="user", content=content),)
        rows.append(
            Example(id=f"row-{index}", input=content, messages=turns, completion=word.upper(), target=word.upper())
        )
    return rows
