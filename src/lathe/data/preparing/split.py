"""Which side a row is on: a pure function of its own text and the recipe's shares, for ever.

    u = hash64(normalised text) / 2**64            0 <= u < 1
    test         u < test share
    validation   u >= 1 - validation share
    train        between the two

Nothing else enters: no seed, no order, no other row. Regenerating, reordering or merging sources never moves a document from
test to train, and changing one share never moves a row between validation and test.
"""

from __future__ import annotations

import hashlib
import unicodedata

from lathe.records import Side


def normalised(text: str) -> str:
    """The text without what hardly anyone would call a difference: NFKC, case folded, each run of white space one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def hash64(text: str) -> int:
    """First 8 bytes of the sha256 of a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def position(hashed: int) -> float:
    """Where a text of this hash lies in [0, 1); equal texts at the same place, others spread evenly."""
    return hashed / 2.0**64


def side_of(hashed: int, validation: float, test: float) -> Side:
    """The side of a row whose normalised text has this hash."""
    u = position(hashed)
    if u < test:
        return "test"
    return "validation" if u >= 1.0 - validation else "train"
