"""Reads the head of a safetensors file as strictly as a stranger's file deserves, without reading a weight.

The format: 8 bytes (little endian) say how long the header is; the header is a JSON object that gives each tensor its type, its
shape and the bytes that hold it; the bytes follow without gap or overlap to the end of the file.
See https://huggingface.co/docs/safetensors (Format).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from lathe.errors import InputError, Refused

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit."""
MAX_RANK = 8
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "F4": 4, "C64": 64,
}  # fmt: skip


def check_weights(path: Path, name: str) -> None:
    """Raises Refused where the file is no safetensors, InputError where it is damaged or cut off. `name`: what messages call it."""
    num_bytes = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        begin = file.read(1)
        if num_bytes < 10 or begin != b"{" or length > MAX_HEADER_BYTES:
            hint = "Convert the weights to safetensors, and remove the file from the folder."
            raise Refused(f"{name} in the base folder is no safetensors file, whatever its name says", hint=hint)
        if length > num_bytes - 8:
            raise cut_off(name, length + 8, num_bytes)
        text = begin + file.read(length - 1)
    try:
        header = json.loads(text, object_pairs_hook=unique)
        end = end_of(header)
    except (ValueError, TypeError, RecursionError, KeyError) as error:
        raise InputError(
            f"{name}: the header cannot be read ({error})", hint="Download or save the file again."
        ) from error
    if end != num_bytes - 8 - length:
        raise cut_off(name, end + 8 + length, num_bytes)


def cut_off(name: str, expected: int, found: int) -> InputError:
    """The error for a file that is shorter or longer than its header says."""
    words = "cut off" if found < expected else "longer than it should be"
    message = f"{name} is {words}: its header says {expected:,} bytes, the file has {found:,}"
    return InputError(message, hint="Download or save the file again.")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different. Raises ValueError."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def end_of(header: dict[str, Any]) -> int:
    """Bytes of all tensors together. Raises ValueError, TypeError or KeyError where they do not follow one another exactly."""
    spans = sorted(span(entry) for key, entry in header.items() if key != "__metadata__")
    end = 0
    for begin, after in spans:
        if begin != end:
            raise ValueError(f"the tensors overlap or leave a gap at byte {min(begin, end):,}")
        end = after
    return end


def span(entry: dict[str, Any]) -> tuple[int, int]:
    """First byte and the one after the last of a tensor, if they are as many as type and shape need."""
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    sizes = [*shape, begin, end]
    if len(shape) > MAX_RANK or not all(type(size) is int and 0 <= size < 1 << 48 for size in sizes):
        raise ValueError(f"a tensor of shape {str(shape)[:60]}")
    bits = math.prod(shape) * BITS[entry["dtype"]]
    if bits % 8 or bits // 8 != end - begin:
        raise ValueError(f"{end - begin:,} bytes for a tensor of shape {shape} and type {entry['dtype']}")
    return begin, end
