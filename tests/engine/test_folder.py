"""The engine opens no folder that `lathe.model_folder` has not judged (tests/model_folder/ has every case)."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lathe.contracts import Model
from lathe.engine import model
from lathe.errors import InputError, Refused
from lathe.model_folder.configuration import LARGEST_SIZES
from small_folder import Bomb, change


@pytest.fixture
def copy(tiny_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path / "copy"))


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin", "a.pt", "b.pth", "c.pkl", "sub/d.ckpt", "e.joblib", "renamed.txt", "renamed.json", "x.model"],
)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_is_refused_under_any_name(copy: Path, tmp_path: Path, name: str, protocol: int) -> None:
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_bytes(pickle.dumps(Bomb(tmp_path / "executed"), protocol))
    with pytest.raises(Refused, match=Path(name).name):
        model.load(Model(copy))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_in_place_of_the_weights_is_refused(copy: Path, tmp_path: Path, protocol: int) -> None:
    (copy / "model.safetensors").write_bytes(pickle.dumps(Bomb(tmp_path / "executed"), protocol))
    with pytest.raises(Refused, match=r"model\.safetensors"):
        model.load(Model(copy))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("key", LARGEST_SIZES)
@pytest.mark.parametrize("value", [0, -1, 10**12, 2.5, "32", True, [32]])
def test_numbers_of_the_configuration_are_held_against_bounds_before_anything_is_allocated(
    copy: Path, key: str, value: Any
) -> None:
    change(copy / "config.json", **{key: value})
    with pytest.raises(InputError, match=key):
        model.load_base(copy)


@pytest.mark.parametrize(
    "entry", [{"vocab_size": 3_999_999}, {"num_hidden_layers": 3}, {"hidden_size": 48}, {"intermediate_size": 96}]
)
def test_a_configuration_that_does_not_fit_the_weights_is_named(copy: Path, entry: dict[str, Any]) -> None:
    change(copy / "config.json", **entry)
    with pytest.raises(InputError, match=r"copy"):
        model.load_base(copy)


def no_config(path: Path) -> None:
    (path / "config.json").unlink()


def no_weights(path: Path) -> None:
    (path / "model.safetensors").unlink()


def torn_config(path: Path) -> None:
    (path / "config.json").write_text('{"model_type": "lla')


def deep_config(path: Path) -> None:
    (path / "config.json").write_text("[" * 100_000)


def unknown_architecture(path: Path) -> None:
    change(path / "config.json", model_type="quantum")


def cut_weights(path: Path) -> None:
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def odd_heads(path: Path) -> None:
    change(path / "config.json", num_attention_heads=3)


@pytest.mark.parametrize(
    "damage", [no_config, no_weights, torn_config, deep_config, unknown_architecture, cut_weights, odd_heads]
)
def test_an_unsound_folder_is_an_input_error(copy: Path, damage: Callable[[Path], None]) -> None:
    damage(copy)
    with pytest.raises(InputError, match="copy"):
        model.load_base(copy)


def test_a_path_that_is_no_folder_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        model.load_base(tmp_path / "nowhere")


def test_an_adapter_is_looked_at_as_closely(tiny_base: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    with pytest.raises(InputError, match="adapter_config"):
        model.load(Model(tiny_base, adapter))
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA", "auto_mapping": {"base_model_class": "X"}}')
    with pytest.raises(Refused, match="remote code"):
        model.load(Model(tiny_base, adapter))
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(InputError, match="adapter_model"):
        model.load(Model(tiny_base, adapter))
    (adapter / "adapter_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(Refused, match=r"adapter_model\.bin"):
        model.load(Model(tiny_base, adapter))


def test_layers_that_the_configuration_leaves_out_are_told(copy: Path) -> None:
    """transformers would go on with the first one alone: another model than the one in the folder."""
    change(copy / "config.json", num_hidden_layers=1)
    with pytest.raises(
        InputError, match=r"holds \d+ weights that its config.json has no place for, model\.layers\.1\."
    ):
        model.load_base(copy)


def test_constants_that_were_stored_as_weights_once_are_none_that_miss_a_place(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    constant = {"model.layers.0.self_attn.masked_bias": torch.tensor(-1e9)}
    save_file(weights | constant, copy / "model.safetensors", metadata={"format": "pt"})
    assert model.load_base(copy).config.num_hidden_layers == 2


def test_a_name_that_transformers_does_not_know_is_told_as_one(copy: Path) -> None:
    change(copy / "config.json", hidden_act="sqrtish")
    with pytest.raises(InputError, match="names 'sqrtish', which transformers does not know"):
        model.load_base(copy)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_told_before_anything_is_measured(copy: Path, value: float) -> None:
    weights = load_file(copy / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][3, 4] = value
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"no numbers in 1 weights, model\.layers\.1\.mlp\.up_proj\.weight"):
        model.load_base(copy)


def test_weights_of_another_size_than_configured_are_named_with_both(tiny_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    shutil.copytree(tiny_base, folder)
    change(folder / "config.json", intermediate_size=96)
    with pytest.raises(
        InputError, match=r"mlp\.\w+\.weight has the shape \(.*\) in the weights, and config.json asks for"
    ) as raised:
        model.load_base(folder)
    assert raised.value.hint is not None
