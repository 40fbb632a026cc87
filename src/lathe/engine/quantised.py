"""A base whose layers are held in 4 bits: NF4 with double quantisation, through bitsandbytes.

    settings = four_bit(torch.bfloat16)             # for transformers' from_pretrained
    settle(model, torch.float32)                    # a loaded model computes in float32, exactly and reversibly

The same numbers everywhere: a matrix is quantised from the dtype in which it is stored, forward and backward unpack it alike, and
it is never repacked. Dettmers et al. 2023, "QLoRA", arXiv 2305.14314. Importing bitsandbytes takes 1 to 3 s.

bitsandbytes fetches a program from the Hub when it is imported where the package `kernels` is installed, and peft imports
bitsandbytes wherever that is installed. `without_hub_kernels` stands around both.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import torch
from torch import nn
from transformers import BitsAndBytesConfig

from lathe.errors import Unavailable

PACKAGES = ("bitsandbytes", "accelerate")
INSTALL = "pip install 'lathe-slm[train,qlora]'"


@contextlib.contextmanager
def without_hub_kernels() -> Iterator[None]:
    """Inside the block nobody can import `kernels`, which fetches programs from the Hub and runs them."""
    absent = object()
    before, log = sys.modules.get("kernels", absent), logging.getLogger("bitsandbytes")
    level = log.level
    sys.modules["kernels"] = None  # type: ignore[assignment]  # what Python itself writes for "cannot be imported"
    log.setLevel(logging.ERROR)  # it warns that it does without, as it should
    try:
        yield
    finally:
        log.setLevel(level)
        del sys.modules["kernels"]
        if before is not absent:
            sys.modules["kernels"] = before  # type: ignore[assignment]


def four_bit(compute: torch.dtype) -> BitsAndBytesConfig:
    """How transformers quantises what it loads. compute: dtype of the products. Raises Unavailable without PACKAGES."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise Unavailable(f"a base in 4 bits needs {' and '.join(missing)}, which is not installed", hint=INSTALL)
    with without_hub_kernels():
        import bitsandbytes  # noqa: F401  # before transformers does it without our care
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=compute
    )


def settle(model: nn.Module, compute: torch.dtype) -> None:
    """What was loaded with `four_bit` computes in `compute` throughout: its matrices when unpacked, and all other parameters."""
    from bitsandbytes.nn import Linear4bit

    for layer in model.modules():
        if isinstance(layer, Linear4bit):
            # Else the backward pass would round the unpacked matrix to the stored dtype, and the forward pass would not.
            layer.weight.quant_state.dtype = compute
            # Else a pass without gradient would repack the matrix for bf16 products and round its scales.
            layer.support_avx512bf16_for_cpu = False
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(compute)


def is_quantised(model: nn.Module) -> bool:
    """Whether a model was loaded with `four_bit`."""
    return bool(getattr(model, "is_loaded_in_4bit", False))
