"""A config.json by itself: counted from its shapes, or by transformers where nobody wrote its shapes out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_parameters import QKVO, QWEN25_7B, SMOLLM2_135M

from lathe.errors import InputError
from lathe.plan import configuration
from lathe.plan.architecture import shapes
from lathe.plan.parameters import Adapter, of

GEMMA3 = {
    "model_type": "gemma3",
    "architectures": ["Gemma3ForConditionalGeneration"],
    "text_config": {
        "model_type": "gemma3_text", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "vocab_size": 300,
    },
    "vision_config": {
        "model_type": "siglip_vision_model", "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "image_size": 16, "patch_size": 4, "vision_use_head": False,
    },
    "mm_tokens_per_image": 4,
}  # fmt: skip


def test_a_known_architecture_is_counted_from_its_shapes() -> None:
    said = configuration.look(QWEN25_7B, Adapter(8, QKVO))
    assert said["parameters_total"] == 7_615_616_512
    assert said["parameters_trainable"] == 5_046_272
    assert said["counted"] == "from its shapes"
    assert {name: round(size / 1e9, 2) for name, size in said["weight_bytes"].items()} == {
        "fp32": 30.46,
        "bf16": 15.23,
        "nf4": 5.55,
    }


def test_a_model_with_eyes_is_counted_as_a_whole() -> None:
    """The text model's adapters and those of the vision tower, whose layers have the same names: as peft would."""
    pytest.importorskip("peft")
    text = 2 * 4 * ((32 + 32) + 2 * (32 + 16) + (32 + 32))
    vision = 2 * 4 * 3 * (16 + 16)  # q_proj, k_proj and v_proj; its output is named out_proj
    said = configuration.look(GEMMA3, Adapter(4, QKVO))
    assert said["parameters_trainable"] == text + vision
    groups = dict(said["parameters_by_group"])
    assert groups.pop("adapter") == text + vision
    assert groups["vision"] > 0
    assert said["parameters_total"] == sum(groups.values())


