"""Numbers as they are written, without the rounding of binary fractions.

exact(19.99) / exact(0.01)   ->  Fraction(1999, 1)          19.99 / 0.01 is 1998.9999999999998
"""

from __future__ import annotations

from fractions import Fraction


def exact(number: float) -> Fraction:
    """The value of the shortest decimal that stands for a number, which is the one that was written."""
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))
