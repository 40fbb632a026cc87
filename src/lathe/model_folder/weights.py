"""Reads the header of a safetensors file, and no weight but where two are held against each other.

The format: 8 bytes (little endian) say how long the header is; the header is a JSON object that gives each tensor its type, its
shape and the bytes that hold it; the bytes follow without gap or overlap to the end of the file.
See https://huggingface.co/docs/safetensors (Format).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lathe.errors import InputError, Refused
from lathe.records import Json

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit."""
MAX_RANK = 8
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "F4": 4, "C64": 64,
}  # fmt: skip
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
COMPARED_BYTES = 1 << 20
SAFE_HINT = "Use a copy of the model with *.safetensors weights, and without this file."


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
    """What the folder's *.safetensors files hold, by name. Raises as `read_header`."""
    return {name: tensor for path in sorted(folder.glob("*.safetensors")) for name, tensor in read_header(path).items()}


def read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file, by name.

    Raises Refused where the file is something else under that name, InputError where it is damaged or cut off.
    """
    entries, _ = _entries(path)
    return {name: StoredTensor(entry["dtype"], tuple(entry["shape"])) for name, entry in entries.items()}


def has_own_head(folder: Path) -> bool:
    """Whether an output head stands beside an embedding that it differs from: transformers then loads both, also where config.json
    ties them (5.23, `PreTrainedModel.tie_weights`). Raises as `read_header`.

    Cost: the two are read up to the first difference.
    """
    spans: dict[str, tuple[Path, int, int]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        entries, begin = _entries(path)
        for name in (EMBEDDING, HEAD):
            if name in entries:
                first, after = entries[name]["data_offsets"]
                spans[name] = path, begin + first, after - first
    if len(spans) < 2:
        return False
    (one, at_one, num_bytes), (other, at_other, others) = spans[EMBEDDING], spans[HEAD]
    if num_bytes != others:
        return True
    with open(one, "rb") as embedding, open(other, "rb") as head:
        embedding.seek(at_one)
        head.seek(at_other)
        sizes = (min(COMPARED_BYTES, num_bytes - done) for done in range(0, num_bytes, COMPARED_BYTES))
        return any(embedding.read(size) != head.read(size) for size in sizes)


def _entries(path: Path) -> tuple[dict[str, Json], int]:
    """What the header says of each tensor, and the byte of the file at which the tensors begin. Raises as `read_header`."""
    try:
        with open(path, "rb") as file:
            num_bytes = path.stat().st_size
            text = _header(path, file, num_bytes)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint="Download or save the file again.") from error
    try:
        header = json.loads(text, object_pairs_hook=_unique)
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        end = _end_of(entries)
    except (ValueError, TypeError, RecursionError, KeyError) as error:
        raise InputError(
            f"{path}: the header cannot be read ({error})", hint="Download or save the file again."
        ) from error
    if end != num_bytes - 8 - len(text):
        raise _wrong_size(path, end + 8 + len(text), num_bytes)
    return entries, 8 + len(text)


def _header(path: Path, file: BinaryIO, num_bytes: int) -> bytes:
    """The bytes of the header. Raises Refused and InputError as `read_header`."""
    length = int.from_bytes(file.read(8), "little")
    begin = file.read(1)
    if num_bytes == 0:
        raise InputError(f"{path} is empty", hint="Download or save the file again.")
    if num_bytes < 10 or begin != b"{" or not 2 <= length <= MAX_HEADER_BYTES:
        raise Refused(f"{path} is not a safetensors file, whatever its name says", hint=SAFE_HINT)
    if length > num_bytes - 8:
        raise _wrong_size(path, length + 8, num_bytes)
    return begin + file.read(length - 1)


def _wrong_size(path: Path, expected: int, found: int) -> InputError:
    """The error for a file that is shorter or longer than its header says."""
    words = "cut off" if found < expected else "longer than it should be"
    message = f"{path} is {words}: its header says {expected:,} bytes, the file has {found:,}"
    return InputError(message, hint="Download or save the file again.")


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object whose keys are all different. Raises ValueError."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _end_of(entries: dict[str, Json]) -> int:
    """Bytes of all tensors together. Raises ValueError, TypeError or KeyError where they do not follow one another exactly."""
    end = 0
    for begin, after in sorted(_span(entry) for entry in entries.values()):
        if begin != end:
            raise ValueError(f"the tensors overlap or leave a gap at byte {min(begin, end):,}")
        end = after
    return end


def _span(entry: dict[str, Json]) -> tuple[int, int]:
    """First byte and the one after the last of a tensor, if they are as many as type and shape need."""
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    sizes = [*shape, begin, end]
    counts = all(type(size) is int and 0 <= size < 1 << 48 for size in sizes)
    if type(shape) is not list or len(shape) > MAX_RANK or not counts:
        raise ValueError(f"a tensor of shape {str(shape)[:60]}")
    bits = math.prod(shape) * BITS[entry["dtype"]]
    if bits % 8 or bits // 8 != end - begin:
        raise ValueError(f"{end - begin:,} bytes for a tensor of shape {shape} and type {entry['dtype']}")
    return begin, end
