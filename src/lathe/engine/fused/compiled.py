"""The element-wise parts of the fused step in C++ (`compiled.cpp`), compiled on this machine for its own processor.

    ops = load(torch.bfloat16)        # Compiled, or why there is none

Compiling takes a second, once a machine: the result stays in $XDG_CACHE_HOME/lathe (~/.cache/lathe) under the digest of all that it
depends on, the processor among it. It is loaded without torch's headers and called with addresses. `elementwise.Elementwise` says
what each function computes.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from lathe.engine.arena import New
from lathe.engine.fused.batches import Batch
from lathe.processes import compiler

_SOURCE = Path(__file__).with_name("compiled.cpp")
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
_INT, _FLOAT, _AT = ctypes.c_int64, ctypes.c_float, ctypes.c_void_p
_SIGNATURES = {
    "normalise": (_INT, _INT, _AT, _FLOAT, _AT, _AT),
    "add_normalise_backward": (_INT, _INT, _AT, _AT, _INT, _AT, _AT),
    "add": (_INT, _INT, _AT, _AT, _INT),
    "turn": (_INT, _INT, _INT, _AT, _INT, _AT, _FLOAT, _INT, _AT, _INT),
    "turn_wide": (_INT, _INT, _INT, _AT, _INT, _AT, _FLOAT, _INT, _AT, _INT),
    "gated": (_INT, _INT, _AT, _INT, _AT),
    "gated_backward": (_INT, _INT, _AT, _INT, _AT, _INT, _AT),
    "gather": (_INT, _INT, _INT, _INT, _AT, _INT, _AT, _AT, _AT),
    "put": (_INT, _INT, _INT, _INT, _AT, _AT, _AT, _AT),
    "add_keyed": (_INT, _INT, _INT, _INT, _AT, _AT, _AT),
    "softmax": (_INT, _INT, _INT, _INT, _INT, _AT, _AT),
    "softmax_backward": (_INT, _INT, _AT, _AT),
    "residual": (_INT, _INT, _AT, _AT, _AT),
}


@functools.cache
def load(narrow: torch.dtype) -> Compiled | str:
    """The functions for a format of narrow numbers, or why they cannot be had."""
    if narrow not in _NUMBERS:
        return f"numbers are {narrow}".replace("torch.", "")
    name = compiler()
    if name is None:
        return "no C++ compiler was found"
    try:
        return Compiled(ctypes.CDLL(str(_library(name, _NUMBERS[narrow]))))
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().partition("\n")[0]
        return f"{name} did not compile: {said or f'exit code {error.returncode}'}"
    except (OSError, subprocess.TimeoutExpired, AttributeError) as error:
        return f"{name} gave nothing that could be loaded: {error}"


def _library(name: str, number: str) -> Path:
    """Path of the compiled source, compiled now if it is not there."""
    # What the compiler predefines tells its version and all that this processor can do; folders are shared between machines.
    target = _run(name, *_OPTIONS, "-dM", "-E", "-x", "c++", os.devnull)
    depends = "\0".join((_SOURCE.read_text(), *_OPTIONS, number, target))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lathe"
    path = cache / f"fused-{number}-{sha256(depends.encode()).hexdigest()[:16]}.so"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        # Elsewhere and then renamed: several processes may be at it, and each finds the whole file or none.
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            made = Path(folder, path.name)
            _run(name, *_OPTIONS, f"-DNUMBER={number}", str(_SOURCE), "-o", str(made))
            os.replace(made, path)
    return path


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True).stdout


class Compiled:
    """The functions of a library, with tensors in place of addresses."""

    def __init__(self, library: ctypes.CDLL) -> None:
        for name, signature in _SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = signature, None
        self._do = library

    def normalise(self, hidden_TD: Tensor, epsilon: float, normed_TD: Tensor, inverse_T1: Tensor) -> None:
        self._do.normalise(*hidden_TD.shape, _at(hidden_TD), epsilon, _at(normed_TD), _at(inverse_T1))

    def add_normalise_backward(self, into_TD: Tensor, grad_TD: Tensor, normed_TD: Tensor, inverse_T1: Tensor) -> Tensor:
        self._do.add_normalise_backward(*into_TD.shape, _at(into_TD), *_rows(grad_TD), _at(normed_TD), _at(inverse_T1))
        return into_TD

    def add(self, into_TD: Tensor, change_TD: Tensor) -> None:
        self._do.add(*into_TD.shape, _at(into_TD), *_rows(change_TD))

    def gated(self, gate_up_T2F: Tensor, into_TF: Tensor) -> None:
        self._do.gated(*into_TF.shape, *_rows(gate_up_T2F), _at(into_TF))

    def gated_backward(self, grad_TF: Tensor, gate_up_T2F: Tensor) -> Tensor:
        grad = grad_TF.new_empty(gate_up_T2F.shape)
        self._do.gated_backward(*grad_TF.shape, *_rows(grad_TF), *_rows(gate_up_T2F), _at(grad))
        return grad

    def turn(
        self, heads_TKGW: Tensor, turns_TC: Tensor, scale: float, into_TKGW: Tensor, *, back: bool = False
    ) -> None:
        tokens, *heads, width = heads_TKGW.shape
        turn = self._do.turn if heads_TKGW.dtype == into_TKGW.dtype else self._do.turn_wide
        turn(tokens, math.prod(heads), width, *_rows(heads_TKGW), _at(turns_TC), scale, back, *_rows(into_TKGW))

    def gather(
        self, rows: Tensor, places: Tensor, batch: Batch, *, new: New = torch.empty, real_only: bool = False
    ) -> Tensor:
        blocks, heads, width = len(batch.written), rows.shape[1], rows.shape[-1]
        of_one, together = len(places) // blocks, math.prod(rows.shape[2:])
        picked = new((blocks * heads, of_one * together // width, width), dtype=rows.dtype)
        real = _at(batch.real_B) if real_only else None
        self._do.gather(blocks, heads, of_one, together, *_rows(rows), _at(places), real, _at(picked))
        return picked

    def put(self, found: Tensor, into_RKGW: Tensor, batch: Batch) -> None:
        _, heads, groups, width = into_RKGW.shape
        self._do.put(
            len(batch.written), heads, batch.num_queries, groups * width, _at(found), _at(batch.rows_BQ), _at(batch.real_B),
            _at(into_RKGW),
        )  # fmt: skip

    def softmax(self, scores: Tensor, batch: Batch) -> Tensor:
        blocks = len(batch.written)
        (both, rows, keys), queries = scores.shape, batch.num_queries
        self._do.softmax(blocks, both // blocks, queries, rows // queries, keys, _at(batch.seen_BQ), _at(scores))
        return scores

    def softmax_backward(self, grad: Tensor, weights: Tensor) -> Tensor:
        self._do.softmax_backward(grad.shape[0] * grad.shape[1], grad.shape[2], _at(grad), _at(weights))
        return grad

    def add_keyed(self, found: Tensor, batch: Batch, into_T2KW: Tensor) -> None:
        _, _, heads, width = into_T2KW.shape
        self._do.add_keyed(
            len(batch.written), heads, batch.num_keys, width, _at(found), _at(batch.keys_BC), _at(into_T2KW)
        )

    def residual(self, logits_SV: Tensor, targets_S: Tensor) -> tuple[Tensor, Tensor]:
        losses = logits_SV.new_empty(len(targets_S), dtype=torch.float32)
        self._do.residual(*logits_SV.shape, _at(logits_SV), _at(targets_S), _at(losses))
        return losses, logits_SV


def _at(whole: Tensor) -> int:
    """Address of a tensor without gaps."""
    assert whole.is_contiguous()
    return whole.data_ptr()


def _rows(matrix: Tensor) -> tuple[int, int]:
    """Address of a tensor whose rows have no gaps in them, and how far apart the rows lie."""
    apart, *strides = matrix.stride()
    assert strides == [math.prod(matrix.shape[place:]) for place in range(2, matrix.dim() + 1)]
    return matrix.data_ptr(), apart
