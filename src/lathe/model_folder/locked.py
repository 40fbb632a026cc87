"""Is a base still the one that a run was locked with? An adapter over other weights answers, fluently, what nobody measured.

    refuse_another(Path("models/mine"), locked.base_files)     -> None, or InputError: model.safetensors is not the file that ...

Cost: one reading of the weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lathe.errors import InputError
from lathe.records import FileHash
from lathe.storage import file_sha256

ANSWERS_DEPEND_ON = frozenset(
    {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "chat_template.json", "chat_template.jinja", "tokenizer.model", "merges.txt", "vocab.txt",
        "vocab.json", "model.safetensors.index.json",
    }
)  # fmt: skip
"""Files beside the weights that a model is opened with. Others, such as notes of how it came about, may change."""


def refuse_another(folder: Path, locked: Iterable[FileHash]) -> None:
    """Raises InputError where a file that answers depend on is not what it was."""
    for file in locked:
        if not file.path.endswith(".safetensors") and file.path not in ANSWERS_DEPEND_ON:
            continue
        path = folder / file.path
        if not path.is_file():
            raise InputError(f"{path} is not there; the run was made with it", hint="Bring the base back to its place.")
        if path.stat().st_size != file.num_bytes or file_sha256(path) != file.sha256:
            raise InputError(
                f"{path} is not the file that the run was made with: its sha256 is not {file.sha256[:12]}",
                hint="Bring the file back, or run the recipe again: it trains on the base of today.",
            )
