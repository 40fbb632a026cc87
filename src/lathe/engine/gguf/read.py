"""What a GGUF file says about itself, read without llama.cpp."""

from __future__ import annotations

from pathlib import Path

import gguf

from lathe.engine.llama_server import check_gguf
from lathe.errors import InputError


def format_of(path: Path) -> str:
    """F16, Q8_0 ... as general.file_type says it; an empty text where it does not. Raises InputError where it is no GGUF file."""
    check_gguf(path)
    try:
        field = gguf.GGUFReader(path).fields.get("general.file_type")
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise InputError(
            f"{path} is a damaged GGUF file: {error}", hint="Write or fetch it again; it may be cut off."
        ) from error
    if field is None:
        return ""
    try:
        return gguf.LlamaFileType(int(field.contents())).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        return ""
