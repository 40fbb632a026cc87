"""Parameter counts are exact: equal to published numbers, and to transformers and peft on the meta device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lathe.errors import InputError
from lathe.plan.parameters import bare, from_config

QKVO = ("q_proj", "k_proj", "v_proj", "o_proj")


def llama(
    hidden: int, layers: int, heads: int, kv_heads: int, inner: int, vocab: int, tied: bool, **more: object
) -> dict:
    shape = {
        "model_type": "llama",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": inner,
        "vocab_size": vocab,
        "tie_word_embeddings": tied,
    }
    return shape | more


QWEN25_7B = llama(3584, 28, 28, 4, 18944, 152064, False, model_type="qwen2")
SMOLLM2_135M = llama(576, 30, 9, 3, 1536, 49152, True)
SMOLLM2_360M = llama(960, 32, 15, 5, 2560, 49152, True)
LLAMA32_1B = llama(2048, 16, 32, 8, 8192, 128256, True)
LLAMA31_8B = llama(4096, 32, 32, 8, 14336, 128256, False)
MISTRAL_7B = llama(4096, 32, 32, 8, 14336, 32768, False, model_type="mistral")
QWEN3_8B = llama(4096, 36, 32, 8, 12288, 151936, False, model_type="qwen3", head_dim=128)


@pytest.mark.parametrize(
    ("config", "total"),
    [
        (QWEN25_7B, 7_615_616_512),
        (SMOLLM2_135M, 134_515_008),
        (SMOLLM2_360M, 361_821_120),
        (LLAMA32_1B, 1_235_814_400),
        (LLAMA31_8B, 8_030_261_248),
        (MISTRAL_7B, 7_248_023_552),
        (QWEN3_8B, 8_190_735_360),
    ],
)
def test_totals_are_the_published_ones(config: dict, total: int) -> None:
    counted = from_config(config, rank=None)
    assert counted.total == counted.trainable == total == sum(counted.by_group.values())


@pytest.mark.parametrize(
    ("config", "targets", "rank", "trainable"),
    [
        (QWEN25_7B, QKVO, 4, 2_523_136),
        (QWEN25_7B, QKVO, 8, 5_046_272),
        (QWEN25_7B, QKVO, 16, 10_092_544),
        (QWEN25_7B, QKVO, 32, 20_185_088),
        (QWEN25_7B, "all-linear", 8, 20_185_088),
        (QWEN25_7B, "all-linear", 16, 40_370_176),
        (SMOLLM2_135M, "all-linear", 8, 2_442_240),
        (SMOLLM2_135M, "all-linear", 16, 4_884_480),
        (SMOLLM2_135M, "all-linear", 32, 9_768_960),
        (SMOLLM2_135M, QKVO, 8, 921_600),
        (SMOLLM2_135M, QKVO, 16, 1_843_200),
        (SMOLLM2_360M, "all-linear", 16, 8_683_520),
        (SMOLLM2_360M, "all-linear", 32, 17_367_040),
        (LLAMA32_1B, "all-linear", 16, 11_272_192),
        (LLAMA31_8B, "all-linear", 16, 41_943_040),
        (LLAMA31_8B, "all-linear", 32, 83_886_080),
        (MISTRAL_7B, "all-linear", 16, 41_943_040),
        (MISTRAL_7B, "all-linear", 32, 83_886_080),
        (QWEN3_8B, QKVO, 8, 7_667_712),
        (QWEN3_8B, QKVO, 16, 15_335_424),
        (QWEN3_8B, "all-linear", 16, 43_646_976),
    ],
)
def test_adapters_have_the_size_that_real_runs_printed(
    config: dict, targets: object, rank: int, trainable: int
) -> None:
    counted = from_config(config, rank, targets)  # type: ignore[arg-type]
    assert counted.trainable == counted.by_group["adapter"] == trainable


def test_a_bare_configuration_gives_the_two_numbers() -> None:
    assert bare(SMOLLM2_135M, 16, "all-linear") == {"parameters_total": 134_515_008, "parameters_trainable": 4_884_480}


CONFIGS = Path(__file__).resolve().parents[3] / "shared" / "data" / "model_configs"
FILES = sorted(CONFIGS.glob("*.json"))


@pytest.mark.skipif(not FILES, reason="the shared model configurations are not beside the repository")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_shared_configuration_is_counted_exactly(file: Path) -> None:
    config = json.loads(file.read_text())
    assert from_config(config, None).total == config["_parameters_total"]
    assert from_config(config, 8, config["_lora_r8_qkvo_targets"]).trainable == config["_lora_r8_qkvo"]
    assert from_config(config, 16, "all-linear").trainable == config["_lora_r16_all_linear"]


def test_targets_match_as_in_peft() -> None:
    one = from_config(SMOLLM2_135M, 8, ["q_proj"]).trainable
    assert one == 30 * 8 * (576 + 576)
    assert from_config(SMOLLM2_135M, 8, ["all-linear"]) == from_config(SMOLLM2_135M, 8, "all-linear")
    assert from_config(SMOLLM2_135M, 8, ["self_attn.q_proj"]).trainable == one
    assert from_config(SMOLLM2_135M, 8, ["layers.3.self_attn.q_proj"]).trainable == one // 30
    assert from_config(SMOLLM2_135M, 8, ["q_proj", "lm_head"]).trainable == one + 8 * (576 + 49152)


def test_a_target_that_matches_nothing_names_the_nearest() -> None:
    with pytest.raises(InputError) as error:
        from_config(SMOLLM2_135M, 8, ["qproj"])
    assert error.value.hint == "Did you mean q_proj?"
    phi = {"model_type": "phi3"}
    with pytest.raises(InputError, match="'q_proj' matches no layer"):
        from_config(phi, 8, ["q_proj"])


@pytest.mark.parametrize(
    "config", [{}, {"model_type": "mamba"}, {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}}]
)
def test_an_unknown_architecture_is_said_so(config: dict) -> None:
    with pytest.raises(InputError, match="expected one of: llama"):
        from_config(config, None)


@pytest.mark.parametrize("value", [0, -1, "576", 576.0, True])
def test_a_size_that_is_no_positive_whole_number_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="hidden_size"):
        from_config(SMOLLM2_135M | {"hidden_size": value}, None)
