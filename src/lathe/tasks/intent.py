"""Intent classification: a text in, the name of one intent out.

    Name the intent of the text, one of:
    card_arrival, card_linking, lost_card

    Text:
    I am still waiting on my card?

    card_arrival

A row has `input` (the text) and `target` (the label); `id` and `form` (a slice) where they are known. `data.fields` in the recipe
maps them to other names: `{input: text, target: category}`. The set of labels is a schema `{"enum": [...]}`: a generated corpus
brings it, `schema: {from: FOLDER}` reads it from a JSON list of labels; numbers and truth values are labels by their text, 1.0 by
that of 1, there and in rows. Without a set any label of a row is taken, the prompt names none, and whether an answer is in the set
is not measured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lathe.conformity.once import once_per_schema
from lathe.contracts import Choice, ItemVerdict, Metric, Task
from lathe.errors import TaskMismatch
from lathe.records import Example, Json, Message, Row, TaskSetup, label_text, label_texts
from lathe.tasks._intent.rules import BASELINES
from lathe.tasks._intent.worked import WORKED, WORKED_SCHEMA
from lathe.tasks._rows import UNSTATED, Fields, column_of, identity, label, shown

FIELDS = Fields(
    "intent",
    {"input": ("text", "utterance", "question", "prompt"), "target": ("label", "intent", "category", "completion")},
)
REASONS = ("nothing said", "wrong label", "other spelling", "label among other words", "outside the set")
"""Why an answer is not right. Without a set of labels every wrong answer that says something is a wrong label."""
LONGEST_CLASS = 100
"""Characters: a longer answer is no name of a class."""


class Intent(Task):
    """See the module's docstring."""

    version = "1"
    primary = "intent_accuracy"
    metrics = (
        Metric(
            "intent_accuracy",
            "1 where the answer is the gold label, character by character, white space around it aside. Anything else is 0: "
            "another label, another spelling, a sentence that holds the label, an answer outside the set.",
            "proportion",
        ),
        Metric(
            "intent_macro_f1",
            "F1 of each label, 2 x right / (rows of the label + answers with it), averaged over the labels that the rows have, so "
            "that a rare intent weighs as much as a frequent one. An answer outside the set counts against the label it missed.",
            "macro_f1",
        ),
        Metric(
            "in_set",
            "1 where the answer is one of the labels, right or wrong: whether the model keeps to the set. Not measured where the "
            "recipe names no set.",
            "proportion",
        ),
    )
    fields = ("input", "target", "form")
    slices = ("label", "form")
    baselines = BASELINES
    worked = WORKED
    answers = "label"

    def example(self, row: Row, setup: TaskSetup) -> Example:
        """Reads a row; its label must be one of the set, where there is one."""
        text = FIELDS.text(row, setup, "input", "the text")
        name, schema = FIELDS.schema(row, setup)
        labels = labels_of(schema)
        gold = _gold(row, setup, labels)
        asked = f", one of:\n{_listed(schema)}" if labels and setup.schema_in_prompt else "."
        prompt = f"Name the intent of the text{asked}\n\nText:\n{text}"
        return Example(
            id=identity(row, setup, prompt),
            input=text,
            messages=(Message(role="user", content=prompt),),
            completion=gold,
            target=gold,
            meta={"schema": name or UNSTATED, "label": gold, "form": label(row, setup, "form")},
        )

    def score(self, example: Example, text: str, setup: TaskSetup) -> ItemVerdict:
        """Judges one answer. The reason is one of REASONS, empty where it is right."""
        gold, said = example.target, text.strip()
        labels = labels_of(setup.schemas.get(example.meta.get("schema", "")))
        right, known = said == gold, said in labels
        counts = {gold: (int(right), 1, int(right))}
        if not right and (known or (not labels and 0 < len(said) <= LONGEST_CLASS)):
            counts[said] = (0, 0, 1)
        return ItemVerdict(
            values={
                "intent_accuracy": float(right),
                "intent_macro_f1": float(right),
                "in_set": float(known) if labels else None,
            },
            reason="" if right else _reason(said, labels),
            counts={"intent_macro_f1": counts},
        )

    def value(self, text: str, example: Example, setup: TaskSetup) -> Json:
        """The label, where it is one of the set; without a set whatever was said."""
        said, labels = text.strip(), labels_of(setup.schemas.get(example.meta.get("schema", "")))
        return said if said and (said in labels or not labels) else None

    def stand_in(self, setup: TaskSetup, schema: str | None) -> Json:
        named = schema or next(iter(setup.schemas), "")  # a single set is every row's
        return next(iter(labels_of(setup.schemas.get(named))), "unknown")

    def labels(self, example: Example, setup: TaskSetup) -> Sequence[str]:
        """Those of the set; none where the recipe names no set."""
        return labels_of(setup.schemas.get(example.meta.get("schema", "")))

    def form(self, example: Example, setup: TaskSetup) -> Choice | None:
        """One of the set."""
        labels = self.labels(example, setup)
        return Choice(tuple(labels)) if labels else None

    def worked_setup(self) -> TaskSetup:
        """Four labels, shown in the prompt."""
        return TaskSetup(schemas={"cards": WORKED_SCHEMA})


@once_per_schema  # asked for every row and every answer
def labels_of(schema: Json) -> Sequence[str]:
    """The labels that a schema allows, in its order; none where it names none."""
    named = schema.get("enum") if isinstance(schema, dict) else None
    return tuple(label_texts(named)) if isinstance(named, list) else ()


@once_per_schema
def _listed(schema: Json) -> str:
    """Labels as the prompt shows them; a line each where a comma in one would make it look like two."""
    labels = labels_of(schema)
    return ("\n" if any("," in one for one in labels) else ", ").join(labels)


def _gold(row: Row, setup: TaskSetup, labels: Sequence[str]) -> str:
    given = FIELDS.value(row, setup, "target", "the label")
    gold = label_text(given)
    if gold is None or not gold.strip():
        column = column_of(setup, "target")
        raise TaskMismatch(
            f"intent expects {column!r} to be a label (a text, a whole number, true or false), got {shown(given)}",
            hint="Take the row out, write the name of its class, or map another field: data: {fields: {target: YOUR_FIELD}}",
        )
    if labels and gold.strip() not in labels:
        raise TaskMismatch(
            f"the row has the label {shown(gold)}, which is not among the {len(labels)} of the set",
            hint="Mend the row, or add the label to the list.",
        )
    return gold.strip()


def _reason(said: str, labels: Sequence[str]) -> str:
    if not said:
        return "nothing said"
    if said in labels or not labels:
        return "wrong label"
    if _plain(said) in map(_plain, labels):
        return "other spelling"
    among = any(re.search(rf"(?<!\w){re.escape(one)}(?!\w)", said) for one in labels)
    return "label among other words" if among else "outside the set"


def _plain(text: str) -> str:
    """A text without case and without what stands between words."""
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


TASK = Intent()
