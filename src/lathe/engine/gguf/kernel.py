"""llama.cpp's own quantisation of rows, out of the library that comes in the wheel of xllamacpp.

The package shows no such function to Python, but its library exports `ggml_quantize_chunk` of ggml.h by that name; it reads
float32, writes blocks, and knows nothing of files. Where a build hides it (as on Windows), `problem` says so. Cost on one core:
20 to 40 million weights a second.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from lathe.errors import Unavailable

PACKAGE = "xllamacpp"
FUNCTION = "ggml_quantize_chunk"
HINT = "Ship gguf_q8_0, gguf_q5_1 or gguf_q4_0 instead: they need no quantiser."


def problem() -> str:
    """Why the function cannot be had here; empty where it can. Loads the library (30 ms), runs nothing of it."""
    try:
        _function()
    except (OSError, AttributeError):
        return f"this build of {PACKAGE} does not show llama.cpp's {FUNCTION}"
    return ""


def quantised(weight: NDArray[np.float32], type_id: int, row_bytes: int) -> NDArray[np.uint8]:
    """Rows in blocks: shape (rows, width) in, (rows, row_bytes) out. width: a multiple of the type's block.

    type_id: ggml's number of the type, which is also what a GGUF file says. Raises Unavailable where `problem` is not empty.
    """
    if said := problem():
        raise Unavailable(said, hint=HINT)
    rows = np.ascontiguousarray(weight, dtype=np.float32)
    out = np.empty((rows.shape[0], row_bytes), np.uint8)
    written = _function()(type_id, rows.ctypes.data, out.ctypes.data, 0, rows.shape[0], rows.shape[1], None)
    if written != out.nbytes:
        raise Unavailable(f"llama.cpp wrote {written:,} bytes where {out.nbytes:,} belong", hint=HINT)
    return out


@lru_cache(maxsize=1)
def _function() -> ctypes._NamedFuncPointer:
    """size_t ggml_quantize_chunk(type, src, dst, start, nrows, n_per_row, imatrix). Raises OSError, AttributeError."""
    package = find_spec(PACKAGE)
    library = PathFinder.find_spec(PACKAGE, package.submodule_search_locations) if package else None
    if library is None or library.origin is None:
        raise OSError(f"{PACKAGE} is not installed")
    function = ctypes.CDLL(library.origin)[FUNCTION]
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    function.argtypes = [ctypes.c_int, pointer, pointer, count, count, count, pointer]
    function.restype = ctypes.c_size_t
    return function
