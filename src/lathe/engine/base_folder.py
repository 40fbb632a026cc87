"""A base model as a folder that transformers loads as it is: network, tokenizer, chat template.

write_base(folder, model, tokenizer)
AutoModelForCausalLM.from_pretrained(folder); AutoTokenizer.from_pretrained(folder)
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from lathe.engine.tokenizer_training import CHAT_TEMPLATE, DOCUMENT_END, PAD, TURN_END, tokenizer_config
from lathe.records.pretrain import NetworkShape

WEIGHTS = "model.safetensors"


def network_config(shape: NetworkShape, tokenizer: Tokenizer | None = None) -> LlamaConfig:
    """The transformers configuration of a shape; the special ids come from the tokenizer where one is given."""
    ids = (
        {}
        if tokenizer is None
        else {
            "bos_token_id": tokenizer.token_to_id(DOCUMENT_END),
            "eos_token_id": tokenizer.token_to_id(TURN_END),
            "pad_token_id": tokenizer.token_to_id(PAD),
        }
    )
    return LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_width,
        max_position_embeddings=shape.context,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        **ids,
    )


def new_network(shape: NetworkShape, tokenizer: Tokenizer | None, seed: int) -> LlamaForCausalLM:
    """A float32 network with random weights; what each block adds to the residual stream starts at zero (Zhang et
    al. 2019, Fixup)."""
    torch.manual_seed(seed)
    network = LlamaForCausalLM(network_config(shape, tokenizer)).float()
    with torch.no_grad():
        for layer in network.model.layers:
            nn.init.zeros_(layer.self_attn.o_proj.weight)
            nn.init.zeros_(layer.mlp.down_proj.weight)
    return network


def write_base(folder: Path, network: LlamaForCausalLM, tokenizer: Tokenizer) -> None:
    """Write weights (bf16), configurations, tokenizer and chat template into an existing folder."""
    stored = LlamaForCausalLM(network.config).to(torch.bfloat16)
    stored.load_state_dict({name: tensor.to(torch.bfloat16) for name, tensor in network.state_dict().items()})
    stored.generation_config = GenerationConfig(
        bos_token_id=tokenizer.token_to_id(DOCUMENT_END),
        eos_token_id=tokenizer.token_to_id(TURN_END),
        pad_token_id=tokenizer.token_to_id(PAD),
    )
    stored.save_pretrained(folder)
    (folder / WEIGHTS).chmod(0o644)  # written as private to its owner, but a base is there to be read
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(tokenizer_config(network.config.max_position_embeddings), indent=2) + "\n",
        encoding="utf-8",
    )
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
