"""GGUF with matrices in bfloat16: as most bases are stored."""

from lathe.exports._gguf import Gguf

EXPORTER = Gguf("BF16")
