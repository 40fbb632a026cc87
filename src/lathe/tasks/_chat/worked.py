"""Answers to a question of a log, and the scores that they must get."""

from __future__ import annotations

from lathe.contracts import Worked
from lathe.tasks._chat.likeness import chrf

_GOLD = "Use the function sorted: it returns a new list.\n\n```python\nsorted(names)\n```"
_ROW = {"id": "sort", "input": "How do I sort a list of names?", "target": _GOLD, "agent": "coder"}
NAMES = (
    "rouge_l", "chrf", "chat_answered", "chat_complete", "chat_direct", "unified_returned", "unified_words_covered",
    "unified_length_alike",
)  # fmt: skip


def _worked(answer: str, why: str, *scores: float) -> Worked:
    """chrF is not stated by hand; tests hold it against published values."""
    likeness, *others = scores
    return Worked(_ROW, answer, dict(zip(NAMES, (likeness, chrf(_GOLD, answer), *others), strict=True)), why)


_CUT = _GOLD.removesuffix("\n```")
WORKED = (
    _worked(_GOLD, "the reference itself", 1, 1, 1, 1, 1, 1, 1),
    _worked(_CUT, "cut inside a code block: every word is there", 1, 1, 0, 1, 1, 1, 1),
    _worked(
        "use the FUNCTION sorted it returns a new list python sorted names",
        "case and punctuation aside the same words", 1, 1, 1, 1, 1, 1, 1,
    ),
    _worked("", "nothing: no rule but length and words sees it", 0, 0, 1, 1, 0, 0, 0),
    _worked("I'm sorry, but I can't help with that.", "a refusal: half as long is success enough there", 0, 0, 1, 1, 1, 0, 1),
    _worked("Mock response", "made up by a test", 0, 0, 1, 1, 1, 0, 0),
    _worked(
        "Could you please provide the list?", "asks back instead of answering", 2 * 2 / (12 + 6), 1, 1, 0, 1, 0, 0
    ),
    _worked("names.sort()", "right in another way: likeness does not see it", 2 * 1 / (12 + 2), 1, 1, 1, 1, 0, 0),
    _worked(
        "function function function returns returns returns new list sorted: sorted: sorted: sorted:",
        "words without sense: another project's rules call it a success", 2 * 5 / (12 + 12), 1, 1, 1, 1, 1, 1,
    ),
)  # fmt: skip
