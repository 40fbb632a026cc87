"""GGUF with matrices in llama.cpp's blocks of 6 bits: four tenths of F16, and hardly a loss."""

from lathe.exports._gguf import Gguf

EXPORTER = Gguf("Q6_K")
