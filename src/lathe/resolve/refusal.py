"""Refuses a base folder that could run code, by content and not by name, and says what is missing in one that is no model.

    check_folder(Path("models/mine"))     nothing, or Refused, or InputError

Nothing here opens a pickle, imports a module or allocates by a number of a stranger's file.
"""

from __future__ import annotations

import json
import pickletools
from pathlib import Path

from lathe.errors import InputError, Refused
from lathe.resolve.weights import check_weights

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz")
REMOTE_CODE_KEYS = ("auto_map", "custom_generate", "trust_remote_code", "custom_pipelines")
CALLING_OPCODES = {
    "GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "REDUCE", "BUILD", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4",
}  # fmt: skip
"""Opcodes by which a pickle names or calls code."""
ARCHIVES = ((b"PK\x03\x04", "a zip archive"), (b"7z\xbc\xaf\x27\x1c", "a 7z archive"), (b"\x1f\x8b", "a gzip archive"))
LARGEST_FILES = {"tokenizer.json": 200_000_000, "chat_template.jinja": 1_000_000}
"""Bytes; a tokenizer of 256,000 entries has about 35 MB."""
LARGEST_SIZES = {
    "vocab_size": 10_000_000,
    "hidden_size": 1_000_000,
    "intermediate_size": 10_000_000,
    "num_hidden_layers": 10_000,
    "num_attention_heads": 10_000,
    "num_key_value_heads": 10_000,
    "head_dim": 100_000,
    "max_position_embeddings": 100_000_000,
}
"""Sizes in config.json that decide allocations, with a bound far above any model."""
SAFE_HINT = "Convert the weights to safetensors, and remove the file from the folder."


def check_folder(folder: Path) -> None:
    """Refuses a base folder with executable content, and says what is missing in one that is no model."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not hidden(path.relative_to(folder)):
            refuse_file(path, path.relative_to(folder))
    config = read_json(folder / "config.json", "a model's configuration")
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        if (folder / name).is_file():
            refuse_remote_code(read_json(folder / name, "a model's configuration"), folder / name)
    if not isinstance(config.get("model_type"), str):
        raise InputError(
            f"{folder / 'config.json'} names no model_type", hint="Is this the folder of a transformers model?"
        )
    check_sizes(config, folder / "config.json")
    if not any(folder.glob("*.safetensors")):
        raise InputError(
            f"{folder} holds no *.safetensors weights", hint="Save the model with safe_serialization=True."
        )
    if not (folder / "tokenizer.json").is_file():
        raise InputError(f"{folder} holds no tokenizer.json", hint="Save the fast tokenizer into the folder.")
    for name, largest in LARGEST_FILES.items():
        if (folder / name).is_file() and (folder / name).stat().st_size > largest:
            raise InputError(f"{folder / name} is larger than {largest:,} bytes", hint="Is this the file of a model?")


def check_sizes(config: dict[str, object], path: Path) -> None:
    """Raises InputError for a size that no model has, before anything is allocated by it."""
    for key, largest in LARGEST_SIZES.items():
        size = config.get(key)
        if size is not None and not (type(size) is int and 1 <= size <= largest):
            raise InputError(f"{path}: {key} is {str(size)[:40]}, expected a whole number from 1 to {largest:,}")


def hidden(relative: Path) -> bool:
    """Whether a path lies in a hidden folder, such as the download notes of the Hub client."""
    return any(part.startswith(".") for part in relative.parts)


def refuse_file(path: Path, name: Path) -> None:
    """Raises Refused for pickles, archives, Python code and weights that are not what their name says."""
    if path.suffix == ".py":
        raise Refused(
            f"{name} in the base folder is Python code, and Lathe runs no code that comes with a model",
            hint="Remove it.",
        )
    if path.suffix in PICKLES:
        raise Refused(f"{name} in the base folder can hold a pickle, which runs code when it is opened", hint=SAFE_HINT)
    with open(path, "rb") as file:
        head = file.read(512)
        for magic, words in ARCHIVES:
            if head.startswith(magic):
                raise Refused(f"{name} in the base folder is {words}, whatever its name says", hint=SAFE_HINT)
        if head[257:262] == b"ustar":
            raise Refused(f"{name} in the base folder is a tar archive, whatever its name says", hint=SAFE_HINT)
        if path.suffix != ".safetensors" and is_pickle(head + file.read(1 << 20)):
            raise Refused(f"{name} in the base folder is a pickle, whatever its name says", hint=SAFE_HINT)
    if path.suffix == ".safetensors":
        check_weights(path, str(name))


def is_pickle(data: bytes) -> bool:
    """Whether bytes are a pickle, of any protocol: read as opcodes, never executed."""
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    try:
        return any(opcode.name in CALLING_OPCODES for opcode, _, _ in pickletools.genops(data)) and b"." in data
    except Exception:  # any other bytes than a pickle's end in one error or another
        return False


def refuse_remote_code(config: dict[str, object], path: Path) -> None:
    """Raises Refused where a configuration names code that should be loaded with the model."""
    for key in REMOTE_CODE_KEYS:
        if config.get(key):
            raise Refused(
                f"{path.name} of the base asks for remote code ({key})",
                hint="Take a model whose architecture transformers knows; Lathe runs no code that comes with a model.",
            )


def read_json(path: Path, what: str) -> dict[str, object]:
    """A JSON object from a file of at most 10 MB. Raises InputError."""
    if not path.is_file():
        raise InputError(f"{path.parent} holds no {path.name} ({what})", hint="Is this the folder of a model?")
    if path.stat().st_size > 10_000_000:
        raise InputError(f"{path} is larger than 10 MB, expected {what}")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a {type(value).__name__}, expected an object ({what})")
    return value
