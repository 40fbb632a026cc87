"""Texts as the items that a tuned model was measured on: the very prompt, the longest answer, the reading of answers.

    questions = Questions(run, locked)
    questions.request(questions.example("Order 17 from Mira"))      tokens of the task's prompt, and how long the answer may be
    questions.answer(session, [questions.example(...), ...])

Making one reads the base once, to see that it is the one that was trained on, and opens a tokenizer (0.1 to 0.5 s) and no model.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from lathe import plugins, tfidf
from lathe.contracts import GenerateSettings, Model, Request, Session
from lathe.errors import InputError, TaskMismatch, did_you_mean
from lathe.model_folder import refuse_another
from lathe.records import EvalReport, Example, Finish, Json, LockedRecipe, TaskSetup
from lathe.runs import RunFolder
from lathe.storage import read_rows
from lathe.text import render, tokenizer
from lathe.verify import refuse_changed

MAX_NEW_TOKENS = 1024
"""Longest answer of a model that was not measured yet, where the recipe names none."""
ASKED = (
    "Ask with a text. What else a row of the task has is given by name from Python, as in model.extract(text, tools=[...]); "
    "`lathe serve` takes tools too."
)


@dataclass(frozen=True)
class Answer:
    """What a model wrote. value: what the run's task reads in it, None where it reads nothing. finish: stop, or length (cut)."""

    text: str
    value: Json
    finish: Finish


class Questions:
    """Turns texts into requests as the measurement of a run did, and opens its models."""

    def __init__(self, run: RunFolder, locked: LockedRecipe) -> None:
        """Raises InputError where the run has no tuned model yet, or this or its base has changed since."""
        if not run.train_result.is_file():
            raise InputError(f"{run.path} has no tuned model yet", hint=f"Continue it with: {run.again}")
        self.run = run
        self.locked = locked
        self.task = plugins.load("tasks", locked.recipe.task)
        self.setup = run.load(run.setup, TaskSetup)
        self.base = Path(locked.base_folder)
        refuse_another(self.base, locked.base_files)
        refuse_changed(run, run.adapter)
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
        find, schemas = self._schemas_by_text
        return schemas[find(text)]

    @cached_property
    def _schemas_by_text(self) -> tuple[Callable[[str], int], list[str | None]]:
        rows = [row for row in read_rows(self.run.rows("train"), Example) if not row.made_of]
        return tfidf.nearest([row.input for row in rows]), [row.meta.get("schema") for row in rows]

    def example(self, text: str, schema: str | None = None, **fields: Json) -> Example:
        """The item to ask with. schema: None = `schema_of`. fields: further fields of a row, such as tools.

        Raises InputError where there is no such schema, the text says nothing, or a field is missing or none of the task's.
        """
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"expected a text that says something, got {text!r:.60}", hint=ASKED)
        self._refuse_unread(fields)
        schema = schema or self.schema_of(text)
        if schema is not None and schema not in self.setup.schemas:
            hint = "The recipe of this run names no schemas: leave it out."
            if self.setup.schemas:
                hint = did_you_mean(schema, sorted(self.setup.schemas))
            raise InputError(f"there is no schema {schema!r}", hint=hint)
        try:
            return self.task.question(text, self.setup, schema, fields)
        except TaskMismatch as mismatch:
            raise InputError(mismatch.message, hint=ASKED) from mismatch

    def _refuse_unread(self, fields: Iterable[str]) -> None:
        """Raises InputError on a field that the task would leave unread, a misspelt one say."""
        takes = sorted({*self.task.fields, *self.task.also_read} - {"input", "target"})
        if unread := [name for name in fields if name not in takes]:
            near = difflib.get_close_matches(unread[0], takes, n=1)
            raise InputError(
                f"the task {self.locked.recipe.task} reads no field {unread[0]!r}",
                hint=f"Did you mean {near[0]!r}?"
                if near
                else f"Beside the text it reads: {', '.join(takes) or 'nothing'}.",
            )

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
        return Request(example.id, example.messages, ids, room, likely=self.task.form(example, self.setup))

    def open(self, *, tuned: bool) -> Session:
        """The tuned model, or its base."""
        model = Model.of(self.locked, self.run.adapter if tuned else None)
        return plugins.load("runtimes", "native").open(model, self.locked.recipe.train.threads)

    def answer(self, session: Session, examples: Iterable[Example]) -> list[Answer]:
        """An answer to each item, in order."""
        asked = list(examples)
        if not asked:
            return []
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
