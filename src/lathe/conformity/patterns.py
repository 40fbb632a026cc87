"""Regular expressions that came with a schema, applied without letting one of them hang the process."""

from __future__ import annotations

import re


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern is found in a text; one that could take exponential time is taken to be found anywhere."""
    return may_take_for_ever(pattern) or re.search(pattern, text) is not None


_PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d+\}|[()|+*{]", re.DOTALL)


def may_take_for_ever(pattern: str) -> bool:
    """Whether a group that can match in several ways is repeated, the source of exponential matching, as in `(a+)+$`.

    Errs on the safe side: `(a|b)*` is harmless and counts as well. So does a pattern of more than 1,000 characters.
    """
    several_ways = [False]
    for piece in _PIECE.finditer(pattern):
        sign = piece.group()
        if sign == "(":
            several_ways.append(False)
        elif sign == ")" and len(several_ways) > 1:
            inner = several_ways.pop()
            if inner and pattern[piece.end() : piece.end() + 1] in ("+", "*", "{"):
                return True
            several_ways[-1] |= inner
        elif sign in ("|", "+", "*", "{"):
            several_ways[-1] = True
    return len(pattern) > 1000
