"""In which type each weight of a GGUF file is stored, and its bytes in that type.

    mixture = Mixture("Q4_K_M", layers=6, tied=True)
    mixture.type_of("blk.0.attn_q.weight", width=256)      ->  Q4_K
    mixture.type_of("blk.0.attn_v.weight", width=256)      ->  Q6_K: what errs there costs most
    mixture.type_of("blk.0.attn_q.weight", width=576)      ->  Q5_0: no multiple of 256

The plain formats hold every matrix in one type. The K formats are mixtures, and which matrix gets more bits is llama.cpp's choice
(`llama_tensor_get_type` in src/llama-quant.cpp, for models without experts and without an importance matrix), so that a file has
the very bytes that `llama-quantize` writes: `bench/gguf_round_trip.py --quantizer` holds the two against each other. Vectors
(norms, biases) stay F32, as llama.cpp's own converter has it; rows of a width that no block divides stay F16.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from numpy.typing import NDArray

from lathe.engine.gguf import kernel
from lathe.errors import InputError

Format = Literal["F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_1", "Q4_K_M", "Q4_0"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""From the largest to the smallest."""
STANDS_FOR = {Type.Q4_K: Type.Q5_0, Type.Q5_K: Type.Q5_1, Type.Q6_K: Type.Q8_0}
"""What llama.cpp takes for a K type, whose blocks are 256 wide, where the rows are not: blocks of 32 with as many bits or more."""
LAYER = re.compile(r"^blk\.(\d+)\.")
WEIGHTIER = ("attn_v.weight", "attn_qkv.weight", "ffn_down.weight")
"""Get more bits in some layers of a mixture."""


def main_type(format: str) -> Type | None:
    """The type that a format is called after: Q4_K of Q4_K_M; None for a name that has none."""
    return Type.__members__.get(re.sub(r"_[SML]$", "", format))


@dataclass(frozen=True)
class Mixture:
    """layers: of the model. tied: whether its output is its embedding, which then is stored as the output would be."""

    format: Format
    layers: int
    tied: bool

    def type_of(self, name: str, width: int) -> Type:
        """The type of a matrix by its name in the file. width: of its rows."""
        wanted = self._wanted(name, width)
        return next(kind for kind in (wanted, STANDS_FOR.get(wanted), Type.F16) if kind and width % block(kind) == 0)

    def _wanted(self, name: str, width: int) -> Type:
        usual = Type[self.format.removesuffix("_M")]
        if usual not in STANDS_FOR:
            return usual
        if name == "output.weight" or (self.tied and name == "token_embd.weight"):
            return Type.Q6_K if width % block(usual) == 0 else Type.Q8_0
        layer = LAYER.match(name)
        if layer and name.endswith(WEIGHTIER) and self._more_bits(int(layer[1])):
            return Type.Q6_K
        return usual

    def _more_bits(self, layer: int) -> bool:
        """The first and the last eighth of the layers, and every third between them."""
        eighth = self.layers // 8
        return layer < eighth or layer >= 7 * self.layers // 8 or (layer - eighth) % 3 == 2


def refuse_narrow(format: Format, widths: Collection[int]) -> None:
    """Raises InputError where no matrix could be in the type that a format is called after. widths: of all matrices' rows."""
    wanted = main_type(format)
    if wanted in STANDS_FOR and all(width % block(wanted) for width in widths):
        told = ", ".join(map(str, sorted(set(widths))))
        raise InputError(
            f"no row of the base's matrices fits its blocks: they are {told} wide, expected a multiple of {block(wanted)}",
            hint="Ship gguf_q8_0, gguf_q5_1 or gguf_q4_0.",
        )


def block(kind: Type) -> int:
    """Weights of one block of a type; 1 where it has none."""
    return int(gguf.GGML_QUANT_SIZES[kind][0])


def stored(name: str, weight: NDArray[np.float32], mixture: Mixture) -> tuple[NDArray[Any], Type]:
    """A weight as the file holds it, and the type of that. Raises Unavailable where a K type needs what is not there."""
    if weight.ndim < 2 or name == "rope_freqs.weight":
        return weight, Type.F32
    kind = mixture.type_of(name, weight.shape[-1])
    if kind not in STANDS_FOR:
        return gguf.quants.quantize(weight, kind), kind
    width, num_bytes = gguf.GGML_QUANT_SIZES[kind]
    return kernel.quantised(weight, int(kind), weight.shape[-1] // width * num_bytes), kind
