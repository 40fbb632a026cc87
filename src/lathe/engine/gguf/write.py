"""Writes a model as one GGUF file.

    write(model, tokenizer.load(base_folder), Path("model-q8_0.gguf"), "Q8_0", name="tickets")

Cost: one pass over the weights; Q4_0 of 100M parameters takes some seconds in NumPy, Q4_K_M as long in llama.cpp's own code.
"""

from __future__ import annotations

from pathlib import Path

import gguf
from transformers import PreTrainedModel

from lathe.engine.gguf import families, vocabulary
from lathe.engine.gguf.storage import Format, Mixture, stored
from lathe.text.tokenizer import Tokenizer


def write(model: PreTrainedModel, tok: Tokenizer, path: Path, format: Format, name: str) -> None:
    """Writes `path`. Raises InputError where llama.cpp has no such architecture or tokenizer, Unavailable as `stored` does."""
    family = families.of(model.config)
    writer = gguf.GGUFWriter(path, family.name)
    writer.add_name(vocabulary.fitting_name(name, tok))
    writer.add_type(gguf.GGUFType.MODEL)
    family.put_settings(writer, model.config)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{format}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    vocabulary.put(writer, tok, model.config.vocab_size)
    mixture = Mixture(format, model.config.num_hidden_layers, tied=bool(model.config.tie_word_embeddings))
    for target, weight in family.tensors(model):
        data, kind = stored(target, weight, mixture)
        writer.add_tensor(target, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
