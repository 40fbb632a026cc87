"""Refuses what could run code when a model is loaded: pickles, archives, code, configurations that ask for code.

Judged by name and by content. Nothing here opens a pickle or imports a module.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from pathlib import Path

from lathe.errors import InputError, Refused
from lathe.model_folder.configuration import read_json
from lathe.model_folder.weights import SAFE_HINT, read_header

PICKLE_SUFFIXES = frozenset(
    {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".mar", ".npy", ".npz"}
)
CODE_SUFFIXES = frozenset({".py", ".pyc", ".pyo", ".so", ".dll", ".dylib"})
ARCHIVES = (
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ", "an xz archive"),
    (257, b"ustar", "a tar archive"),
)
"""Place in the file, bytes there, and what they tell."""
CODE_KEYS = ("auto_map", "auto_mapping", "custom_generate", "custom_pipelines", "trust_remote_code")
CALLING_OPCODES = {
    "GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "REDUCE", "BUILD", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4",
}  # fmt: skip
"""Opcodes by which a pickle names or calls code."""
MAX_FILES = 10_000
HEAD_BYTES = 1 << 20


def refuse_executables(folder: Path) -> None:
    """Raises Refused on the first file that is a pickle, an archive or code, is no safetensors under that name, or asks for code
    to be fetched; InputError where a header or a configuration is damaged."""
    for path in shown_files(folder):
        refuse_file(path)
        if path.suffix.lower() == ".safetensors":
            read_header(path)
        if path.name.endswith("config.json"):
            refuse_remote_code(path)


def shown_files(folder: Path) -> Iterator[Path]:
    """Files below the folder, hidden ones left out (.git, .cache are never opened by a loader). Raises InputError."""
    count = 0
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or not path.is_file():
            continue
        count += 1
        if count > MAX_FILES:
            raise InputError(f"{folder} holds more than {MAX_FILES:,} files; expected a model folder")
        yield path


def refuse_file(path: Path) -> None:
    """Raises Refused for pickles, archives and code."""
    suffix = path.suffix.lower()
    if suffix in CODE_SUFFIXES:
        raise Refused(f"{path} is code, and Lathe runs no code that comes with a model", hint="Remove it.")
    if suffix in PICKLE_SUFFIXES:
        raise Refused(f"{path} can hold a pickle, which runs code when it is opened", hint=SAFE_HINT)
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    for place, magic, words in ARCHIVES:
        if head.startswith(magic, place):
            raise Refused(f"{path} is {words}, whatever its name says", hint=SAFE_HINT)
    # The length of a sound safetensors header can look like the first bytes of a pickle; `read_header` judges those files.
    if suffix != ".safetensors" and is_pickle(head):
        raise Refused(f"{path} is a pickle, whatever its name says", hint=SAFE_HINT)


def is_pickle(data: bytes) -> bool:
    """Whether bytes are a pickle, of any protocol: read as opcodes, never executed."""
    if data[:1] == b"\x80" and data[1:2] in (b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    try:
        return any(opcode.name in CALLING_OPCODES for opcode, _, _ in pickletools.genops(data)) and b"." in data
    except Exception:  # any other bytes than a pickle's end in one error or another
        return False


def refuse_remote_code(path: Path) -> None:
    """Raises Refused where a configuration names code that should be loaded with the model, InputError where it is no JSON."""
    config = read_json(path, "the configuration of a model")
    for key in CODE_KEYS:
        if config.get(key):
            raise Refused(
                f"{path} asks for remote code ({key})",
                hint="Take a model whose architecture transformers knows; Lathe runs no code that comes with a model.",
            )
