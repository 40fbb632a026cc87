"""Which model folders may be opened: hostile content is refused by name and by content, unsound content is named."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lathe.contracts import Model
from lathe.engine import folder as folders
from lathe.engine import model
from lathe.errors import InputError, Refused


@pytest.fixture
def copy(tiny_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path / "copy"))


class Canary:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_sound_folder_is_opened(tiny_base: Path) -> None:
    assert folders.check_model_folder(tiny_base)["model_type"] == "llama"


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin", "a.pt", "b.pth", "c.pkl", "sub/d.ckpt", "e.joblib", "renamed.txt", "renamed.json", "x.model"],
)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_is_refused_under_any_name(copy: Path, tmp_path: Path, name: str, protocol: int) -> None:
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_bytes(pickle.dumps(Canary(tmp_path / "executed"), protocol))
    with pytest.raises(Refused, match=Path(name).name):
        model.load(Model(copy))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_in_place_of_the_weights_is_refused(copy: Path, tmp_path: Path, protocol: int) -> None:
    (copy / "model.safetensors").write_bytes(pickle.dumps(Canary(tmp_path / "executed"), protocol))
    with pytest.raises(Refused, match=r"model\.safetensors"):
        model.load(Model(copy))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b\x08"])
def test_archives_are_refused(copy: Path, head: bytes) -> None:
    (copy / "weights").write_bytes(head + bytes(64))
    with pytest.raises(Refused, match="weights"):
        folders.check_model_folder(copy)


@pytest.mark.parametrize("name", ["modeling_x.py", "sub/__init__.py", "kernel.so"])
def test_code_is_refused(copy: Path, name: str) -> None:
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text("raise SystemExit")
    with pytest.raises(Refused, match="code"):
        folders.check_model_folder(copy)


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("config.json", {"auto_map": {"AutoModelForCausalLM": "modeling_x.X"}}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["x.X", None]}}),
        ("generation_config.json", {"custom_generate": "someone/else"}),
    ],
)
def test_a_configuration_that_asks_for_remote_code_is_refused(copy: Path, name: str, entry: dict[str, Any]) -> None:
    change(copy / name, entry)
    with pytest.raises(Refused, match="remote code"):
        folders.check_model_folder(copy)


def test_files_of_version_control_are_not_looked_at(copy: Path) -> None:
    (copy / ".git").mkdir()
    (copy / ".git" / "hook.py").write_text("")
    folders.check_model_folder(copy)


def change(path: Path, entry: dict[str, Any]) -> None:
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(content | entry))


@pytest.mark.parametrize("key", sorted(folders.BOUNDS))
@pytest.mark.parametrize("value", [0, -1, 10**12, 2.5, "32", True, [32]])
def test_numbers_of_the_configuration_are_held_against_bounds_before_anything_is_allocated(
    copy: Path, key: str, value: Any
) -> None:
    change(copy / "config.json", {key: value})
    with pytest.raises(InputError, match=key):
        model.load_base(copy)


@pytest.mark.parametrize(
    "entry", [{"vocab_size": 3_999_999}, {"num_hidden_layers": 3}, {"hidden_size": 48}, {"intermediate_size": 96}]
)
def test_a_configuration_that_does_not_fit_the_weights_is_named(copy: Path, entry: dict[str, Any]) -> None:
    change(copy / "config.json", entry)
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
    change(path / "config.json", {"model_type": "quantum"})


def cut_weights(path: Path) -> None:
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [no_config, no_weights, torn_config, deep_config, unknown_architecture, cut_weights])
def test_an_unsound_folder_is_an_input_error(copy: Path, damage: Callable[[Path], None]) -> None:
    damage(copy)
    with pytest.raises(InputError, match="copy"):
        model.load_base(copy)


@pytest.mark.parametrize(
    "header", [b"", b"\xff" * 8, struct.pack("<Q", 4) + b"nul!", struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 9)]
)
def test_a_safetensors_file_without_a_sound_header_is_refused(copy: Path, header: bytes) -> None:
    (copy / "model.safetensors").write_bytes(header)
    with pytest.raises(Refused, match="not a safetensors file"):
        folders.check_model_folder(copy)


def test_a_path_that_is_no_folder_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        model.load_base(tmp_path / "nowhere")
    with pytest.raises(InputError, match="not a folder"):
        folders.check_adapter_folder(tmp_path / "nowhere")


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
