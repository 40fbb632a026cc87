"""Writes a model as one GGUF file.

    write(model, tokenizer.load(base_folder), Path("model-q8_0.gguf"), "Q8_0", name="tickets")

Matrices take the type that is asked for, rows of a width that a block does not divide stay F16, and vectors (norms, biases) stay
F32, as llama.cpp's own converter has it. Cost: one pass over the weights; Q4_0 of 100M parameters takes some seconds in NumPy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import gguf
import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from lathe.engine.gguf import families, vocabulary
from lathe.text.tokenizer import Tokenizer

Format = Literal["F16", "BF16", "Q8_0", "Q5_1", "Q4_0"]


def write(model: PreTrainedModel, tok: Tokenizer, path: Path, format: Format, name: str) -> None:
    """Writes `path`. Raises InputError where llama.cpp has no such architecture or tokenizer."""
    family = families.of(model.config)
    writer = gguf.GGUFWriter(path, family.name)
    writer.add_name(name)
    writer.add_type(gguf.GGUFType.MODEL)
    family.put_settings(writer, model.config)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{format}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    vocabulary.put(writer, tok, model.config.vocab_size)
    for target, weight in family.tensors(model):
        kind = stored_as(target, weight, format)
        writer.add_tensor(target, gguf.quants.quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def stored_as(name: str, weight: NDArray[np.float32], format: Format) -> gguf.GGMLQuantizationType:
    """The type that one tensor is stored in."""
    if weight.ndim < 2 or name == "rope_freqs.weight":
        return gguf.GGMLQuantizationType.F32
    kind = gguf.GGMLQuantizationType[format]
    block, _ = gguf.GGML_QUANT_SIZES[kind]
    return kind if weight.shape[-1] % block == 0 else gguf.GGMLQuantizationType.F16
