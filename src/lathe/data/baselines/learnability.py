"""How far rules without a model get: the score that a tuned model has to beat, known before training.

    items = [Item("where is my card", "card_arrival"), ...]           # banking77: 10,003 rows, 77 labels
    measure(items)  ->  majority 0.02 · telling word 0.54 · nearest neighbour 0.79 · linear 0.84

Every rule answers rows that it was not made from: the rows are split into folds by their content, so that equal texts are never on
both sides. Pure functions over NumPy; 10,000 rows with 77 labels take about 25 s on two cores and 0.7 GB, less with fewer rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lathe.data.baselines.rules import RULES, Item, Rule, leaves, text_of
from lathe.data.preparing.split import hash64, normalised, position
from lathe.records import Json
from lathe.records.check import AnswerKind, BaselineScore, Learnability
from lathe.tfidf import RIDGE, WIDTH, sketch

FOLDS = 5
MOST_LABELS = 1000
LONGEST_LABEL = 100
"""Characters: a longer answer is written, not chosen."""
ROWS_A_LABEL = 4
"""Fewer rows than this a distinct answer, on average, and the answers are no set of labels."""
NEAREST = "The answer of the training row whose text is most alike (cosine over hashed TF-IDF)."
LINEAR = "A ridge regression over hashed words and characters, weighted by TF-IDF: one score a label, the highest wins."


# ------------------------------------------------------------------------------------------ folds and scores


def kind_of(answers: Sequence[Json]) -> AnswerKind:
    """Whether answers are labels, JSON or written text. JSON where at least nine in ten are objects or lists."""
    if sum(isinstance(answer, dict | list) for answer in answers) >= 0.9 * len(answers) > 0:
        return "json"
    texts = {text_of(answer) for answer in answers}
    few = len(texts) <= most_labels(len(answers))
    return "label" if few and max(map(len, texts), default=0) <= LONGEST_LABEL else "text"


def most_labels(rows: int) -> int:
    """How many different answers so many rows may have for these to be labels."""
    return min(MOST_LABELS, max(2, rows // ROWS_A_LABEL))


def folds_of(inputs: Sequence[str], folds: int = FOLDS) -> NDArray[np.int64]:
    """The fold of each text: a function of its normalised content, so that equal texts are in one fold."""
    return np.array([int(position(hash64(normalised(text))) * folds) for text in inputs], dtype=np.int64)


def field_score(gold: Json, said: Json) -> float:
    """F1 over leaves at the same path with the same value."""
    right, given = set(leaves(gold)), set(leaves(said))
    return 2 * len(right & given) / (len(right) + len(given))


Right = Callable[[Item, Json], bool]
"""Whether an answer to a row is right."""


def same_text(item: Item, said: Json) -> bool:
    """Whether an answer is the row's, as text."""
    return text_of(item.answer) == text_of(said)


def score(
    name: str, definition: str, items: Sequence[Item], said: Sequence[Json], kind: AnswerKind, right: Right = same_text
) -> BaselineScore:
    """A rule's answers held against the rows'."""
    exact = [right(item, answer) for item, answer in zip(items, said, strict=True)]
    fields = [field_score(item.answer, answer) for item, answer in zip(items, said)] if kind == "json" else []
    return BaselineScore(
        name=name,
        definition=definition,
        exact=sum(exact) / max(1, len(exact)),
        fields=sum(fields) / len(fields) if fields else None,
        n=len(items),
    )


def out_of_fold(rule: Rule, items: Sequence[Item], fold_N: NDArray[np.int64]) -> list[Json]:
    """The rule's answer to every row, made without that row's fold."""
    said: list[Json] = [None] * len(items)
    for fold in np.unique(fold_N):
        apply = rule.fit([item for item, own in zip(items, fold_N) if own != fold])
        for row in np.flatnonzero(fold_N == fold).tolist():
            said[row] = apply(items[row])
    return said


# ------------------------------------------------------------------------------------------ matrices


def nearest(matrix_ND: NDArray[np.float32], fold_N: NDArray[np.int64], block: int = 1024) -> NDArray[np.int64]:
    """For each row the most similar row of another fold; -1 where there is none."""
    best = np.full(len(matrix_ND), -1, dtype=np.int64)
    for begin in range(0, len(matrix_ND), block):
        alike = matrix_ND[begin : begin + block] @ matrix_ND.T
        alike[fold_N[begin : begin + block, None] == fold_N[None, :]] = -np.inf
        found = alike.argmax(axis=1)
        there = np.isfinite(alike[np.arange(len(found)), found])
        best[begin : begin + block] = np.where(there, found, -1)
    return best


