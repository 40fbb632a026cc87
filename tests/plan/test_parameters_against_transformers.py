"""The counts hold on configurations that nobody wrote down: compared with the real classes on the meta device."""

from __future__ import annotations

import random

import pytest

from lathe.plan.architecture import DEFAULTS
from lathe.plan.parameters import from_config

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

OPTIONAL = ("num_key_value_heads", "head_dim", "tie_word_embeddings", "attention_bias", "mlp_bias")


def drawn(kind: str, seed: int) -> dict:
    """A small configuration of that architecture, with some of its keys left out."""
    draw = random.Random(f"{kind}/{seed}")
    heads = draw.choice([2, 4, 6])
    kv_heads = draw.choice([n for n in (1, 2, 3, 6) if heads % n == 0])
    config: dict = {
        "model_type": kind,
        "vocab_size": draw.randrange(50, 400),
        "hidden_size": heads * draw.choice([8, 16]),
        "intermediate_size": draw.randrange(10, 200),
        "num_hidden_layers": draw.randrange(1, 4),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": draw.choice([8, 16, 24]),
        "tie_word_embeddings": draw.random() < 0.5,
        "attention_bias": draw.random() < 0.5,
        "mlp_bias": draw.random() < 0.5,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if kind == "phi3":
        del config["head_dim"]  # its rotary check knows only hidden / heads
    for key in OPTIONAL:
        if draw.random() < 0.3:
            config.pop(key, None)
    return config


def meta_model(config: dict):
    kind = config["model_type"]
    with torch.device("meta"):
        built = transformers.AutoConfig.for_model(**config)
        assert built.model_type == kind
        return transformers.AutoModelForCausalLM.from_config(built)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", DEFAULTS)
def test_a_drawn_configuration_counts_as_its_model_does(kind: str, seed: int) -> None:
    config = drawn(kind, seed)
    assert from_config(config, None).total == sum(p.numel() for p in meta_model(config).parameters()), config


@pytest.mark.parametrize("kind", DEFAULTS)
def test_class_defaults_are_those_of_transformers(kind: str) -> None:
    """A config.json may leave out what equals its class's default."""
    config = {"model_type": kind, "num_hidden_layers": 1}
    assert from_config(config, None).total == sum(p.numel() for p in meta_model(config).parameters())


@pytest.mark.parametrize("kind", DEFAULTS)
def test_adapters_count_as_pefts_do(kind: str) -> None:
    peft = pytest.importorskip("peft")
    config = drawn(kind, 0)
    for targets in ("all-linear", ["o_proj", "down_proj"], ["lm_head", "mlp.down_proj"], ["embed_tokens", "o_proj"]):
        if config.get("tie_word_embeddings", DEFAULTS[kind]["tie_word_embeddings"]) and targets[0] in (
            "lm_head",
            "embed_tokens",
        ):
            continue  # peft warns that adapters on tied matrices cannot be merged
        model = peft.get_peft_model(
            meta_model(config), peft.LoraConfig(r=3, target_modules=targets, task_type="CAUSAL_LM")
        )
        assert from_config(config, 3, targets).trainable == model.get_nb_trainable_parameters()[0], (config, targets)
