"""Which side a row is on: a pure function of its own text and the recipe's shares, for ever.

    u = first 8 bytes of sha256(normalised text) / 2**64            0 <= u < 1
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


def position(normalised_text: str) -> float:
    """Where a text lies in [0, 1); equal texts at the same place, others spread evenly."""
    return int.from_bytes(hashlib.sha256(normalised_text.encode()).digest()[:8], "big") / 2.0**64


def side_of(normalised_text: str, validation: float, test: float) -> Side:
    """The side of a row."""
    u = position(normalised_text)
    if u < test:
        return "test"
    return "validation" if u >= 1.0 - validation else "train"
