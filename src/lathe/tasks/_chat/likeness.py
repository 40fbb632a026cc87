"""How like an answer is to a reference: ROUGE-L and chrF. Both see words and letters, not truth: another right answer scores low.

rouge_l("the cat sat on the mat", "the cat lay on the mat")    -> 0.833     five of six words in order, on both sides
chrf("the cat", "the cat")                                     -> 1.0
"""

from __future__ import annotations

import re
from collections import Counter

from lathe.wordless import parted

WORD = re.compile(r"\w+")
LONGEST_RUN = 6
"""Letters of the longest runs of chrF."""
BETA = 2
"""How much more a missing run costs than one too many. Popović 2015 chose 2 after comparing with people's judgements."""


def rouge_l(gold: str, said: str) -> float:
    """F1 over the longest common subsequence of words, without case and punctuation (Lin 2004, with precision and recall alike).

    In scripts that write no blanks between words, each character is a word. 1 where neither has a word.
    """
    wanted, found = (WORD.findall(parted(text.casefold())) for text in (gold, said))
    both = len(wanted) + len(found)
    return 2 * common_subsequence(wanted, found) / both if both else 1.0


def common_subsequence(one: list[str], other: list[str]) -> int:
    """Length of the longest common subsequence, by bit vectors (Hyyrö 2004): a step a word, whatever the other's length."""
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    everything = (1 << len(one)) - 1
    row = everything
    for word in other:
        met = row & places.get(word, 0)
        row = (row + met | row - met) & everything
    return (everything ^ row).bit_count()


def chrf(gold: str, said: str) -> float:
    """Popović's chrF2 (2015) as sacrebleu has it: runs of 1 to 6 letters without white space, precision and recall averaged.

    Lengths for which one side has no run are left out; 1 where neither text has a letter.
    """
    wanted, found = "".join(gold.split()), "".join(said.split())
    precisions, recalls = [], []
    for length in range(1, LONGEST_RUN + 1):
        there, here = _runs(wanted, length), _runs(found, length)
        if there and here:
            matched = (there & here).total()
            precisions.append(matched / here.total())
            recalls.append(matched / there.total())
    if not precisions:
        return float(not wanted and not found)
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    weighed = BETA**2 * precision + recall
    return (1 + BETA**2) * precision * recall / weighed if weighed else 0.0


def _runs(text: str, length: int) -> Counter[str]:
    return Counter(text[start : start + length] for start in range(len(text) - length + 1))
