"""The checks of a whole folder: a model, a base with its tokenizer, an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lathe.errors import InputError, Refused
from lathe.model_folder.configuration import check_form, check_sizes, read_json
from lathe.model_folder.executable import refuse_executables
from lathe.model_folder.weights import SAFE_HINT, stored_tensors
from lathe.records import Json

LARGEST_FILES = {"tokenizer.json": 200_000_000, "chat_template.jinja": 1_000_000}
"""Bytes; a tokenizer of 256,000 entries has about 35 MB."""
INDEX = "model.safetensors.index.json"
"""Says which of several files holds which weight."""


def check_model(folder: Path, *, weights: bool = True) -> dict[str, Json]:
    """The folder's config.json. weights: whether they must be there; where they are, they are judged either way.

    Raises InputError where it is no model, Refused where it could execute something.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected one with config.json and *.safetensors")
    refuse_executables(folder)
    path = folder / "config.json"
    config = read_json(path, "the configuration of a causal language model")
    if not isinstance(config.get("model_type"), str):
        raise InputError(f"{path} names no model_type", hint="Is this the folder of a transformers model?")
    check_sizes(path, config)
    check_form(path, config)
    if weights or any(folder.glob("*.safetensors")):
        check_index(folder)
        check_weights(folder, config)
    for name, largest in LARGEST_FILES.items():
        if (folder / name).is_file() and (folder / name).stat().st_size > largest:
            raise InputError(f"{folder / name} is larger than {largest:,} bytes", hint="Is this the file of a model?")
    return config


def check_base(folder: Path, *, weights: bool = True) -> dict[str, Json]:
    """A model that brings its tokenizer, which every run starts from. Takes, returns and raises as `check_model`."""
    config = check_model(folder, weights=weights)
    if not (folder / "tokenizer.json").is_file():
        raise InputError(f"{folder} holds no tokenizer.json", hint="Save the fast tokenizer into the folder.")
    return config


def check_adapter(folder: Path) -> dict[str, Json]:
    """The folder's adapter_config.json. Raises InputError where it is no PEFT adapter, Refused where it could execute something."""
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder; expected one with adapter_config.json and adapter_model.safetensors"
        )
    refuse_executables(folder)
    path = folder / "adapter_config.json"
    config = read_json(path, "the configuration of a PEFT adapter")
    if not isinstance(config.get("peft_type"), str):
        raise InputError(f"{path} names no peft_type", hint="Is this the folder of a PEFT adapter?")
    if not (folder / "adapter_model.safetensors").is_file():
        raise InputError(f"{folder} holds no adapter_model.safetensors", hint="Save it with safe_serialization=True.")
    return config


def is_full_model(folder: Path) -> bool:
    """Whether a trained folder holds whole weights (full fine-tuning) rather than an adapter."""
    return (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file()


def check_index(folder: Path) -> None:
    """The files that an index of several weight files names are those that were judged.

    Raises Refused for any other kind of file and for files elsewhere, InputError for missing ones.
    """
    path = folder / INDEX
    files = sorted(file.name for file in folder.glob("*.safetensors"))
    if "model.safetensors" in files:
        return
    if not path.is_file():
        if files:
            raise InputError(
                f"{folder} holds {files[0]}, and neither model.safetensors nor {INDEX}, which says what is in which file",
                hint="Download or save the folder again.",
            )
        return
    named = read_json(path, "an index of weight files").get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise InputError(f"{path} holds no weight_map of file names", hint="Download or save the folder again.")
    for name in sorted(set(named.values())):
        if Path(name).name != name or not name.endswith(".safetensors") or name.startswith("."):
            raise Refused(f"{path} names {name!r}, expected *.safetensors beside it", hint=SAFE_HINT)
        if not (folder / name).is_file():
            raise InputError(f"{folder} holds no {name}, which its index names", hint="Download the folder again.")


def check_weights(folder: Path, config: Mapping[str, Json]) -> None:
    """The embedding and the number of layers that config.json announces are those in the files. Raises InputError."""
    stored = stored_tensors(folder)
    if not stored:
        raise InputError(
            f"{folder} holds no *.safetensors weights", hint="Save the model with safe_serialization=True."
        )
    held = sum(tensor.size for tensor in stored.values())
    vocab, hidden, layers = (config.get(key) or 0 for key in ("vocab_size", "hidden_size", "num_hidden_layers"))
    # A lower bound of what such a model needs; more than the files hold means that the rest would be made up.
    announced = vocab * hidden + layers * hidden
    if announced > held:
        raise InputError(
            f"{folder / 'config.json'} announces at least {announced:,} parameters, but the safetensors files hold {held:,}",
            hint="Download or save the folder again; files of the weights may be missing.",
        )
