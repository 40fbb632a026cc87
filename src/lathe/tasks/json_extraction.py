"""JSON extraction: a document in, one JSON value out.

    Extract as JSON of this shape:
    {"order_id": string, "total": number, "status": "open"|"closed", "note"?: string}

    Text:
    Order A-17 came to $40.50 and is still open.

    {"order_id": "A-17", "total": 40.5, "status": "open"}

A row has `input` (the document) and `target` (the value, or its JSON text); `id`, the schema's name (`schema_id`), `complexity` and
`style` where they are known. `data.fields` in the recipe maps them to other names: `{input: prompt, target: expected_output}`.
"""

from __future__ import annotations

import difflib
import json
from typing import Any

from lathe.contracts import Baseline, ItemVerdict, Metric, Task, Worked
from lathe.errors import TaskMismatch
from lathe.records import Example, Json, Message, Row, TaskSetup, digest

from ._json import conformity, reading, rules, slmbench, values
from ._json.shape import ordered, shape

UNSTATED = "unstated"
"""Slice value of a row that does not say: it is counted under this name, never dropped."""

METRICS = (
    Metric(
        "json_exact",
        "1 where the answer's JSON equals the gold value: objects without order, lists in order, numbers by value (1 is 1.0), strings "
        "by every character, true unequal to 1. The value is read from the first { or [ that opens one; text around it is allowed; "
        "NaN, repeated keys and numbers that overflow are refused.",
        "proportion",
    ),
    Metric(
        "field_f1",
        "F1 over the leaves of the flattened values, for each item: 2 x matched / (leaves of gold + leaves of answer). A leaf matches "
        "where an equal one stands at the same place; list items are aligned in order, with items skipped on either side where that "
        "matches more leaves; an empty object or list is one leaf. No JSON is 0.",
        "mean",
    ),
    Metric(
        "schema_valid",
        "1 where the answer's JSON fits the row's JSON Schema (draft as the schema says, else 2020-12; format not asserted; patterns "
        "that could take exponential time not asserted). Not measured where the row has no schema.",
        "proportion",
    ),
    Metric("json_valid", "1 where the answer holds a JSON object or array at all.", "proportion"),
    Metric(
        "slmbench_json_exact",
        "SLM-Bench's JSONExact: Python's == on what its extraction finds (whole text, else a regular expression that knows one inner "
        "level of braces), so true equals 1 and a deep answer followed by text is lost.",
        "proportion",
        compatible_with="SLM-Bench EdgeJSON JSONExact",
    ),
    Metric(
        "slmbench_field_f1",
        "SLM-Bench's FieldF1: F1 over top-level keys only, a nested value right as a whole or not at all. Not measured where the gold "
        "value is no object.",
        "mean",
        compatible_with="SLM-Bench EdgeJSON FieldF1",
    ),
    Metric(
        "slmbench_schema_compliance",
        "SLM-Bench's SchemaCompliance: a non-empty object with all top-level keys of the gold value and values of the same Python type "
        "(int and float are one); the schema itself is not looked at. Not measured where the gold value is no object.",
        "proportion",
        compatible_with="SLM-Bench EdgeJSON SchemaCompliance",
    ),
)

REASONS = (*reading.PROBLEMS, *values.FAULTS)
"""Why an answer is not exactly right: one of these for each wrong answer."""

BASELINES = (
    Baseline(
        "key_value_rule",
        "Reads the document as a listing of `Label: value` lines (also `=` and two-cell table rows), indentation and bullets as nesting; "
        "labels are matched to the schema's keys by their words, by similarity, and by what training rows taught; values are cast by "
        "the schema's types.",
        rules.fit_key_value,
    ),
    Baseline(
        "majority",
        "The most frequent training value of every slot for the row's schema, without looking at the document.",
        rules.fit_majority,
    ),
)