def test_an_architecture_that_nobody_wrote_out_is_counted_by_transformers() -> None:
    pytest.importorskip("peft")
    config = {"model_type": "gpt2", "n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 50, "n_positions": 32}
    said = configuration.look(config, None)
    layer = 2 * 2 * 16 + (16 * 48 + 48) + (16 * 16 + 16) + (16 * 64 + 64) + (64 * 16 + 16)
    assert said["parameters_total"] == said["parameters_trainable"] == 50 * 16 + 32 * 16 + 2 * layer + 2 * 16
    assert said["counted"].startswith("by transformers")


@pytest.mark.parametrize(
    ("config", "adapter", "said"),
    [
        ({}, None, "model_type is not there"),
        ({"model_type": ["llama"]}, None, r"model_type is \['llama'\], expected a name"),
        ({"model_type": "Starcoder2"}, None, "'Starcoder2' could not be counted: transformers .* knows no such type"),
        ({"model_type": "starcoder2", "num_hidden_layers": "two"}, None, "num_hidden_layers.* expected int"),
        ({"model_type": "gpt2"}, Adapter(4, modules_to_save=("lm_hed",)), "module to save 'lm_hed' matches nothing"),
        (QWEN25_7B, Adapter(4, modules_to_save=("lm_hed",)), "module to save 'lm_hed' matches nothing"),
        (QWEN25_7B | {"tie_word_embeddings": "false"}, None, "tie_word_embeddings is 'false', expected true or false"),
        ({"model_type": "no-such-model"}, None, "'no-such-model' could not be counted"),
        ({"model_type": "gpt2"}, Adapter(4, ("no_such_layer",)), "no_such_layer"),
    ],
)
def test_what_nobody_can_count_is_said_so(config: dict, adapter: Adapter | None, said: str) -> None:
    pytest.importorskip("peft")
    with pytest.raises(InputError, match=said):
        configuration.look(config, adapter)


def test_a_target_that_transformers_has_not_is_passed_over_and_named_too() -> None:
    pytest.importorskip("peft")
    config = {
        "model_type": "starcoder2", "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "vocab_size": 30,
        "num_attention_heads": 2, "num_key_value_heads": 1, "attn_implementation": "flash_attention_2",
    }  # fmt: skip
    said = configuration.look(config, Adapter(4, ("q_proj", "qkv_proj")))
    assert said["parameters_trainable"] == 4 * (16 + 16)
    assert said["targets_without_layer"] == ["qkv_proj"]


@pytest.mark.parametrize("content", ["", "{", "[1]", "null"])
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config\.json"):
        configuration.read(tmp_path)


@pytest.mark.parametrize(
    "adapter",
    [
        Adapter(3, "all-linear", dora=True),
        Adapter(3, ("q_proj", "down_proj"), dora=True, modules_to_save=("embed_tokens",)),
        Adapter(3, ("v_proj",), modules_to_save=("lm_head",)),
        Adapter(3, ("v_proj",), modules_to_save=("embed_tokens", "lm_head")),
        Adapter(3, ("embed_tokens", "o_proj"), dora=True),
        Adapter(3, ("q_proj", "lm_head"), dora=True),
        Adapter(3, ("q_proj", "v_proj"), modules_to_save=("mlp.up_proj",)),
        Adapter(3, ("q_proj",), modules_to_save=("input_layernorm",)),
    ],
    ids=str,
)
def test_magnitudes_and_saved_modules_count_as_pefts_do(adapter: Adapter) -> None:
    """The closed form against peft itself, in this process."""
    pytest.importorskip("peft")
    from lathe.engine.meta_count import count

    for kind in ("llama", "qwen2"):
        config = SMOLLM2_135M | {"num_hidden_layers": 2, "model_type": kind, "tie_word_embeddings": False}
        question = {
            "config": config,
            "rank": adapter.rank,
            "targets": adapter.targets if isinstance(adapter.targets, str) else list(adapter.targets),
            "dora": adapter.dora,
            "modules_to_save": list(adapter.modules_to_save),
        }
        ours = configuration.counts(config, adapter)
        assert ours.parameters.trainable == count(question)["trainable"], kind


def test_counting_from_shapes_loads_no_torch() -> None:
    code = (
        "import sys, json\nfrom lathe.plan import configuration\nfrom lathe.plan.parameters import Adapter\n"
        "configuration.look(json.load(sys.stdin), Adapter(8))\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], input=json.dumps(QWEN25_7B), text=True, check=True)


def test_dora_adds_one_magnitude_for_each_output() -> None:
    model = shapes(SMOLLM2_135M)
    plain, dora = of(model, Adapter(8, QKVO)), of(model, Adapter(8, QKVO, dora=True))
    assert dora.trainable - plain.trainable == 30 * (576 + 192 + 192 + 576)


def test_targets_without_a_layer_are_passed_over_and_named_as_long_as_one_matches() -> None:
    """phi3 joins q, k and v in one matrix: of these four names peft finds o_proj alone."""
    config = {"model_type": "phi3", "num_hidden_layers": 2, "pad_token_id": 0}
    names = ("q_proj", "k_proj", "v_proj", "o_proj")
    said = configuration.look(config, Adapter(8, names))
    assert said["parameters_trainable"] == configuration.look(config, Adapter(8, ("o_proj",)))["parameters_trainable"]
    assert said["targets_without_layer"] == ["q_proj", "k_proj", "v_proj"]
    assert "targets_without_layer" not in configuration.look(config, Adapter(8, ("qkv_proj",)))
    with pytest.raises(InputError, match="matches no layer"):
        configuration.look(config, Adapter(8, ("q_proj", "k_proj")))


@pytest.mark.parametrize(
    "deep",
    [
        SMOLLM2_135M | {"num_hidden_layers": 10**9},
        {"model_type": "gpt2", "n_layer": 10**9},
        {"model_type": "gemma3", "text_config": {"num_hidden_layers": 10**9}},
    ],
)
def test_layers_without_number_are_refused_and_not_counted(deep: dict) -> None:
    with pytest.raises(InputError, match="is 1,000,000,000, expected at most 10,000"):
        configuration.look(deep, Adapter(8))
