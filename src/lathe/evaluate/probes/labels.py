"""How likely the model finds each label: accuracy without free generation, the best three, and whether its chances come true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lathe import plugins, stats
from lathe.contracts import GenerateSettings, Metric, Request, ScoresLabels
from lathe.errors import InputError
from lathe.evaluate.probes.measured import Asked, Measured, items
from lathe.records import DataFinding, Example, ProbedItem, Score, digest
from lathe.storage import appending, read_rows
from lathe.text import render, tokenizer

METRICS = (
    Metric(
        "label_accuracy",
        "1 where the label that the model finds likeliest, its end token included, is the gold one. No text is generated, so an "
        "answer outside the set cannot happen.",
        "proportion",
    ),
    Metric(
        "label_accuracy_normalised",
        "The same by the mean log-probability of a label's tokens, so that long labels are not at a disadvantage.",
        "proportion",
    ),
    Metric("label_top3", "1 where the gold label is among the three likeliest.", "proportion"),
    Metric(
        "label_brier",
        "The sum over all labels of the squared distance between chance and truth (1 for gold, else 0); chances add up to 1 over "
        "the labels. 0 is certain and right, 2 certain and wrong. Brier (1950), Monthly Weather Review 78:1.",
        "mean",
        higher_is_better=False,
    ),
    Metric("label_confidence", "The chance that the likeliest label is given, among all labels.", "mean"),
)
CALIBRATION = "label_calibration_error"
"""Expected calibration error of label_confidence against label_accuracy, over 15 parts; see `stats.calibration_error`."""


def score_labels(asked: Asked) -> Measured:
    """Scores what was not scored before. Raises InputError where there are no labels or rows."""
    run, examples = asked.run, asked.examples
    model = asked.model
    tok = tokenizer.load(model.base_folder)
    labels = _labels(asked)
    written = render.encode_all(tok, [examples[0].model_copy(update={"completion": label}) for label in labels])
    label_ids = [one.ids[one.num_prompt :].tolist() for one in written]
    prompts = render.prompts(tok, [example.messages for example in examples])
    weights = asked.weights()
    requests = {
        digest([weights, label_ids, ids]): Request(example.id, example.messages, ids, 1)
        for example, ids in zip(examples, prompts, strict=True)
    }
    path = run.predictions(asked.arm, "labels")
    known = {row.key: row for row in read_rows(path, ProbedItem)} if path.is_file() else {}
    left = {request.id: key for key, request in requests.items() if key not in known}
    gold = {example.id: labels.index(example.completion) for example in examples}
    if left:
        settings = GenerateSettings(asked.locked.recipe.evaluate.token_budget, asked.locked.recipe.train.threads)
        session = plugins.load("runtimes", "native").open(model, settings.threads)
        try:
            if not isinstance(session, ScoresLabels):
                return Measured(items(examples, {}, METRICS), [_unable()])
            with appending(path) as append:
                asking = [request for key, request in requests.items() if key not in known]
                for id, scores in session.label_scores(asking, label_ids, settings):
                    row = ProbedItem(key=left[id], values=judged(scores, list(map(len, label_ids)), gold[id]))
                    append(row)
                    known[row.key] = row
                    asked.tell("labels", len(known), len(requests))
        finally:
            session.close()
    found = {request.id: known[key].model_copy(update={"id": request.id}) for key, request in requests.items()}
    scored = items(examples, found, METRICS)
    return Measured(scored, more=[_calibration(list(found.values()))])


def judged(scores: Sequence[float], lengths: Sequence[int], gold: int) -> dict[str, float | None]:
    """The values of one item. scores: log-probability of each label; lengths: its tokens; gold: the place of the right one."""
    raw = np.asarray(scores)
    chances = np.exp(raw - raw.max())
    chances /= chances.sum()
    truth = np.zeros(len(raw))
    truth[gold] = 1.0
    return {
        "label_accuracy": float(raw.argmax() == gold),
        "label_accuracy_normalised": float((raw / np.asarray(lengths)).argmax() == gold),
        "label_top3": float((raw > raw[gold]).sum() < 3),
        "label_brier": float(((chances - truth) ** 2).sum()),
        "label_confidence": float(chances.max()),
    }


def _labels(asked: Asked) -> list[str]:
    """The labels of the set, the same for all rows; without a set, all that the rows have."""
    rows: list[Example] = [*asked.rows.sides["train"], *asked.rows.sides["validation"], *asked.examples]
    named = dict.fromkeys(label for example in rows for label in asked.task.labels(example, asked.rows.setup))
    labels = list(named) or sorted({example.completion for example in rows})
    if not asked.examples or len(labels) < 2:
        raise InputError(f"got {len(labels)} labels and {len(asked.examples)} test rows, expected two labels and a row")
    return labels


def _calibration(found: Sequence[ProbedItem]) -> Score:
    pairs = [(row.values["label_confidence"] or 0.0, row.values["label_accuracy"] or 0.0) for row in found]
    value = stats.calibration_error([chance for chance, _ in pairs], [right for _, right in pairs]) if pairs else None
    return Score(metric=CALIBRATION, value=value, n=len(pairs), kind="single", higher_is_better=False)


def _unable() -> DataFinding:
    return DataFinding(
        id="no_probabilities",
        level="warning",
        message="the runtime does not tell how likely it finds a text: not measured",
    )
