"""A folder that looks like a model, of some hundred bytes, made without torch."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any


def safetensors(**tensors: tuple[list[int], int]) -> bytes:
    """A file in the format: length of the header, header, zeros. Each tensor: shape and bytes, as 32-bit floats."""
    header, at = {}, 0
    for name, (shape, size) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    return with_header(json.dumps(header), at)


def with_header(text: str, num_bytes: int = 16) -> bytes:
    """A file with this header and as many bytes behind it."""
    return struct.pack("<Q", len(text)) + text.encode() + bytes(num_bytes)


def write_folder(folder: Path, **changed: Any) -> Path:
    """A folder that looks like a base. `changed`: entries of config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "hidden_size": 8, **changed}))
    (folder / "model.safetensors").write_bytes(safetensors(weight=([2, 2], 16)))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text("{}")
    return folder


def change(path: Path, **entries: Any) -> None:
    """Sets entries of a JSON object on disk, which is made where there is none."""
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(content | entries))


class Bomb:
    """Were it ever unpickled, a file would appear."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)
