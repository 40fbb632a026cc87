"""GGUF with most matrices in llama.cpp's blocks of 4 bits, some in 6: three tenths of F16, nearer to it than Q4_0."""

from lathe.exports._gguf import Gguf

EXPORTER = Gguf("Q4_K_M")
