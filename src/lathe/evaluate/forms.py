"""The form that every right answer of a run has, as a model is held to it while it writes.

A form is taken from the task and made to fit the rows that may be looked at, those of training and validation: what stands in the
way of one of their right answers is left out of the schema, and named; then it is made as narrow as they allow, so that a model
that knows nothing comes to an end. A right answer of the test rows that has another form is wrong whatever a model writes, and
counted.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lathe.conformity.narrowed import Bounds, bounded, closed, reduced
from lathe.contracts import Form, JsonForm, Task, TextForm
from lathe.engine.grammar import Grammars
from lathe.errors import InputError
from lathe.evaluate.prompts import ENOUGH_ALIKE
from lathe.evaluate.rows import Rows
from lathe.records import DataFinding, Example, Json, Side, TaskSetup
from lathe.text import render
from lathe.text.tokenizer import Tokenizer

KNOWN_SIDES: tuple[Side, ...] = ("train", "validation")
"""Sides whose answers may be looked at."""
NAMED = 3
"""Schemas that a finding names, of those that it is about."""
MOST_TRIED = 64
"""Right answers of a form that are held against it: a grammar that lets so many through lets the others through as well."""


@dataclass(frozen=True)
class Forms:
    """Forms by item id, and what was left out of them."""

    by_id: Mapping[str, Form] = field(default_factory=dict)
    findings: tuple[DataFinding, ...] = ()

    def described(self) -> list[Json]:
        """The forms as JSON, by item."""
        return [[id, _described(form)] for id, form in self.by_id.items()]


def forms_of(task_name: str, task: Task, rows: Rows, side: Side, tok: Tokenizer) -> Forms:
    """The forms of the rows of one side.

    Raises InputError where the task names none for one of them, or a right answer that may be looked at is not let through, and
    Unavailable where the package that follows a form is missing.
    """
    grammars = Grammars(tok, tok.stop_ids)
    known = _alike(task, rows.setup, [example for one in KNOWN_SIDES for example in rows.sides[one]])
    of_all = Bounds.over(example.target for _, some in known.values() for example in some)
    by_id: dict[str, Form] = {}
    left_out: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    outside: list[str] = []
    for described, (form, examples) in _alike(task, rows.setup, rows.sides[side]).items():
        if form is None:
            raise InputError(
                f"{task_name} has no form for the answer to {examples[0].id!r} that a model could be held to",
                hint="There is one for json_extraction with schemas, for intent with a set of labels, for function_calling and for "
                "graph_extraction.",
            )
        _, alike = known.get(described, (None, []))
        gold = _written(tok, alike[:MOST_TRIED])
        followed, keywords = _followed(grammars, form, gold, tok, examples[0].id)
        if keywords:
            left_out[keywords][examples[0].meta.get("schema", "")] += len(examples)
        # The bounds of a few rows with a form of their own would tell the answer.
        bounds = Bounds.over(one.target for one in alike) if len(alike) >= ENOUGH_ALIKE else of_all
        narrow = _narrowed(grammars, followed, gold, bounds)
        by_id |= dict.fromkeys((example.id for example in examples), narrow)
        outside += [id for id, ids in _written(tok, examples).items() if not grammars.accepts(narrow, ids)]
    findings = [_left_out(keywords, items) for keywords, items in left_out.items()]
    return Forms(by_id, (*findings, *_outside(outside, len(by_id))))


def _alike(task: Task, setup: TaskSetup, examples: Iterable[Example]) -> dict[str, tuple[Form | None, list[Example]]]:
    """The rows that have the same form, and that form, by its description; those without one under an empty description."""
    found: dict[str, tuple[Form | None, list[Example]]] = {}
    for example in examples:
        form = task.form(example, setup)
        found.setdefault("" if form is None else _described(form), (form, []))[1].append(example)
    return found


def _written(tok: Tokenizer, examples: Sequence[Example]) -> dict[str, list[int]]:
    """The tokens of right answers, by item."""
    encoded = render.encode_all(tok, examples)
    return {one.id: ids.ids[ids.num_prompt :].tolist() for one, ids in zip(examples, encoded, strict=True)}


def _followed(
    grammars: Grammars, form: Form, gold: Mapping[str, Sequence[int]], tok: Tokenizer, one: str
) -> tuple[Form, tuple[str, ...]]:
    """The form without the keywords that stand in the way of a right answer, and those. one: an item that has the form.

    Raises InputError where leaving out helps not.
    """
    if isinstance(form, JsonForm):
        found = reduced(form.schema, lambda schema: _all_pass(grammars, JsonForm(schema), gold.values()))
        if found is not None:
            return JsonForm(found[0]), found[1]
    elif _all_pass(grammars, form, gold.values()):
        return form, ()
    if problem := grammars.problem_with(form):
        raise InputError(f"no answer can be held to the form of {one!r}: {problem}", hint=_MEND)
    id, ids = next((id, ids) for id, ids in gold.items() if not grammars.accepts(form, ids))
    reach = grammars.reach(form, ids)
    refused = "".join(tok.token(token) for token in ids[reach:] if token not in tok.stop_ids)
    if refused and (not refused.strip(BLANKS) or (not reach and refused[0] in BLANKS)):
        raise InputError(
            f"the right answer to {id!r} cannot be written in its own form: the chat template of {tok.folder} puts a blank "
            f"{'behind' if reach else 'in front of'} answers",
            hint="Leave evaluate.constrained out, or take a copy of the base whose template has none beside message['content'].",
        )
    passed = tok.decode(ids[:reach])
    raise InputError(
        f"the right answer to {id!r} cannot be written in its own form: it is refused after {passed[-60:]!r}",
        hint=_MEND,
    )


BLANKS = " \n\t▁ĠĊĉ"
"""Also as tokenizers write them."""
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


def _outside(ids: Sequence[str], count: int) -> Iterator[DataFinding]:
    if ids:
        yield DataFinding(
            id="right_answer_of_another_form",
            level="warning",
            message=f"the right answers to {len(ids)} of {count} rows have another form than those of training and validation "
            "rows, which models are held to: they cannot give them",
            examples=tuple(ids[:10]),
            count=len(ids),
        )


def _left_out(keywords: Sequence[str], items: Counter[str]) -> DataFinding:
    """items: how many have a form without these keywords, by the name of their schema; the empty name: a form of their own."""
    names = [name for name in items if name]
    more = f" and {len(names) - NAMED} more schemas" if len(names) > NAMED else ""
    of = ", ".join(names[:NAMED]) + more if names else f"{items.total()} items"
    return DataFinding(
        id="left_out_of_grammar",
        level="warning",
        message=f"left out of the grammar of {of}: {', '.join(keywords)}; a right answer breaks it, or no grammar can follow it",
        examples=tuple(keywords[:10]),
        count=items.total(),
    )
