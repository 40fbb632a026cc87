"""A tuned model, asked: with the very prompt, the longest answer and the reading of answers that it was measured with.

    Specialist(Questions(run, locked)).extract("Order 17 from Mira")     -> {"order_id": 17, "customer": "Mira"}
    ask(run, locked, "Order 17 from Mira")              -> {"base": "...", "tuned": "...", "schema": "order", "cut": []}

Loading takes as long as the base is large (0.5 s for 7 M parameters); then every question costs its own tokens only.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import TypedDict

from lathe.ask.questions import Answer, Questions
from lathe.errors import InputError
from lathe.records import Json, LockedRecipe
from lathe.runs import RunFolder


class Specialist:
    """A run's tuned model, loaded once. What its answers are worth stands in the run's report.

    schema: name of the schema that the answer should have; None = that of the training row most like the text. fields: what else
    a row of the task has, such as `tools` for function calling. Every method raises InputError on a text that is too long.
    """

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._session = questions.open(tuned=True)

    def answers(self, texts: Iterable[str], schema: str | None = None, **fields: Json) -> list[Answer]:
        """An answer to each text, in order; many at once take less time than one after the other.

        Raises InputError for one text by itself, whose letters would be asked one by one.
        """
        if isinstance(texts, str):
            raise InputError(
                "answers takes a list of texts, got one text", hint="Call answers([text]), or generate(text)."
            )
        examples = [self._questions.example(text, schema, **fields) for text in texts]
        return self._questions.answer(self._session, examples)

    def generate(self, text: str, schema: str | None = None, **fields: Json) -> str:
        """What the model writes, as text."""
        return self.answers([text], schema, **fields)[0].text

    def extract(self, text: str, schema: str | None = None, **fields: Json) -> Json:
        """The JSON value of the answer: an object or a list; None where the answer holds none.

        Raises InputError where the run's task has no JSON answers.
        """
        self._only("json", "extract")
        return self.answers([text], schema, **fields)[0].value

    def classify(self, text: str) -> str | None:
        """The label that the model names; None where it names none of the set.

        Raises InputError where the run's task has no labels.
        """
        self._only("label", "classify")
        return self.answers([text])[0].value

    def close(self) -> None:
        """Frees the model."""
        self._session.close()

    def _only(self, answers: str, method: str) -> None:
        if self._questions.task.answers != answers:
            name, has = self._questions.locked.recipe.task, self._questions.task.answers
            others = {"json": "extract", "label": "classify", "text": "generate", "command": "generate"}
            raise InputError(
                f"{method} is not for the task {name}, whose answers are of the kind {has}",
                hint=f"Call {others[has]} instead.",
            )


class Asked(TypedDict):
    """What base and tuned model answered, the schema that was asked for (None: the task has none), and which of the two were not
    at their end when they had as many tokens as an answer may have."""

    base: str
    tuned: str
    schema: str | None
    cut: list[str]


def ask(run: RunFolder, locked: LockedRecipe, text: str, schema: str | None = None) -> Asked:
    """Answers of base and tuned model to `text`.

    Raises InputError where the text says nothing, the run has no tuned model yet, or there is no such schema.
    """
    if not text.strip():
        raise InputError(
            "there is nothing to ask: the text is empty",
            hint='lathe ask RUN "TEXT"; with - for TEXT it is read from stdin.',
        )
    questions = Questions(run, locked)
    schema = schema or questions.schema_of(text)
    example = questions.example(text, schema)
    said = dict[str, Answer]()
    for name in ("base", "tuned"):
        with closing(questions.open(tuned=name == "tuned")) as session:
            said[name] = questions.answer(session, [example])[0]
    cut = [name for name, answer in said.items() if answer.finish == "length"]
    return Asked(base=said["base"].text, tuned=said["tuned"].text, schema=schema, cut=cut)
