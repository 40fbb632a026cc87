"""Rules that need no model: the command of the most similar training row, with this row's values put in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from lathe import tfidf
from lathe.contracts import Baseline
from lathe.records import Example, TaskSetup
from lathe.tasks._majority import Rule, fit_majority

VALUE = re.compile(r"'[^']+'|\"[^\"]+\"|(?<![\w.])[\w*-]*[./*\d][\w./*-]*\w|\*\.\w+|\d+")
"""What looks like a value in a sentence: something quoted, a path, a pattern, a number."""


def values(text: str) -> list[str]:
    """The values of a sentence in order, without quotes."""
    return [found.strip("'\"").rstrip(".") for found in VALUE.findall(text)]


def fit_nearest(training: Sequence[Example], setup: TaskSetup) -> Rule:
    """The command of the most similar training row; each of that row's values in it gives way to the one at its place here."""
    if not training:
        return fit_majority(training, setup)
    find = tfidf.nearest([VALUE.sub("VALUE", example.input) for example in training])

    def answer(example: Example) -> str:
        like = training[find(VALUE.sub("VALUE", example.input))]
        return exchanged(like.completion, list(zip(values(like.input), values(example.input)))).strip()

    return answer


def exchanged(command: str, pairs: Sequence[tuple[str, str]]) -> str:
    """The command with the new value of each pair where its old one stands first; what one pair put in, no other changes."""
    taken: list[tuple[int, int, str]] = []
    for old, new in pairs:
        places = (found.span() for found in re.finditer(re.escape(old), command) if old)
        free = (place for place in places if all(place[1] <= start or end <= place[0] for start, end, _ in taken))
        taken += [(*place, new) for place in islice(free, 1)]
    for start, end, new in sorted(taken, reverse=True):
        command = command[:start] + new + command[end:]
    return command


BASELINES = (
    Baseline(
        "nearest_with_values",
        "The command of the training row whose sentence is most alike once values (quoted texts, paths, patterns, numbers) are "
        "left out; its values give way, one after the other, to those of the sentence asked.",
        fit_nearest,
    ),
    Baseline("majority", "The most frequent command of the training rows, whatever was asked.", fit_majority),
)
