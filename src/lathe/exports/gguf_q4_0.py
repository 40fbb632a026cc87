"""GGUF with matrices in blocks of 4-bit whole numbers: a quarter of F16, and a loss that has to be measured."""

from lathe.exports._gguf import Gguf

EXPORTER = Gguf("Q4_0")
