"""Whole folders: what is missing is told, and numbers that no model has, before anything is allocated by them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from lathe.errors import InputError, Refused
from lathe.model_folder import check_adapter, check_base, check_model, is_full_model
from lathe.model_folder.check import INDEX, LARGEST_FILES
from lathe.model_folder.configuration import LARGEST_JSON, LARGEST_SIZES
from small_folder import change, safetensors, write_folder


def test_a_sound_folder_gives_its_configuration(base: Path) -> None:
    assert check_base(base) == check_model(base) == {"model_type": "llama", "hidden_size": 8}


@pytest.mark.parametrize("key", LARGEST_SIZES)
@pytest.mark.parametrize("size", [0, -1, 10**12, 1.5, 2.5, "64", "32", True, [8], [32]], ids=str)
def test_a_size_that_no_model_has_is_told_before_anything_is_allocated(base: Path, key: str, size: Any) -> None:
    change(base / "config.json", **{key: size})
    with pytest.raises(InputError, match=key):
        check_base(base)


@pytest.mark.parametrize("entries", [{"vocab_size": 3_999_999}, {"num_hidden_layers": 1}])
def test_a_configuration_that_announces_more_than_the_files_hold_is_told(base: Path, entries: dict[str, int]) -> None:
    change(base / "config.json", **entries)
    with pytest.raises(InputError, match="the safetensors files hold 4"):
        check_base(base)


@pytest.mark.parametrize(
    ("remove", "says"),
    [
        ("config.json", "holds no config.json"),
        ("model.safetensors", r"no \*.safetensors"),
        ("tokenizer.json", "no tokenizer.json"),
    ],
)
def test_a_folder_that_is_no_model_is_told_what_is_missing(base: Path, remove: str, says: str) -> None:
    (base / remove).unlink()
    with pytest.raises(InputError, match=says):
        check_base(base)


def test_only_a_base_needs_a_tokenizer(base: Path) -> None:
    """Weights that a run trained whole are a model; their tokenizer lies with the base."""
    (base / "tokenizer.json").unlink()
    check_model(base)


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "is no JSON"), ("[]", "expected an object"), ("{}", "names no model_type"),
     ('{"model_type": 3}', "names no model_type"), ("[" * 10**5, "is no JSON"),
     (" " * (LARGEST_JSON + 1), "is larger than")],
    ids=["torn", "list", "empty", "no-text", "deep", "large"],
)  # fmt: skip
def test_a_configuration_that_cannot_be_read(base: Path, text: str, says: str) -> None:
    (base / "config.json").write_text(text)
    with pytest.raises(InputError, match=says):
        check_base(base)


@pytest.mark.parametrize("name", LARGEST_FILES)
def test_a_file_beyond_any_models_is_told(base: Path, name: str) -> None:
    with open(base / name, "wb") as file:
        os.truncate(file.fileno(), LARGEST_FILES[name] + 1)
    with pytest.raises(InputError, match=f"{name} is larger than"):
        check_base(base)


def split_in_two(base: Path, second: Any) -> None:
    """Weights in two files with an index that names them."""
    (base / "model.safetensors").rename(base / "model-1.safetensors")
    (base / "model-2.safetensors").write_bytes(safetensors(bias=([2], 8)))
    change(base / INDEX, weight_map={"weight": "model-1.safetensors", "bias": second})


def test_weights_in_several_files_are_opened(base: Path) -> None:
    split_in_two(base, "model-2.safetensors")
    check_base(base)


def test_weights_in_several_files_without_their_index_are_told(base: Path) -> None:
    split_in_two(base, "model-2.safetensors")
    (base / INDEX).unlink()
    with pytest.raises(InputError, match=r"holds model-1\.safetensors, and neither"):
        check_base(base)


def test_weights_that_lie_elsewhere_and_are_gone_are_told(base: Path) -> None:
    (base / "model.safetensors").unlink()
    (base / "model.safetensors").symlink_to(base / "blobs" / "gone")
    with pytest.raises(InputError, match=r"model\.safetensors cannot be read"):
        check_base(base)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, r"quantised already \(gptq\)"),
        ({"quantization_config": {"load_in_4bit": True}}, "quantised already"),
        ({"logits_scaling": 8.0}, "logits_scaling = 8.0 is not supported yet"),
        ({"final_logit_softcapping": 30.0}, "final_logit_softcapping = 30.0"),
    ],
)
def test_weights_that_are_computed_with_in_another_way_are_told_at_once(
    base: Path, entries: dict[str, Any], says: str
) -> None:
    change(base / "config.json", **entries)
    with pytest.raises(InputError, match=says):
        check_base(base)


def test_settings_that_change_nothing_are_taken(base: Path) -> None:
    change(base / "config.json", quantization_config=None, logits_scaling=1.0, final_logit_softcapping=None)
    check_base(base)


def test_a_size_in_quotes_is_shown_with_them(base: Path) -> None:
    change(base / "config.json", hidden_size="64")
    with pytest.raises(InputError, match="hidden_size is '64', expected a whole number"):
        check_base(base)


@pytest.mark.parametrize("name", ["../x.safetensors", "sub/x.safetensors", ".x.safetensors", "weights.data", "/x", ""])
def test_an_index_that_leads_to_files_nobody_judged_is_refused(base: Path, name: str) -> None:
    split_in_two(base, name)
    with pytest.raises(Refused, match="names"):
        check_base(base)


@pytest.mark.parametrize(("name", "says"), [("model-3.safetensors", r"no model-3\.safetensors"), (3, "no weight_map")])
def test_an_index_that_does_not_fit_its_files_is_told(base: Path, name: Any, says: str) -> None:
    split_in_two(base, name)
    with pytest.raises(InputError, match=says):
        check_base(base)


@pytest.mark.parametrize("check", [check_base, check_model, check_adapter])
def test_a_path_that_is_no_folder_is_an_input_error(tmp_path: Path, check: Any) -> None:
    with pytest.raises(InputError, match="not a folder"):
        check(tmp_path / "nowhere")


def test_an_adapter_is_looked_at_as_closely(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="adapter_config"):
        check_adapter(tmp_path)
    change(tmp_path / "adapter_config.json", r=8)
    with pytest.raises(InputError, match="names no peft_type"):
        check_adapter(tmp_path)
    change(tmp_path / "adapter_config.json", peft_type="LORA")
    with pytest.raises(InputError, match="adapter_model"):
        check_adapter(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(safetensors(weight=([2, 2], 16)))
    assert check_adapter(tmp_path)["peft_type"] == "LORA"
    (tmp_path / "adapter_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(Refused, match=r"adapter_model\.bin"):
        check_adapter(tmp_path)


def test_whole_weights_and_adapters_are_told_apart(base: Path, tmp_path: Path) -> None:
    assert is_full_model(base)
    change(tmp_path / "adapter_config.json", peft_type="LORA")
    assert not is_full_model(tmp_path)
    write_folder(tmp_path)
    assert not is_full_model(tmp_path)