class JsonExtraction(Task):
    """See the module's docstring."""

    version = "1"
    primary = "json_exact"
    metrics = METRICS
    slices = ("complexity", "schema", "style")
    baselines = BASELINES

    def example(self, row: Row, setup: TaskSetup) -> Example:
        """Reads a row; the completion has the schema's order of keys where there is a schema."""
        document = _document(row, setup)
        name, schema = _schema_of(row, setup)
        target = _target(row, setup)
        if schema is not None:
            _check(name, schema, target)
            target = ordered(schema, schema, target)
        shown = f" of this shape:\n{shape(schema)}" if schema is not None and setup.schema_in_prompt else "."
        prompt = f"Extract as JSON{shown}\n\nText:\n{document}"
        given = row.get(setup.fields.get("id", "id"))
        return Example(
            id=str(given) if isinstance(given, str | int) and given != "" else digest(prompt)[:16],
            input=document,
            messages=(Message(role="user", content=prompt),),
            completion=json.dumps(target, ensure_ascii=False),
            target=target,
            meta={
                "schema": name or UNSTATED,
                "complexity": _label(row, setup, "complexity"),
                "style": _label(row, setup, "style"),
            },
        )

    def score(self, example: Example, text: str, setup: TaskSetup) -> ItemVerdict:
        """Judges one answer. The reason is one of REASONS, empty where `json_exact` is 1."""
        gold = example.target
        found = reading.read(text, "array" if isinstance(gold, list) else "object")
        schema = setup.schemas.get(example.meta.get("schema", ""))
        fits = conformity.conforms(schema, found.value) if schema is not None and not found.problem else False
        theirs = slmbench.extract(text)
        comparable = isinstance(gold, dict)
        fault = found.problem or values.fault(gold, found.value)
        return ItemVerdict(
            values={
                "json_exact": float(not fault),
                "field_f1": 0.0 if found.problem else values.field_f1(gold, found.value),
                "schema_valid": None if schema is None or fits is None else float(fits),
                "json_valid": float(not found.problem),
                "slmbench_json_exact": slmbench.json_exact(gold, theirs),
                "slmbench_field_f1": slmbench.field_f1(gold, theirs) if comparable else None,
                "slmbench_schema_compliance": slmbench.schema_compliance(gold, theirs) if comparable else None,
            },
            reason=fault,
        )

    def worked_setup(self) -> TaskSetup:
        """One schema, `ticket`, shown in the prompt."""
        return TaskSetup(schemas={"ticket": WORKED_SCHEMA})

    @property
    def worked(self) -> tuple[Worked, ...]:  # type: ignore[override]
        """Answers to one row: right, nearly right and wrong in each way that has its own reason."""
        return WORKED


def _named(setup: TaskSetup, name: str) -> str:
    return setup.fields.get(name, name)


def _label(row: Row, setup: TaskSetup, name: str) -> str:
    value = row.get(_named(setup, name))
    return str(value) if isinstance(value, str | int) and value != "" else UNSTATED


def _field(row: Row, setup: TaskSetup, name: str, what: str) -> Any:
    """A field that must be there; else TaskMismatch with the fields that are, the nearest, and how to map it."""
    column = _named(setup, name)
    if column in row:
        return row[column]
    known = {
        "input": ("prompt", "text", "document"),
        "target": ("expected_output", "output", "completion", "json", "answer"),
    }
    near = difflib.get_close_matches(column, list(row), n=1) or [one for one in known.get(name, ()) if one in row]
    guess = near[0] if near else "YOUR_FIELD"
    raise TaskMismatch(
        f"json_extraction expects the field {column!r} ({what}); the row has {', '.join(map(repr, row)) or 'no fields'}",
        hint=(f"The nearest is {guess!r}. " if near else "")
        + f"Map it in the recipe: data: {{fields: {{{name}: {guess}}}}}",
    )


def _document(row: Row, setup: TaskSetup) -> str:
    document = _field(row, setup, "input", "the document, a text")
    if not isinstance(document, str) or not document.strip():
        raise TaskMismatch(
            f"json_extraction expects {_named(setup, 'input')!r} to be a text that says something, got {_shown(document)}",
            hint="Take the row out, or map another field: data: {fields: {input: YOUR_FIELD}}",
        )
    return document


def _target(row: Row, setup: TaskSetup) -> Json:
    column = _named(setup, "target")
    target = _field(row, setup, "target", "the JSON value to extract, or its text")
    if isinstance(target, str):
        try:
            target = reading.read_exactly(target)
        except ValueError as error:
            raise TaskMismatch(
                f"json_extraction expects {column!r} to be JSON, got a text that is none: {error}",
                hint="Give the value itself or a text that is one JSON object or array and nothing else.",
            ) from error
    if not isinstance(target, dict | list):
        raise TaskMismatch(
            f"json_extraction expects {column!r} to be a JSON object or array, got {_shown(target)}",
            hint='Wrap a single value in an object: {"answer": ...}',
        )
    if values.too_deep(target):
        raise TaskMismatch(f"json_extraction reads at most {values.MAX_DEPTH} levels of nesting, {column!r} has more")
    try:
        json.dumps(target, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise TaskMismatch(
            f"json_extraction expects {column!r} to be JSON, got a value that is none: {error}"
        ) from error
    return target


def _schema_of(row: Row, setup: TaskSetup) -> tuple[str, Json]:
    """Name and schema of a row; (name, None) where there are no schemas. A single schema is every row's."""
    name = row.get(setup.schema_key)
    if not setup.schemas:
        return (name, None) if isinstance(name, str) else ("", None)
    if isinstance(name, str) and name in setup.schemas:
        return name, setup.schemas[name]
    if name is None and len(setup.schemas) == 1:
        return next(iter(setup.schemas.items()))
    if name is None:
        raise TaskMismatch(
            f"json_extraction expects the field {setup.schema_key!r} to name one of {len(setup.schemas)} schemas; "
            f"the row has {', '.join(map(repr, row))}",
            hint="Name the field that does in the recipe: schema: {key: YOUR_FIELD}",
        )
    near = difflib.get_close_matches(str(name), list(setup.schemas), n=1)
    raise TaskMismatch(
        f"the row names the schema {_shown(name)}, which is not among the {len(setup.schemas)} given",
        hint=f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(setup.schemas)[:30])}.",
    )


