"""Rules that right answers keep, as a recipe declares them: `total == subtotal + tax`. The data stage holds whole sets to them."""

from lathe.invariants.rule import Invariant, Invariants, applies, breach, broken, holds, parse, parse_all

__all__ = ["Invariant", "Invariants", "applies", "breach", "broken", "holds", "parse", "parse_all"]
