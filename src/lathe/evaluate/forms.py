"""The form that every right answer of a run has, as a model is held to it while it writes.

A form is taken only where it lets all right answers through: what stands in the way of one is left out of the schema, and named.
Then it is made as narrow as the right answers of all sides allow, so that a model that knows nothing comes to an end.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from lathe.conformity.narrowed import Bounds, bounded, closed, reduced
from lathe.contracts import Form, JsonForm, Task, TextForm
from lathe.engine.grammar import Grammars
from lathe.errors import InputError
from lathe.evaluate.prompts import ENOUGH_ALIKE
from lathe.evaluate.rows import SIDES, Rows
from lathe.records import DataFinding, Example, Json, TaskSetup
from lathe.text import render
from lathe.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Forms:
    """Forms by item id, and what was left out of them."""

    by_id: Mapping[str, Form] = field(default_factory=dict)
    findings: tuple[DataFinding, ...] = ()

    def described(self) -> list[Json]:
        """The forms as JSON, by item."""
        return [[id, _described(form)] for id, form in self.by_id.items()]


def forms_of(task_name: str, task: Task, rows: Rows, tok: Tokenizer) -> Forms:
    """The forms of the test rows.

    Raises InputError where the task names none for one of them, or a right answer is not let through, and Unavailable where the
    package that follows a form is missing.
    """
    grammars = Grammars(tok, tok.stop_ids)
    bounds = _bounds(task, rows)
    by_id: dict[str, Form] = {}
    left_out: dict[tuple[str, tuple[str, ...]], int] = Counter()
    for form, examples in _alike(task_name, task, rows.setup, rows.sides["test"]):
        written = render.encode_all(tok, examples)
        gold = {one.id: ids.ids[ids.num_prompt :].tolist() for one, ids in zip(examples, written, strict=True)}
        followed, keywords = _followed(grammars, form, gold, tok)
        if keywords:
            left_out[examples[0].meta.get("schema", ""), keywords] += len(examples)
        by_id |= dict.fromkeys(gold, _narrowed(grammars, followed, gold, bounds[_described(form)]))
    return Forms(by_id, tuple(_left_out(name, keywords, count) for (name, keywords), count in left_out.items()))


def _alike(
    task_name: str, task: Task, setup: TaskSetup, examples: Sequence[Example]
) -> list[tuple[Form, list[Example]]]:
    """The rows that have the same form, and that form."""
    found: dict[str, tuple[Form, list[Example]]] = {}
    for example in examples:
        form = task.form(example, setup)
        if form is None:
            raise InputError(
                f"{task_name} has no form for the answer to {example.id!r} that a model could be held to",
                hint="There is one for json_extraction with schemas, for intent with a set of labels, for function_calling and for "
                "graph_extraction.",
            )
        found.setdefault(_described(form), (form, []))[1].append(example)
    return list(found.values())


def _bounds(task: Task, rows: Rows) -> dict[str, Bounds]:
    """What right answers of all sides have at most, by their form; of few rows with a form of their own it would tell the answer,
    and all answers are looked at."""
    found: dict[str, list[Json]] = defaultdict(list)
    for example in (one for side in SIDES for one in rows.sides[side]):
        if (form := task.form(example, rows.setup)) is not None:
            found[_described(form)].append(example.target)
    of_all = Bounds.over(chain.from_iterable(found.values()))
    return {form: Bounds.over(some) if len(some) >= ENOUGH_ALIKE else of_all for form, some in found.items()}


def _followed(
    grammars: Grammars, form: Form, gold: Mapping[str, Sequence[int]], tok: Tokenizer
) -> tuple[Form, tuple[str, ...]]:
    """The form without the keywords that stand in the way of a right answer, and those. Raises InputError where that helps not."""
    if isinstance(form, JsonForm):
        found = reduced(form.schema, lambda schema: _all_pass(grammars, JsonForm(schema), gold.values()))
        if found is not None:
            return JsonForm(found[0]), found[1]
    elif _all_pass(grammars, form, gold.values()):
        return form, ()
    if problem := grammars.problem_with(form):
        raise InputError(f"no answer can be held to the form of {next(iter(gold))!r}: {problem}", hint=_MEND)
    id, ids = next((id, ids) for id, ids in gold.items() if not grammars.accepts(form, ids))
    passed = tok.decode(ids[: grammars.reach(form, ids)])
    raise InputError(
        f"the right answer to {id!r} cannot be written in its own form: it is refused after {passed[-60:]!r}",
        hint=_MEND,
    )


_MEND = "Mend the row or the schema; keys of an answer stand in the order of the schema."


def _narrowed(grammars: Grammars, form: Form, gold: Mapping[str, Sequence[int]], bounds: Bounds) -> Form:
    """The narrowest that lets every right answer through: a schema without further keys and bounded, bounded, as it is; a grammar
    of text bounded, as it is."""
    narrow: tuple[Form, ...] = ()
    if isinstance(form, JsonForm):
        narrow = (JsonForm(bounded(closed(form.schema), bounds)), JsonForm(bounded(form.schema, bounds)))
    elif isinstance(form, TextForm):
        narrow = (replace(form, characters=bounds.characters, items=bounds.items),)
    return next((one for one in narrow if _all_pass(grammars, one, gold.values())), form)


def _all_pass(grammars: Grammars, form: Form, answers: Iterable[Sequence[int]]) -> bool:
    return not grammars.problem_with(form) and all(grammars.accepts(form, ids) for ids in answers)


def _described(form: Form) -> str:
    """A form as text, by which it is known again; the order of keys is a part of it."""
    return json.dumps(
        form.schema if isinstance(form, JsonForm) else form.grammar() if isinstance(form, TextForm) else form.texts
    )


def _left_out(name: str, keywords: Sequence[str], count: int) -> DataFinding:
    return DataFinding(
        id="left_out_of_grammar",
        level="warning",
        message=f"left out of the grammar of {name or f'{count} items'}: {', '.join(keywords)}; a right answer breaks it, or no "
        "grammar can follow it",
        examples=tuple(keywords[:10]),
        count=count,
    )
