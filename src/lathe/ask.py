"""One text, two answers: what the base says and what the tuned model says, with the very prompt of the measurement."""

from __future__ import annotations

import re
from pathlib import Path

from lathe import plugins
from lathe.contracts import GenerateSettings, Model, Request
from lathe.errors import InputError
from lathe.records import Example, LockedRecipe, TaskSetup
from lathe.runs import RunFolder, read_rows
from lathe.text import render, tokenizer


def nearest(text: str, examples: list[Example]) -> Example:
    """The example whose input shares most words with the text (Jaccard over lower-cased words)."""
    words = set(re.findall(r"\w+", text.lower()))

    def similarity(example: Example) -> float:
        theirs = set(re.findall(r"\w+", example.input.lower()))
        return len(words & theirs) / max(1, len(words | theirs))

    return max(examples, key=similarity)


def ask(run: RunFolder, locked: LockedRecipe, text: str, schema: str | None = None) -> dict[str, str]:
    """Answers of base and tuned model to `text`.

    schema: name of the schema to ask for, for tasks that have schemas; None = that of the training row most like the text.
    Returns base, tuned and, for tasks with schemas, the schema asked for. Raises InputError where the run has no adapter yet.
    """
    if not run.train_result.is_file():
        raise InputError(f"{run.path} has no tuned model yet", hint=f"Continue it with: lathe run {run.path}")
    setup = run.load(run.setup, TaskSetup)
    task = plugins.load("tasks", locked.recipe.task)
    row: dict[str, object] = {setup.fields.get("input", "input"): text, setup.fields.get("target", "target"): {}}
    if setup.schemas:
        schema = schema or nearest(text, read_rows(run.rows("train"), Example)).meta.get("schema")
        if schema not in setup.schemas:
            raise InputError(f"there is no schema {schema!r}", hint=f"There are: {', '.join(sorted(setup.schemas))}.")
        row[setup.schema_key] = schema
    example = task.example(row, setup)
    base = Path(locked.base_folder)
    tok = tokenizer.load(base)
    ids = render.prompt_ids(tok, example.messages)
    request = Request("asked", example.messages, ids, locked.recipe.evaluate.max_new_tokens or 1024)
    settings = GenerateSettings(
        token_budget=len(ids) + 2048, threads=locked.recipe.train.threads, stop_ids=frozenset(tok.stop_ids)
    )
    answers = {"schema": schema} if schema else {}
    for name, adapter in (("base", None), ("tuned", run.adapter)):
        session = plugins.load("runtimes", "native").open(Model(base, adapter), locked.recipe.train.threads)
        answers[name] = next(iter(session.generate([request], settings))).text
        session.close()
    return answers
