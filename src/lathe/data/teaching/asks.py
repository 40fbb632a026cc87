"""What a request to a teacher says.

    answering(task, setup, {"input": "List files"}, seeds, "Use GNU options.")
    inventing(task, setup, ...)         "Write 5 rows ... each a JSON object of this form ..."

A text is asked about with the very prompt that the tuned model will be asked with, so that prompt and answer belong together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from lathe.contracts import Task
from lathe.data.teaching.row_form import column, row_form
from lathe.paid_answers import Ask
from lathe.records import Example, Message, Row, TaskSetup

SHOWN = 4
"""Seeds that one request shows."""
AVOIDED = 20
"""Texts that a later request is told to keep away from."""
LONGEST_AVOIDED = 120
"""Characters of each of them."""


@dataclass(frozen=True)
class Matter:
    """What a request is about. given: the row whose text is to be answered; None = rows are to be invented, with answers of the
    schema `named`."""

    given: Row | None = None
    named: str | None = None


TeacherAsk = Ask[Matter]
RightRow = tuple[Row, Example]
"""A row as its file has it, and as the task reads it."""


@dataclass(frozen=True)
class Wish:
    """What all requests of a recipe have in common. seeds: right rows to show; form: where there are none, a row of the task's
    own that shows what columns a row has, None where a schema says enough."""

    task: Task
    setup: TaskSetup
    instructions: str
    seeds: Sequence[RightRow]
    form: RightRow | None
    max_new_tokens: int
    temperature: float


def answering(wish: Wish, given: Row) -> TeacherAsk:
    """A request for the answer to one text. Raises TaskMismatch where the row does not fit the task."""
    setup, named = wish.setup, given.get(wish.setup.schema_key)
    named = named if isinstance(named, str) else next(iter(setup.schemas)) if len(setup.schemas) == 1 else None
    answered = {**given, column(setup, "target"): wish.task.stand_in(setup, named)}
    asked = wish.task.example(answered, setup).messages
    told = [wish.instructions, *(message.content for message in asked if message.role == "system")]
    system = "\n\n".join(text for text in told if text)
    shown = [
        turn
        for _, seed in wish.seeds[:SHOWN]
        for turn in (*seed.messages, Message(role="assistant", content=seed.completion))
    ]
    form = setup.schemas.get(named or "") if wish.task.answers == "json" else None
    return Ask(
        messages=(
            *([Message(role="system", content=system)] if system else []),
            *(message for message in (*shown, *asked) if message.role != "system"),
        ),
        form=form if isinstance(form, dict) and form.get("type") == "object" else None,
        max_new_tokens=wish.max_new_tokens,
        temperature=wish.temperature,
        about=Matter(given, named),
    )


def inventing(wish: Wish, number: int, count: int, avoid: Sequence[str]) -> TeacherAsk:
    """A request for `count` new rows. number: of the request, from 0; avoid: texts that are there already."""
    setup, names = wish.setup, sorted(wish.setup.schemas)
    named = names[number % len(names)] if names else None
    right = [seed for seed in wish.seeds if seed[0].get(setup.schema_key) in (None, named)] or wish.seeds
    form = row_form(wish.task, setup, [row for row, _ in right or _given(wish.form)], named, number, count)
    asked, answered = column(setup, "input"), column(setup, "target")
    parts = [
        f"You write rows of training data for a small language model. A row's `{asked}` is what the model will read; its "
        f"`{answered}` is the right answer, which must follow from what is read alone.",
        f"What the rows are about:\n{wish.instructions.strip()}",
        f"Each row is a JSON object of this JSON Schema:\n{json.dumps(form, ensure_ascii=False)}",
        *_examples(right, wish.form, number, list(form["properties"])),
        *_avoided(avoid),
        f"Write {count} rows, no two alike, each as a real person or document would have it: vary subject, length, tone and "
        f"wording. This is request {number + 1} of many; do not begin with what comes to mind first. Every text must be made up: "
        'no real names of persons, addresses, numbers or keys. Answer with one JSON object {"rows": [...]} and nothing else.',
    ]
    return Ask(
        messages=(Message(role="user", content="\n\n".join(parts)),),
        form={
            "type": "object",
            "properties": {"rows": {"type": "array", "items": form, "minItems": count, "maxItems": count}},
            "required": ["rows"],
            "additionalProperties": False,
        },
        max_new_tokens=wish.max_new_tokens,
        temperature=wish.temperature,
        about=Matter(named=named),
    )


def _given(row: RightRow | None) -> list[RightRow]:
    return [] if row is None else [row]


def _examples(seeds: Sequence[RightRow], form: RightRow | None, number: int, columns: Sequence[str]) -> list[str]:
    """Seeds, other ones each time; where there are none, the task's own row, for its form alone."""
    shown = [seeds[(number * SHOWN + place) % len(seeds)] for place in range(min(SHOWN, len(seeds)))] or _given(form)
    if not shown:
        return []
    heading = "Right rows" if seeds else "A row of this form; yours are about something else"
    lines = [json.dumps({key: row[key] for key in columns if key in row}, ensure_ascii=False) for row, _ in shown]
    first = shown[0][1]
    return [
        f"{heading}:\n" + "\n".join(lines),
        f"Of the first one the model will see this:\n{first.messages[-1].content}",
        f"and has to write this:\n{first.completion}",
    ]


def _avoided(texts: Sequence[str]) -> list[str]:
    if not texts:
        return []
    lines = "\n".join(f"- {' '.join(text.split())[:LONGEST_AVOIDED]}" for text in texts[-AVOIDED:])
    return [f"These texts are there already; write others:\n{lines}"]
