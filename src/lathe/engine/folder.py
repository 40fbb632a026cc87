"""May this model folder be opened? Nothing in it is executed, and nothing is allocated, before the answer is yes.

    check_model_folder(Path("smollm-135m"))     -> its config.json as a dictionary
    check_model_folder(Path("with-pickle"))     -> Refused: with-pickle/pytorch_model.bin is a pickle ...

Loaded are *.safetensors, JSON and tokenizer files only. A pickle is refused by its name and by its content, remote code by
`*.py` and `auto_map`; the numbers of config.json are held against bounds and against the shapes in the safetensors headers.
Costs a few milliseconds: it reads the heads of files, never the weights. Needs no torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lathe.errors import InputError, Refused
from lathe.records import Json

PICKLE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".mar"})
CODE_SUFFIXES = frozenset({".py", ".pyc", ".pyo", ".so", ".dll", ".dylib"})
ARCHIVE_HEADS = (b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
CODE_KEYS = ("auto_map", "auto_mapping", "custom_generate", "custom_pipelines", "trust_remote_code")
MAX_FILES = 10_000
MAX_JSON_BYTES = 64 << 20
MAX_HEADER_BYTES = 100 << 20
"""The safetensors format's own limit."""

BOUNDS: Mapping[str, tuple[int, int]] = {
    "vocab_size": (1, 4_000_000),
    "hidden_size": (1, 65_536),
    "intermediate_size": (1, 1_048_576),
    "num_hidden_layers": (1, 1_024),
    "num_attention_heads": (1, 1_024),
    "num_key_value_heads": (1, 1_024),
    "head_dim": (1, 4_096),
    "max_position_embeddings": (1, 100_000_000),
}
"""Smallest and largest value that is taken for real, far above any model that fits this product."""


def check_model_folder(folder: Path) -> dict[str, Json]:
    """The folder's config.json. Raises InputError where it is no model, Refused where it could execute something."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected one with config.json and *.safetensors")
    refuse_executables(folder)
    config = _read_json(folder / "config.json")
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise InputError(
            f"{folder / 'config.json'} has no model_type; expected the configuration of a causal language model"
        )
    _check_numbers(folder / "config.json", config)
    _check_weights(folder, config)
    return config


def check_adapter_folder(folder: Path) -> dict[str, Json]:
    """The folder's adapter_config.json. Raises InputError where it is no PEFT adapter, Refused where it could execute something."""
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder; expected one with adapter_config.json and adapter_model.safetensors"
        )
    refuse_executables(folder)
    config = _read_json(folder / "adapter_config.json")
    if not isinstance(config, dict) or not isinstance(config.get("peft_type"), str):
        raise InputError(
            f"{folder / 'adapter_config.json'} has no peft_type; expected the configuration of a PEFT adapter"
        )
    if not (folder / "adapter_model.safetensors").is_file():
        raise InputError(f"{folder} has no adapter_model.safetensors")
    return config


def is_full_model(folder: Path) -> bool:
    """Whether a trained folder holds whole weights (full fine-tuning) rather than an adapter."""
    return (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file()


def refuse_executables(folder: Path) -> None:
    """Raises Refused on the first file that is a pickle, an archive or code, or JSON that asks for code to be fetched."""
    for path in _files(folder):
        suffix = path.suffix.lower()
        if suffix in CODE_SUFFIXES:
            raise Refused(
                f"{path} is code that came with the model", hint="Lathe runs no code of a model; delete the file."
            )
        if suffix in PICKLE_SUFFIXES or _looks_executable(path):
            raise Refused(
                f"{path} is a pickle or an archive, which can execute code when it is opened",
                hint="Use a copy of the model with *.safetensors weights and without this file.",
            )
        if suffix == ".safetensors":
            _read_header(path)
        if path.name.endswith("config.json"):
            asks = [key for key in CODE_KEYS if _asks_for_code(_read_json(path), key)]
            if asks:
                raise Refused(
                    f"{path} asks for remote code ({asks[0]})",
                    hint="Lathe runs no code of a model; use an architecture that transformers has itself.",
                )


def _files(folder: Path) -> Iterator[Path]:
    """Files below the folder, hidden ones left out (.git, .cache are never opened by a loader)."""
    count = 0
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or not path.is_file():
            continue
        count += 1
        if count > MAX_FILES:
            raise InputError(f"{folder} holds more than {MAX_FILES} files; expected a model folder")
        yield path


def _looks_executable(path: Path) -> bool:
    """A pickle (protocol 2 to 5, or torch's legacy tar) or an archive, by its first bytes."""
    with open(path, "rb") as file:
        head = file.read(262)
    binary_pickle = len(head) > 1 and head[0] == 0x80 and 1 <= head[1] <= 5
    return binary_pickle or head.startswith(ARCHIVE_HEADS) or head[257:262] == b"ustar"


def _asks_for_code(config: Json, key: str) -> bool:
    return isinstance(config, dict) and bool(config.get(key))


def _read_json(path: Path) -> Json:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise InputError(f"{path} has {path.stat().st_size} bytes; expected at most {MAX_JSON_BYTES}")
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path.parent} has no {path.name}; expected a model folder") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from error


def _check_numbers(path: Path, config: Mapping[str, Json]) -> None:
    for key, (low, high) in BOUNDS.items():
        value = config.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InputError(f"{path}: {key}: got {value!r}, expected a whole number from {low} to {high}")


def _read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file. Raises Refused where the file is something else under that name."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        wrong = Refused(f"{path} is not a safetensors file", hint="Fetch it again; Lathe opens no other weight format.")
        if size < 10 or not 2 <= length <= min(size - 8, MAX_HEADER_BYTES):
            raise wrong
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise wrong from error
    if not isinstance(header, dict):
        raise wrong
    return {name: entry for name, entry in header.items() if name != "__metadata__"}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as a safetensors header announces it. dtype: the format's own name, such as BF16."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """What the folder's *.safetensors files hold, by name, read from their headers."""
    found: dict[str, StoredTensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        for name, entry in _read_header(path).items():
            shape = entry.get("shape") if isinstance(entry, dict) else None
            if not isinstance(shape, list) or not all(isinstance(n, int) and n >= 0 for n in shape):
                raise Refused(f"{path}: {name} has no shape; this is not a sound safetensors file")
            found[name] = StoredTensor(str(entry.get("dtype")), tuple(shape))
    return found


def _check_weights(folder: Path, config: Mapping[str, Json]) -> None:
    """The embedding and the number of layers that config.json announces are those in the files."""
    stored = stored_tensors(folder)
    if not stored:
        raise InputError(f"{folder} has no *.safetensors weights", hint="Lathe loads safetensors only, never pickles.")
    held = sum(tensor.size for tensor in stored.values())
    vocab, hidden, layers = (config.get(key) or 0 for key in ("vocab_size", "hidden_size", "num_hidden_layers"))
    # A lower bound of what such a model needs; more than the files hold means that the rest would be made up.
    announced = vocab * hidden + layers * hidden
    if announced > held:
        raise InputError(
            f"{folder / 'config.json'} announces at least {announced:,} parameters, but the safetensors files hold {held:,}"
        )
