"""A tuned model, asked: with the very prompt, the longest answer and the reading of answers that it was measured with.

    Specialist(Questions(run, locked)).extract("Order 17 from Mira")     -> {"order_id": 17, "customer": "Mira"}
    ask(run, locked, "Order 17 from Mira")                               -> {"base": "...", "tuned": "...", "schema": "order"}

Loading takes as long as the base is large (0.5 s for 7 M parameters); then every question costs its own tokens only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from lathe import plugins
from lathe.contracts import GenerateSettings, Model, Request, Session
from lathe.errors import InputError
from lathe.records import EvalReport, Example, Finish, Json, LockedRecipe, TaskSetup
from lathe.runs import RunFolder, read_rows
from lathe.text import render, tokenizer

MAX_NEW_TOKENS = 1024
"""Longest answer of a model that was not measured yet, where the recipe names none."""


def nearest(text: str, examples: Sequence[Example]) -> Example:
    """The example whose input shares most words with the text (Jaccard over lower-cased words)."""
    words = set(re.findall(r"\w+", text.lower()))

    def similarity(example: Example) -> float:
        theirs = set(re.findall(r"\w+", example.input.lower()))
        return len(words & theirs) / max(1, len(words | theirs))

    return max(examples, key=similarity)


@dataclass(frozen=True)
class Answer:
    """What a model wrote. value: what the run's task reads in it, None where it reads nothing. finish: stop, or length (cut)."""

    text: str
    value: Json
    finish: Finish


class Questions:
    """Turns texts into requests as the measurement of a run did, and opens its models."""

    def __init__(self, run: RunFolder, locked: LockedRecipe) -> None:
        """Raises InputError where the run has no tuned model yet."""
        if not run.train_result.is_file():
            raise InputError(f"{run.path} has no tuned model yet", hint=f"Continue it with: lathe run {run.path}")
        self.run = run
        self.locked = locked
        self.task = plugins.load("tasks", locked.recipe.task)
        self.setup = run.load(run.setup, TaskSetup)
        self.base = Path(locked.base_folder)
        self.tokenizer = tokenizer.load(self.base)
        self.max_new_tokens = locked.recipe.evaluate.max_new_tokens or self._measured_limit() or MAX_NEW_TOKENS

    def _measured_limit(self) -> int | None:
        """The longest answer that the tuned model was allowed when it was measured."""
        report = self.run.eval_report("tuned")
        return self.run.load(report, EvalReport).max_new_tokens if report.is_file() else None

    def schema_of(self, text: str) -> str | None:
        """The schema of the training row that is most like the text; None for tasks without schemas."""
        if not self.setup.schemas:
            return None
        return nearest(text, read_rows(self.run.rows("train"), Example)).meta.get("schema")

    def example(self, text: str, schema: str | None = None, **fields: Json) -> Example:
        """The item to ask with. schema: None = `schema_of`. fields: further fields of a row, such as tools."""
        schema = schema or self.schema_of(text)
        if schema is not None and schema not in self.setup.schemas:
            known = ", ".join(sorted(self.setup.schemas)) or "none"
            raise InputError(f"there is no schema {schema!r}", hint=f"There are: {known}.")
        return self.task.question(text, self.setup, schema, fields)

    def request(self, example: Example) -> Request:
        """The prompt's tokens. Raises InputError where they leave no room for an answer in the model's context."""
        ids = render.prompt_ids(self.tokenizer, example.messages)
        context = self.tokenizer.max_tokens
        room = self.max_new_tokens if context is None else min(self.max_new_tokens, context - len(ids))
        if room < 1:
            raise InputError(
                f"the prompt has {len(ids):,} tokens, and the model reads {context:,} with its answer",
                hint="Ask with a shorter text, or with parts of it.",
            )
        return Request(example.id, example.messages, ids, room)

    def open(self, *, tuned: bool) -> Session:
        """The tuned model, or its base."""
        model = Model(self.base, self.run.adapter if tuned else None)
        return plugins.load("runtimes", "native").open(model, self.locked.recipe.train.threads)

    def answer(self, session: Session, examples: Iterable[Example]) -> list[Answer]:
        """An answer to each item, in order."""
        asked = list(examples)
        requests = [replace(self.request(example), id=str(place)) for place, example in enumerate(asked)]
        needs = [len(request.prompt_ids) + request.max_new_tokens for request in requests]
        settings = GenerateSettings(
            token_budget=max([*needs, min(sum(needs), self.locked.recipe.evaluate.token_budget)], default=1),
            threads=self.locked.recipe.train.threads,
            stop_ids=self.tokenizer.stop_ids,
        )
        said = {int(prediction.id): prediction for prediction in session.generate(requests, settings)}
        return [
            Answer(said[place].text, self.task.value(said[place].text, example, self.setup), said[place].finish)
            for place, example in enumerate(asked)
        ]


class Specialist:
    """A run's tuned model, loaded once. What its answers are worth stands in the run's report.

    schema: name of the schema that the answer should have; None = that of the training row most like the text. fields: what else
    a row of the task has, such as `tools` for function calling. Every method raises InputError on a text that is too long.
    """

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._session = questions.open(tuned=True)

    def answers(self, texts: Iterable[str], schema: str | None = None, **fields: Json) -> list[Answer]:
        """An answer to each text, in order; many at once take less time than one after the other."""
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
            others = {"json": "extract", "label": "classify", "text": "generate"}
            raise InputError(
                f"{method} is not for the task {name}, whose answers are of the kind {has}",
                hint=f"Call {others[has]} instead.",
            )


def ask(run: RunFolder, locked: LockedRecipe, text: str, schema: str | None = None) -> dict[str, str]:
    """Answers of base and tuned model to `text`, and for tasks with schemas the schema asked for.

    Raises InputError where the run has no tuned model yet, or where there is no such schema.
    """
    questions = Questions(run, locked)
    schema = schema or questions.schema_of(text)
    example = questions.example(text, schema)
    answers = {"schema": schema} if schema else {}
    for name in ("base", "tuned"):
        with closing(questions.open(tuned=name == "tuned")) as session:
            answers[name] = questions.answer(session, [example])[0].text
    return answers
