"""How many tokens the answers of a teacher will have, before they are there. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from lathe.data.teaching.asks import TeacherAsk
from lathe.paid_answers.cost import tokens
from lathe.records import Example, Interval

UNKNOWN_ANSWER = (20, 120)
"""Tokens of one answer of which no example is known: the least, and the guess. Assumed."""


def written(ask: TeacherAsk, seeds: Sequence[Example], rows: int) -> Interval:
    """Tokens that its answer will have. seeds: rows that show how long an answer is; rows: that are asked for."""
    texts = [seed.completion + (seed.input if ask.about.given is None else "") for seed in seeds]
    if texts:
        found = [tokens(text) for text in texts]
        low, value = min(one.low for one in found), sum(one.value for one in found) / len(found)
    else:
        low, value = UNKNOWN_ANSWER
    most = float(ask.max_new_tokens)
    return Interval(low=min(most, rows * low), value=min(most, rows * value), high=most)
