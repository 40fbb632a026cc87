"""C++ of Lathe's own, compiled on this machine for its own processor.

    found = library(Path("compiled.cpp"), torch.bfloat16, {"add": (INT, AT, AT)})        # a ctypes.CDLL, or why there is none

Compiling takes a second, once a machine: the result stays in $XDG_CACHE_HOME/lathe (~/.cache/lathe) under the digest of all that it
depends on, the processor among it. It is loaded without torch's headers and called with addresses.
"""

from __future__ import annotations

import ctypes
import math
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from lathe.processes import compiler

_HEADERS = tuple(Path(__file__).with_name(name) for name in ("numbers.h", "tiles.h"))
"""What sources include."""
_OPTIONS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fopenmp",
    "-shared",
    "-fPIC",
)
"""No option changes what a sum is: only loops that say so (omp simd) add in another order."""
_NUMBERS = {torch.bfloat16: "bf16", torch.float32: "float"}
_SECONDS = 60
INT, FLOAT, AT = ctypes.c_int64, ctypes.c_float, ctypes.c_void_p
"""Types of the functions' arguments: sizes, numbers, addresses."""


def library(source: Path, narrow: torch.dtype, signatures: Mapping[str, Sequence[type]]) -> ctypes.CDLL | str:
    """The functions of a source for a format of narrow numbers, or why they cannot be had. signatures: arguments by function."""
    if narrow not in _NUMBERS:
        return f"numbers are {narrow}".replace("torch.", "")
    name = compiler()
    if name is None:
        return "no C++ compiler was found"
    try:
        found = ctypes.CDLL(str(_compiled(source, name, _NUMBERS[narrow])))
        for function, arguments in signatures.items():
            declared = getattr(found, function)
            declared.argtypes, declared.restype = arguments, None
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().partition("\n")[0]
        return f"{name} did not compile: {said or f'exit code {error.returncode}'}"
    except (OSError, subprocess.TimeoutExpired, AttributeError) as error:
        return f"{name} gave nothing that could be loaded: {error}"
    return found


def in_tiles(source: Path, signatures: Mapping[str, Sequence[type]]) -> ctypes.CDLL | str:
    """The functions of a source that includes tiles.h, for bf16 in a processor's matrix units (AMX), or why they cannot be had.
    What oneDNN is told to leave out of the processor is left out here too."""
    capped = os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT").upper()
    if capped not in ("DEFAULT", "ALL") and "AMX" not in capped:
        return f"ONEDNN_MAX_CPU_ISA is {capped}"
    found = library(source, torch.bfloat16, {"permitted": (AT,), **signatures})
    if isinstance(found, str):
        return found
    permitted = ctypes.c_int64()
    found.permitted(ctypes.addressof(permitted))
    return found if permitted.value else "this processor has no matrix units (AMX)"


def _compiled(source: Path, name: str, number: str) -> Path:
    """Path of the compiled source, compiled now if it is not there."""
    # What the compiler predefines tells its version and all that this processor can do; folders are shared between machines.
    target = _run(name, *_OPTIONS, "-dM", "-E", "-x", "c++", os.devnull)
    texts = [path.read_text(encoding="utf-8") for path in (source, *_HEADERS)]
    depends = "\0".join((*texts, *_OPTIONS, number, target))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lathe"
    path = cache / f"{source.parent.name}-{number}-{sha256(depends.encode()).hexdigest()[:16]}.so"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        # Elsewhere and then renamed: several processes may be at it, and each finds the whole file or none.
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            made = Path(folder, path.name)
            _run(name, *_OPTIONS, f"-DNUMBER={number}", str(source), "-o", str(made))
            os.replace(made, path)
    return path


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True).stdout


def address(whole: Tensor) -> int:
    """Address of a tensor without gaps."""
    assert whole.is_contiguous()
    return whole.data_ptr()


def spaced(matrix: Tensor) -> tuple[int, int]:
    """Address of a tensor whose rows have no gaps in them, and how far apart the rows lie."""
    apart, *strides = matrix.stride()
    assert strides == [math.prod(matrix.shape[place:]) for place in range(2, matrix.dim() + 1)]
    return matrix.data_ptr(), apart
