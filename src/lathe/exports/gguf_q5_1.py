"""GGUF with matrices in blocks of 5-bit whole numbers with an offset: a third of F16."""

from lathe.exports._gguf import Gguf

EXPORTER = Gguf("Q5_1")
