"""Rows of graphs: a text and its graph, or a hypergraph and a question."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from lathe import conformity
from lathe.errors import TaskMismatch
from lathe.records import Json, Row, TaskSetup
from lathe.tasks._graph import notation, questions
from lathe.tasks._graph.answers import graph_in
from lathe.tasks._graph.graph import Graph, of_json, to_json
from lathe.tasks._json import reading
from lathe.tasks._rows import Fields, column_of, shown

FIELDS = Fields(
    "graph_extraction",
    {
        "input": ("text", "sentence", "document", "prompt"),
        "target": ("output", "graph", "answer", "completion"),
        "question": ("input", "ask"),
    },
)
EITHER = (
    f"""The row's own notation is kept: write {", ".join(notation.PARTS)} as JSON, or as lines in Odin's grammar."""
)


@dataclass(frozen=True)
class Text:
    """A text and the graph that it says. completion: the graph in the notation that the row has it in."""

    document: str
    graph: Graph
    completion: str


@dataclass(frozen=True)
class Question:
    """A question over a hypergraph. document: the hypergraph and the question as they are shown."""

    document: str
    kind: str
    right: questions.Answer


def is_question(row: Row, setup: TaskSetup) -> bool:
    """Whether a row asks something of a hypergraph instead of giving a text."""
    return column_of(setup, "graph") in row and column_of(setup, "question") in row


# ------------------------------------------------------------------------------------------ texts


def text(row: Row, setup: TaskSetup, schema: Json) -> Text:
    """Reads a text and its graph. Raises TaskMismatch where the graph cannot be read, or does not fit itself or its schema."""
    document = FIELDS.text(row, setup, "input", "the text")
    target = FIELDS.value(row, setup, "target", "the graph, an object or its text")
    if isinstance(target, str):
        found = graph_in(target)
        if found.graph is None or found.problem:
            raise _mismatch(f"the graph of the row cannot be read: {found.problem}", EITHER)
        graph, in_lines = found.graph, notation.read(target) is not None
    else:
        try:
            graph, in_lines = of_json(target), False
        except ValueError as error:
            raise _mismatch(f"the graph of the row cannot be read: {error}", EITHER) from error
    if problem := _problem(graph, document) or _misfit(schema, graph):
        raise _mismatch(f"the graph of the row cannot be right: {problem}", "Mend the row, or take it out.")
    return Text(
        document, graph, notation.written(graph) if in_lines else json.dumps(to_json(graph), ensure_ascii=False)
    )


def _problem(graph: Graph, document: str) -> str:
    """What is wrong with a gold graph whatever its schema is."""
    spans = [one for one in graph.entities if one.start is not None]
    if spans and len(spans) < len(graph.entities):
        return "some entities have a span and others have none"
    for one in spans:
        if document[one.start : one.end] != one.text:
            return f"at {one.start}-{one.end} stands {shown(document[one.start : one.end])}, not {shown(one.text)}"
    few = next((one for one in graph.hyperedges if len(one.member_set) < 2), None)
    return "a hyperedge has fewer than two members" if few else ""


def _misfit(schema: Json, graph: Graph) -> str:
    if schema is None:
        return ""
    if problem := conformity.problem_with(schema):
        return f"its schema cannot be applied: {problem}"
    value = to_json(graph)
    return (
        ""
        if conformity.conforms(schema, value) is not False
        else f"it misses its schema at {conformity.first_misfit(schema, value)}"
    )


def _mismatch(message: str, hint: str) -> TaskMismatch:
    return TaskMismatch(message, hint=hint)


# ------------------------------------------------------------------------------------------ questions


def question(row: Row, setup: TaskSetup) -> Question:
    """Reads a question. The answer is computed from `ask`; a row without it has to state its answer under `target`.

    Raises TaskMismatch where neither is there, the hypergraph cannot be read, or both are there and differ.
    """
    asked = FIELDS.text(row, setup, "question", "the question, a text")
    target, ask = row.get(column_of(setup, "target")), row.get(column_of(setup, "ask"))
    stated = questions.answer_of(target)
    try:
        edges = questions.edges_of(_value(row[column_of(setup, "graph")]))
        right = stated if ask is None else questions.computed(ask, edges)
    except ValueError as error:
        raise _mismatch(f"the question of the row cannot be asked: {error}", "Mend the row, or take it out.") from error
    if right is None:
        raise _mismatch(
            f"graph_extraction expects a question to come with 'ask' or 'target'; the row has {', '.join(map(repr, row))}",
            "Write the answer as yes, no, a number or a list of names; or map another field: data: {fields: {target: YOUR_FIELD}}",
        )
    if stated is not None and not questions.same(right, stated):
        raise _mismatch(
            f"the row says that the answer is {shown(stated)}; from its graph follows {shown(right)}", "Mend the row."
        )
    kind = ask["kind"] if ask is not None else "question"
    return Question(f"{questions.shown(edges)}\n\n{asked}", kind, right)


def _value(graph: Json) -> Json:
    """The hypergraph of a row, where it is a text too."""
    if not isinstance(graph, str):
        return graph
    lines = notation.read(graph)
    return to_json(lines.graph) if lines is not None else reading.read_exactly(graph)


# ------------------------------------------------------------------------------------------ what a schema names


def named(schema: Json) -> dict[str, Sequence[str]]:
    """The types, labels and descriptions that a schema allows, by the part of a graph that has them; none where it names none."""
    fields = {"entities": "type", "relations": "relation", "hyperedges": "description"}
    return {part: _enum(schema, part, field) for part, field in fields.items()}


def shown_names(schema: Json) -> str:
    """What a schema names, a line each; empty where it names nothing."""
    titles = {"entities": "Types", "relations": "Relations", "hyperedges": "Hyperedges"}
    return "\n".join(f"{titles[part]}: {_listed(names)}" for part, names in named(schema).items() if names)


def _listed(names: Sequence[str]) -> str:
    # A comma in a name would make it look like two.
    return ("; " if any("," in one for one in names) else ", ").join(names)


def _enum(schema: Json, part: str, field: str) -> Sequence[str]:
    for step in ("properties", part, "items", "properties", field, "enum"):
        schema = schema.get(step) if isinstance(schema, dict) else None
    return [str(one) for one in schema] if isinstance(schema, list) else []
