"""What a GGUF file says about itself, read without llama.cpp."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gguf

from lathe.engine.llama_server import check_gguf
from lathe.errors import InputError


@dataclass(frozen=True)
class Matrix:
    """A weight of two dimensions or more. kind: its type in the file. width: of a row."""

    name: str
    kind: gguf.GGMLQuantizationType
    width: int
    num_weights: int
    num_bytes: int


def format_of(path: Path) -> str:
    """F16, Q8_0 ... as general.file_type says it; an empty text where it does not. Raises InputError where it is no GGUF file."""
    field = _opened(path).fields.get("general.file_type")
    if field is None:
        return ""
    try:
        return gguf.LlamaFileType(int(field.contents())).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        return ""


def matrices(path: Path) -> list[Matrix]:
    """The matrices of a file. Raises InputError where it is no GGUF file."""
    return [
        Matrix(one.name, one.tensor_type, int(one.shape[0]), int(one.n_elements), int(one.n_bytes))
        for one in _opened(path).tensors
        if len(one.shape) > 1
    ]


def vocabulary(path: Path) -> int:
    """How many tokens a file knows. Raises InputError where it is no GGUF file."""
    field = _opened(path).fields.get("tokenizer.ggml.tokens")
    return 0 if field is None else len(field.data)


def _opened(path: Path) -> gguf.GGUFReader:
    check_gguf(path)
    try:
        return gguf.GGUFReader(path)
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise InputError(
            f"{path} is a damaged GGUF file: {error}", hint="Write or fetch it again; it may be cut off."
        ) from error
