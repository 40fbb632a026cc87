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

from collections.abc import Iterator, Sequence

from lathe import conformity
from lathe.contracts import Baseline, ItemVerdict, JsonForm, Task
from lathe.records import Example, Json, Message, Row, TaskSetup
from lathe.tasks._counts import f1, macro_f1
from lathe.tasks._json import nuextract, place, reading, rows, rules, slmbench, tolerance, values, variants
from lathe.tasks._json.metrics import METRICS
from lathe.tasks._json.shape import ordered, shape
from lathe.tasks._json.worked import WORKED, WORKED_SCHEMA
from lathe.tasks._rows import UNSTATED, column_of, identity, label

REASONS = (*reading.PROBLEMS, *values.FAULTS)
"""Why an answer is not exactly right: one of these for each wrong answer."""

BASELINES = (
    Baseline(
        "key_value_rule",
        "Reads the document as a listing of `Label: value` lines (also `=` and two-cell table rows), indentation and "
        "bullets as nesting; labels are matched to the schema's keys by their words, by similarity, and by what "
        "training rows taught; values are cast by the schema's types.",
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

    version = "5"
    primary = "json_exact"
    metrics = METRICS
    fields = ("input", "target", "complexity", "style")
    slices = ("complexity", "schema", "style")
    question_slices = slices
    baselines = BASELINES
    worked = WORKED
    answers = "json"

    def example(self, row: Row, setup: TaskSetup) -> Example:
        """Reads a row; the completion has the schema's order of keys where there is a schema."""
        document = rows.FIELDS.text(row, setup, "input", "the document, a text")
        name, schema = rows.FIELDS.schema(row, setup)
        target = rows.target(row, setup)
        if schema is not None:
            target = ordered(schema, schema, target)
        completion = rows.written(target, setup)
        if schema is not None:
            rows.check(name, schema, target)
        shown = f" of this shape:\n{shape(schema)}" if schema is not None and setup.schema_in_prompt else "."
        prompt = f"Extract as JSON{shown}\n\nText:\n{document}"
        return Example(
            id=identity(row, setup, prompt),
            input=document,
            messages=(Message(role="user", content=prompt),),
            completion=completion,
            target=target,
            meta={
                "schema": name or UNSTATED,
                "complexity": label(row, setup, "complexity"),
                "style": label(row, setup, "style"),
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
        top = place.top(schema)
        fields, types = values.by_class(gold, found.value, top, readable=not found.problem)
        return ItemVerdict(
            values={
                "json_exact": float(not fault),
                "field_f1": f1(fields),
                "schema_valid": None if schema is None or fits is None else float(fits),
                "json_valid": float(not found.problem),
                "field_macro_f1": macro_f1(fields),
                "type_macro_f1": macro_f1(types),
                "json_close": float(not found.problem and tolerance.same(gold, found.value, top))
                if place.tolerates(schema)
                else None,
                "slmbench_json_exact": slmbench.json_exact(gold, theirs),
                "slmbench_field_f1": slmbench.field_f1(gold, theirs) if comparable else None,
                "slmbench_schema_compliance": slmbench.schema_compliance(gold, theirs) if comparable else None,
                "nuextract_aligned": 0.0 if found.problem else nuextract.score(gold, found.value, top),
            },
            reason=fault,
            counts={"field_macro_f1": fields, "type_macro_f1": types},
        )

    def value(self, text: str, example: Example, setup: TaskSetup) -> Json:
        """The object of the answer, or the list where the schema asks for one."""
        schema = setup.schemas.get(example.meta.get("schema", ""))
        wants_list = isinstance(schema, dict) and schema.get("type") == "array"
        return reading.read(text, "array" if wants_list else "object").value

    def form(self, example: Example, setup: TaskSetup) -> JsonForm | None:
        """The row's schema."""
        schema = setup.schemas.get(example.meta.get("schema", ""))
        return None if schema is None else JsonForm(schema)

    def variants(self, rows: Sequence[Example], count: int, setup: TaskSetup) -> Iterator[Example]:
        """Other values, and lists drawn anew (lathe.tasks._json.variants)."""

        def example(row: Example, text: str, target: Json) -> Example:
            stated = {"input": text, "target": target, **row.meta}
            named = {column_of(setup, name): value for name, value in stated.items()}
            return self.example({**named, setup.schema_key: row.meta["schema"]}, setup)

        return variants.of_rows(rows, count, example)

    def stand_in(self, setup: TaskSetup, schema: str | None) -> Json:
        return {}

    def worked_setup(self) -> TaskSetup:
        """One schema, `ticket`, shown in the prompt."""
        return TaskSetup(schemas={"ticket": WORKED_SCHEMA})


TASK = JsonExtraction()
