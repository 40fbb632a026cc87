"""GGUF with matrices in 16-bit floats: the reference that the smaller formats are held against."""

from lathe.exports._gguf import Gguf

EXPORTER = Gguf("F16")
