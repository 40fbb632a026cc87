"""Unified Intelligence CLI's three rules that were all called success. None of them reads what an answer says."""

from __future__ import annotations

COVERED = 0.3
SHORTEST_WORD = 5
LEAST, MOST = 0.5, 2.0


def returned(said: str) -> bool:
    """The rule of its baseline: something came back."""
    return said != ""


def words_covered(gold: str, said: str) -> bool:
    """At least 30 % of the reference's different words of five letters and more stand somewhere in the answer, in lower case.

    Words are split at white space, punctuation stays on; a reference without such words is covered by anything.
    """
    wanted = {word for word in gold.lower().split() if len(word) >= SHORTEST_WORD}
    return not wanted or sum(word in said.lower() for word in wanted) / len(wanted) >= COVERED


def length_alike(gold: str, said: str) -> bool:
    """Half to twice as many characters as the reference."""
    return bool(gold) and LEAST <= len(said) / len(gold) <= MOST
