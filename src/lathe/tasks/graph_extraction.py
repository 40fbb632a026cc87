"""Graphs: a text in; its entities, relations and hyperedges out. Or a hypergraph and a question in, the answer out.

    Extract the graph of the text: entities, relations, and hyperedges, which are facts about two or more entities at once.

    Text:
    Mira, who lives in Lunde, sold the mill to Theo.

    ### Entities:
    1. [Person] Mira
    2. [Town] Lunde
    3. [Person] Theo

    ### Relations:
    1. Mira --[lives_in]--> Lunde

    ### Hyperedges:
    1. [sale] Mira (seller) + Theo (buyer) + the mill (thing)

A row has `input` (the text) and `target` (the graph, an object or its text; the model is taught the notation that the row has, and
both are read from answers). Entities may have spans. A schema, where there is one, names the types and labels by `enum` and holds
the gold graphs to them. A row with `graph` (hyperedges) and `question` asks something of it: its answer is computed from `ask`
(see `_graph/questions.py`), or stated as `target`. A program answers such questions too: they measure what a model can follow, not
a job that needs one.

Answers leave a run as a bipartite property graph, entities on one side, relations and hyperedges on the other: GraphML and Cypher.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lathe.contracts import Form, ItemVerdict, Task, Written
from lathe.records import Example, Json, Message, Row, TaskSetup
from lathe.tasks._graph import cypher, form, graphml, judge, notation, questions, rows
from lathe.tasks._graph.answers import PROBLEMS, graph_in
from lathe.tasks._graph.graph import Graph, of_json, to_json
from lathe.tasks._graph.matching import FAULTS, compared
from lathe.tasks._graph.metrics import METRICS
from lathe.tasks._graph.rules import BASELINES
from lathe.tasks._graph.worked import WORKED
from lathe.tasks._rows import UNSTATED, identity, label

EXTRACT = "Extract the graph of the text: entities, relations, and hyperedges, which are facts about two or more entities at once."
ASK = "Each line is a hyperedge: its name and its members. Answer with yes, no, a number, or a JSON list of names."
REASONS = (*PROBLEMS, *FAULTS, judge.NO_ANSWER, judge.WRONG_ANSWER)
"""Why an answer is not exactly right: one of these for each wrong answer."""


class GraphExtraction(Task):
    """See the module's docstring."""

    version = "2"
    primary = "graph_exact"
    metrics = METRICS
    fields = ("input", "target", "graph", "question", "ask")
    slices = ("kind",)
    question_slices = slices
    baselines = BASELINES
    worked = WORKED
    answers = "json"
    files: ClassVar[Mapping[str, Written]] = {"graph.graphml": graphml.pieces, "graph.cypher": cypher.pieces}

    def example(self, row: Row, setup: TaskSetup) -> Example:
        """Reads a row of either mode. `kind` is the question's, or `text`."""
        return self._question(row, setup) if rows.is_question(row, setup) else self._text(row, setup)

    def _text(self, row: Row, setup: TaskSetup) -> Example:
        name, schema = rows.FIELDS.schema(row, setup)
        found = rows.text(row, setup, schema)
        names = rows.shown_names(schema) if setup.schema_in_prompt else ""
        told = f"{EXTRACT}\n{names}" if names else EXTRACT
        prompt = f"{told}\n\nText:\n{found.document}"
        return Example(
            id=identity(row, setup, prompt),
            input=found.document,
            messages=(Message(role="user", content=prompt),),
            completion=found.completion,
            target=to_json(found.graph),
            meta={"kind": "text", "schema": name or UNSTATED},
        )

    def _question(self, row: Row, setup: TaskSetup) -> Example:
        found = rows.question(row, setup)
        prompt = f"{ASK}\n\n{found.document}"
        return Example(
            id=identity(row, setup, prompt),
            input=found.document,
            messages=(Message(role="user", content=prompt),),
            completion=questions.written(found.right),
            target=found.right,
            meta={"kind": found.kind, "schema": label(row, setup, setup.schema_key)},
        )

    def score(self, example: Example, text: str, setup: TaskSetup) -> ItemVerdict:
        """Judges one answer. The reason is one of REASONS, empty where `graph_exact` is 1."""
        if isinstance(example.target, dict):
            return judge.graph(of_json(example.target), example.input, text)
        return judge.question(example.target, text)

    def value(self, text: str, example: Example, setup: TaskSetup) -> Json:
        """The graph of the answer, from either notation; of a question yes or no, a number or a list."""
        if not isinstance(example.target, dict):
            return questions.read(text)
        found = graph_in(text).graph
        return None if found is None else to_json(found)

    def meaning(self, example: Example) -> Json:
        """The right graph by what graphs are compared by, or the right answer to a question."""
        if not isinstance(example.target, dict):
            return questions.meaning(example.target)
        return compared(of_json(example.target))

    def form(self, example: Example, setup: TaskSetup) -> Form:
        """A graph in the row's own notation with what its schema names; of a question yes, no, a number or a list."""
        if not isinstance(example.target, dict):
            return form.to_question()
        named = rows.named(setup.schemas.get(example.meta["schema"]))
        return form.in_lines(named) if notation.read(example.completion) else form.as_json(named)

    def stand_in(self, setup: TaskSetup, schema: str | None) -> Json:
        """The graph without anything."""
        return to_json(Graph())

    def worked_setup(self) -> TaskSetup:
        """Nothing: any type and label may be said."""
        return TaskSetup()


TASK = GraphExtraction()
