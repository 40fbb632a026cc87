"""Rules that need no language model. A tuned model that does not beat the linear one is not worth its cost."""

from __future__ import annotations

from collections.abc import Sequence

from lathe import tfidf
from lathe.contracts import Baseline
from lathe.records import Example, TaskSetup
from lathe.tasks._majority import Rule, fit_majority


def fit_nearest(training: Sequence[Example], setup: TaskSetup) -> Rule:
    """The label of the training row whose text is most alike."""
    if not training:
        return fit_majority(training, setup)
    find = tfidf.nearest([example.input for example in training])
    return lambda example: training[find(example.input)].completion


def fit_linear(training: Sequence[Example], setup: TaskSetup) -> Rule:
    """The label that a linear model over the training rows scores highest."""
    if not training:
        return fit_majority(training, setup)
    name = tfidf.linear([example.input for example in training], [example.completion for example in training])
    return lambda example: name(example.input)


BASELINES = (
    Baseline(
        "linear",
        "A ridge regression over hashed words, pairs of words and runs of characters, weighted by TF-IDF: one score a label, the "
        "highest wins.",
        fit_linear,
    ),
    Baseline(
        "nearest_neighbour",
        "The label of the training row whose text is most alike (cosine over the same features).",
        fit_nearest,
    ),
    Baseline("majority", "The most frequent label of the training rows, whatever the text.", fit_majority),
)
