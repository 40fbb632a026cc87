"""Headers of safetensors files: what is none is refused, what is damaged is told before anything loads it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from lathe.errors import InputError, Refused
from lathe.model_folder import StoredTensor, check_base, has_own_head, stored_tensors
from small_folder import safetensors, with_header


@pytest.mark.parametrize(
    "data",
    [b"1234567", b"\xff" * 8, struct.pack("<Q", 10**12) + b"{}", struct.pack("<Q", 2) + b"[]",
     struct.pack("<Q", 2) + b"[]" + bytes(8), struct.pack("<Q", 4) + b"nul!", struct.pack("<Q", 9),
     struct.pack("<Q", 0) + b"{}", b"GGUF" + bytes(100)],
    ids=["short", "ones", "long-header", "list-header", "list-header-and-more", "no-json", "no-header",
         "zero-header", "gguf"],
)  # fmt: skip
def test_weights_that_are_not_safetensors_are_refused(base: Path, data: bytes) -> None:
    (base / "model.safetensors").write_bytes(data)
    with pytest.raises(Refused, match="not a safetensors file"):
        check_base(base)


def tensor(**changed: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16], **changed}


DAMAGED = {
    "empty": (b"", "is empty"),
    "cut-off": (safetensors(weight=([2, 2], 16))[:-1], "is cut off"),
    "cut-in-header": (safetensors(weight=([2, 2], 16))[:20], "is cut off"),
    "too-long": (safetensors(weight=([2, 2], 16)) + b"\0", "longer than it should be"),
    "no-json": (with_header("{nothing"), "header cannot be read"),
    "twice": (with_header('{"a": %s, "a": %s}' % ((json.dumps(tensor()),) * 2)), "stands twice"),
    "overlap": (with_header(json.dumps({"a": tensor(), "b": tensor()}), 32), "overlap"),
    "gap": (with_header(json.dumps({"a": tensor(), "b": tensor(data_offsets=[20, 36])}), 36), "gap"),
    "wrong-size": (with_header(json.dumps({"a": tensor(shape=[3, 2])})), "16 bytes for a tensor"),
    "negative": (with_header(json.dumps({"a": tensor(shape=[-2, -2])})), "shape"),
    "huge": (with_header(json.dumps({"a": tensor(shape=[2**60, 2**60])})), "shape"),
    "fraction": (with_header(json.dumps({"a": tensor(shape=[2.0, 2])})), "shape"),
    "no-list": (with_header(json.dumps({"a": tensor(shape={}, data_offsets=[0, 4])}), 4), "shape"),
    "many-dimensions": (with_header(json.dumps({"a": tensor(shape=[1] * 9 + [4])})), "shape"),
    "unknown-type": (with_header(json.dumps({"a": tensor(dtype="OBJ")})), "OBJ"),
    "no-offsets": (with_header('{"a": {"dtype": "F32", "shape": [2]}}'), "header cannot be read"),
    "list-entry": (with_header('{"a": [1]}'), "header cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_weights_are_told_before_anything_loads_them(base: Path, name: str) -> None:
    data, says = DAMAGED[name]
    (base / "model.safetensors").write_bytes(data)
    with pytest.raises(InputError, match=says):
        check_base(base)


@pytest.mark.parametrize("length", range(0x80 | 1 << 8, 0x80 | 6 << 8, 1 << 8))
def test_a_sound_header_whose_length_begins_like_a_pickle_is_no_pickle(base: Path, length: int) -> None:
    """384, 640, 896 ... bytes are lengths that real adapters have."""
    data = with_header(json.dumps({"weight": tensor()}).ljust(length))
    assert data[0] == 0x80
    assert 1 <= data[1] <= 5
    (base / "model.safetensors").write_bytes(data)
    check_base(base)


def test_what_a_folder_stores_is_read_from_all_of_its_headers(base: Path) -> None:
    (base / "model-2.safetensors").write_bytes(safetensors(bias=([3], 12), none=([0, 4], 0)))
    assert stored_tensors(base) == {
        "weight": StoredTensor("F32", (2, 2)),
        "bias": StoredTensor("F32", (3,)),
        "none": StoredTensor("F32", (0, 4)),
    }
    assert sum(tensor.size for tensor in stored_tensors(base).values()) == 7


@pytest.mark.parametrize("apart", [True, False], ids=["in two files", "in one"])
def test_a_head_is_its_own_where_a_byte_of_it_is_not_the_embeddings(base: Path, apart: bool) -> None:
    large = 3 << 20
    embedding, head = {"model.embed_tokens.weight": ([3, 1 << 18], large)}, {"lm_head.weight": ([3, 1 << 18], large)}
    files = [safetensors(**embedding), safetensors(**head)] if apart else [safetensors(**embedding, **head)]
    for number, data in enumerate(files):
        (base / f"model-{number}.safetensors").write_bytes(data)
    assert not has_own_head(base), "nor is one that repeats it"
    (base / f"model-{len(files) - 1}.safetensors").write_bytes(files[-1][:-1] + b"\1")
    assert has_own_head(base)


def test_a_model_without_a_head_in_its_files_has_none_of_its_own(base: Path) -> None:
    (base / "model.safetensors").write_bytes(safetensors(**{"model.embed_tokens.weight": ([2, 2], 16)}))
    assert not has_own_head(base)
    (base / "model.safetensors").unlink()
    assert not has_own_head(base)
