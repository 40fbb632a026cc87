"""Generated data for graphs: texts with their entities, relations and hyperedges; hypergraphs with questions.

    Nobody doubts that the ferry Kelley, unlike the town Tollin, was bought by the firm Brae from the bank Corran in secret.
    Many would deny that the bank Corran is led by the widow Ilmere to this day.

    ### Entities:             ### Relations:       ### Hyperedges:
    1. [Ship] Kelley ...      None found.          1. [sale] Corran (seller) + Brae (buyer) + Kelley (thing)

Seventeen rows of twenty are texts of one or two facts about things of four types, nine relations and three kinds of hyperedge;
three are questions over a hypergraph of two to four bare sets, of five kinds. 5,000 rows take a second.

What is asked for follows from the text, and only from it. The shortcuts that this closes: one stock of names serves all types,
so a dictionary knows nothing; each pair of types has two relations or more, in both directions where it can be, so the types of
two names do not say what relates them; the type stands before each name wherever it is named, so the words beside a name tell
its type and nothing of a fact; every fact is told from any of its members, so order is no direction; words before a sentence
(`many would deny`) unsay it; bystanders are named beside the subject, so the names of a sentence are not always the ones meant;
words without meaning stand inside and behind, so that hardly a sentence was seen before; one text in twenty states nothing, so
naming what is there is no answer; questions that can be answered by yes or no are few. What a rule still finds are the names and
their types (entity F1 1.00). Whole answers on the 675 test rows of recipes/edge-graph.yaml: cue words 0.18, sentence templates
0.10, dictionary 0.07, majority 0.07.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import TYPE_CHECKING

from lathe.contracts import Corpus
from lathe.corpora._edge_graph.asking import question
from lathe.corpora._edge_graph.words import FACTS, TYPES
from lathe.corpora._edge_graph.writing import text_and_graph

if TYPE_CHECKING:
    from lathe.records import Json, Row

QUESTIONS = 0.15
"""Share of rows that ask something."""


class EdgeGraph(Corpus):
    """See the module's docstring."""

    version = "2"
    licence = "Apache-2.0"
    task = "graph_extraction"

    def rows(self, seed: int, n: int) -> Iterator[Row]:
        """Rows 0 to n - 1 of a seed; row i is the same whatever n is."""
        return (row(seed, number) for number in range(n))

    def schemas(self) -> Mapping[str, Json]:
        """The types and labels of the graphs; what an answer to a question may be."""
        return {"things": _schema(), "answer": {"type": ["boolean", "integer", "array"]}}


def row(seed: int, number: int) -> Row:
    """One row."""
    rng = Random(f"edge_graph/{EdgeGraph.version}/{seed}/{number}")
    made: Row = {"id": f"edge_graph-{seed}-{number}"}
    if rng.random() < QUESTIONS:
        return made | {"schema_id": "answer", **question(rng)}
    text, graph = text_and_graph(rng)
    return made | {"schema_id": "things", "input": text, "target": graph}


def _schema() -> Json:
    def listed(field: str, names: list[str], *others: str) -> Json:
        properties = {field: {"enum": names}, **{other: {"type": "string"} for other in others}}
        return {"type": "array", "items": {"type": "object", "properties": properties}}

    relations = list(dict.fromkeys(one.label for one in FACTS if one.is_relation))
    hyperedges = [one.label for one in FACTS if not one.is_relation]
    return {
        "type": "object",
        "properties": {
            "entities": listed("type", list(TYPES), "text"),
            "relations": listed("relation", relations, "head", "tail"),
            "hyperedges": listed("description", hyperedges),
        },
    }


CORPUS = EdgeGraph()
