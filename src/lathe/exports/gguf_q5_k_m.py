"""GGUF with most matrices in llama.cpp's blocks of 5 bits, some in 6: a third of F16."""

from lathe.exports._gguf import Gguf

EXPORTER = Gguf("Q5_K_M")
