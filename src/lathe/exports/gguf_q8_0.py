"""GGUF with matrices in blocks of 8-bit whole numbers: half of F16, next to no loss."""

from lathe.exports._gguf import Gguf

EXPORTER = Gguf("Q8_0")