def linear_scores(
    matrix_ND: NDArray[np.float32], label_N: NDArray[np.int64], fold_N: NDArray[np.int64], ridge: float = RIDGE
) -> NDArray[np.float32]:
    """Out-of-fold scores, shape (N, labels): one ridge regression a label, with one solved system a fold.

    Solved over columns where there are fewer of them than rows, else over rows; both give the same scores.
    """
    rows, width = matrix_ND.shape
    scores = np.zeros((rows, int(label_N.max(initial=-1)) + 1), dtype=np.float32)
    wanted = np.zeros_like(scores)
    wanted[np.arange(rows), label_N] = 1.0
    folds = np.unique(fold_N)
    if rows <= width:
        inner = matrix_ND @ matrix_ND.T
        for fold in folds:
            held, kept = fold_N == fold, fold_N != fold
            system = inner[np.ix_(kept, kept)] + ridge * np.eye(int(kept.sum()), dtype=np.float32)
            scores[held] = inner[np.ix_(held, kept)] @ np.linalg.solve(system, wanted[kept])
        return scores
    whole, target = matrix_ND.T @ matrix_ND, matrix_ND.T @ wanted
    whole[np.diag_indices(width)] += ridge
    for fold in folds:
        held = matrix_ND[fold_N == fold]
        scores[fold_N == fold] = held @ np.linalg.solve(whole - held.T @ held, target - held.T @ wanted[fold_N == fold])
    return scores


# ------------------------------------------------------------------------------------------ all together


@dataclass(frozen=True, eq=False)
class Labelled:
    """Rows with labels and what an out-of-fold linear model makes of them. scores_NL: a column for each of `labels`."""

    labels: tuple[str, ...]
    label_N: NDArray[np.int64]
    scores_NL: NDArray[np.float32]


def labelled(items: Sequence[Item], matrix_ND: NDArray[np.float32], fold_N: NDArray[np.int64]) -> Labelled:
    """Fits the linear model to rows whose answers are labels."""
    texts = [text_of(item.answer) for item in items]
    labels = tuple(sorted(set(texts)))
    number = {label: place for place, label in enumerate(labels)}
    label_N = np.array([number[text] for text in texts], dtype=np.int64)
    return Labelled(labels, label_N, linear_scores(matrix_ND, label_N, fold_N))


def measure(
    items: Sequence[Item],
    rules: Sequence[Rule] = (),
    folds: int = FOLDS,
    width: int = WIDTH,
    sampled_from: int | None = None,
    right: Right = same_text,
) -> tuple[Learnability, Labelled | None]:
    """All rules that fit the kind of answer, and `rules` that a task declares under other names, on rows they were not made from.

    The second value holds the linear model's scores where answers are labels, for ranking suspect rows; else None.
    """
    kind = kind_of([item.answer for item in items])
    fold_N = folds_of([item.input for item in items], folds)
    matrix_ND = sketch([item.input for item in items], width)
    own = RULES[kind]
    taken = {*(rule.name for rule in own), "nearest_neighbour", "linear"}
    scores = [
        score(rule.name, rule.definition, items, out_of_fold(rule, items, fold_N), kind, right)
        for rule in (*own, *(rule for rule in rules if rule.name not in taken))
    ]
    said = [items[row].answer if row >= 0 else None for row in nearest(matrix_ND, fold_N)]
    scores.append(score("nearest_neighbour", NEAREST, items, said, kind, right))
    model = None
    if kind == "label":
        model = labelled(items, matrix_ND, fold_N)
        chosen = [model.labels[label] for label in model.scores_NL.argmax(axis=1)]
        scores.append(score("linear", LINEAR, items, chosen, kind, right))
    learnability = Learnability(
        kind=kind,
        rows=len(items),
        sampled_from=sampled_from if sampled_from is not None else len(items),
        folds=folds,
        answers=len({text_of(item.answer) for item in items}),
        baselines=tuple(scores),
    )
    return learnability, model
