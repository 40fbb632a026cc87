"""Writes safetensors files with one tensor in memory at a time; the library's own writer wants all of them at once.

    write_tensors(path, {"model.head": held}, gather)       # gather("model.head", held) gives it whole when its turn comes

So what lies in shards over several processes is gathered piece by piece, and none of them ever holds it all. The library reads it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
"""safetensors' names of the formats."""

BUFFER = 1 << 20
"""Bytes that are gathered before they are written: an adapter has hundreds of tensors of a few kilobytes."""

Gather = Callable[[str, Tensor], Tensor]
"""(name, tensor as it is held) -> the whole of it, on the CPU."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], gather: Gather) -> None:
    """Writes them all. tensors: as they are held, which tells shape and format. Raises OSError."""
    # Wide numbers first, so that each tensor begins at a multiple of the size of its numbers.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, object] = {}
    end = 0
    for name in names:
        held = tensors[name]
        start, end = end, end + held.numel() * held.element_size()
        header[name] = {"dtype": NAMES[held.dtype], "shape": [*held.shape], "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb", buffering=BUFFER) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(gather(name, tensors[name]).contiguous().flatten().view(torch.uint8).numpy())