def _check(name: str, schema: Json, target: Json) -> None:
    """The gold value must fit its own schema, else `schema_valid` would measure the data, not the model."""
    fits = None if conformity.problem_with(schema) else conformity.conforms(schema, target)
    if fits is None:
        reason = conformity.problem_with(schema) or "it refers to something outside of itself, or to itself without end"
        raise TaskMismatch(f"the schema {name!r} cannot be applied: {reason}", hint="Mend the schema file.")
    if not fits:
        raise TaskMismatch(
            f"the target does not fit the schema {name!r} at {conformity.first_misfit(schema, target)}",
            hint="Mend the row, or the schema.",
        )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


WORKED_SCHEMA: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Ticket",
    "type": "object",
    "properties": {
        "code": {"type": "string"},
        "seats": {"type": "integer"},
        "paid": {"type": "boolean"},
        "price": {"type": "number"},
        "guests": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
                "required": ["name"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["code", "seats", "paid", "guests"],
    "additionalProperties": False,
}
_ROW = {
    "id": "worked",
    "input": "Ticket K7, paid: one seat at $12.50 for Ada (36) and Bo.",
    "target": {
        "code": "K7",
        "seats": 1,
        "paid": True,
        "price": 12.5,
        "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}],
    },
    "schema_id": "ticket",
    "complexity": "medium",
    "style": "prose",
}
_NAMES = tuple(metric.name for metric in METRICS)


def _worked(answer: str, why: str, *scores: float) -> Worked:
    return Worked(_ROW, answer, dict(zip(_NAMES, scores, strict=True)), why)


WORKED = (
    _worked(
        '{"code": "K7", "seats": 1, "paid": true, "price": 12.5, "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}',
        "right", 1, 1, 1, 1, 1, 1, 1,
    ),
    _worked(
        '{"price": 12.50, "seats": 1.0, "guests": [{"age": 36, "name": "Ada"}, {"name": "Bo"}], "paid": true, "code": "K7"}',
        "keys in another order, numbers written otherwise", 1, 1, 1, 1, 1, 1, 1,
    ),
    _worked(
        '```json\n{"code": "K7", "seats": 1, "paid": true, "price": 12.5, "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}\n```\n'
        "Anything else?",
        "right, fenced and followed by text", 1, 1, 1, 1, 1, 1, 1,
    ),
    _worked(
        '{"code": "K7", "seats": true, "paid": 1, "price": 12.5, "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}',
        "true is not 1 and 1 is not true; for SLM-Bench's exact match they are", 0, 10 / 14, 0, 1, 1, 1, 0,
    ),
    _worked(
        '{"code": "K7", "seats": "1", "paid": true, "price": 12.5, "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}',
        "wrong type", 0, 12 / 14, 0, 1, 0, 0.8, 0,
    ),
    _worked(
        '{"code": "K7", "seats": 1, "price": 12.5, "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}',
        "missing field: `paid`", 0, 12 / 13, 0, 1, 0, 8 / 9, 0,
    ),
    _worked(
        '{"code": "K7", "seats": 1, "paid": true, "price": 12.5, "note": "", "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}',
        "extra field: `note`", 0, 14 / 15, 0, 1, 0, 10 / 11, 1,
    ),
    _worked(
        '{"code": "K7", "seats": 1, "paid": true, "price": 12.5, "guests": [{"name": "Bo"}]}',
        "a list item is missing; the one that is there still counts", 0, 10 / 12, 1, 1, 0, 0.8, 1,
    ),
    _worked(
        '{"code": "K1", "seats": 1, "paid": true, "price": 12.5, "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}',
        "wrong value", 0, 12 / 14, 1, 1, 0, 0.8, 1,
    ),
    _worked(
        '{"code": "K7", "seats": 1, "paid": true, "price": 12.5, "guests": [{"name": "Ada", "age": 36}, {"na',
        "cut off: an inner object of a broken answer is not the answer; SLM-Bench takes it for one", 0, 0, 0, 0, 0, 0, 0,
    ),
    _worked("The ticket is K7.", "no JSON", 0, 0, 0, 0, 0, 0, 0),
    _worked('{"code": "K7", "code": "K8"}', "repeated key: it means two things", 0, 0, 0, 0, 0, 0, 0),
)  # fmt: skip

TASK = JsonExtraction()
