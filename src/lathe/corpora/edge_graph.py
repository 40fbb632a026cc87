"""Generated data for graphs: texts with their entities, relations and hyperedges; hypergraphs with questions.

    It is a mere rumour that unlike Tollin, Brae calls Corran its daughter and has its seat in Norvik. Kelley, it seems, went to
    Brae for a price paid to Corran in secret. Brae is a firm. Kelley is a barge. ...

    ### Entities:             ### Relations:       ### Hyperedges:
    1. [Town] Tollin ...      None found.          1. [sale] Corran (seller) + Brae (buyer) + Kelley (thing)

Seven rows of ten are texts with three to six things of four types, seven relations and four kinds of hyperedge; three are questions
over a hypergraph of three to five bare sets, of five kinds. 5,000 rows take two seconds.

What is asked for follows from the text, and only from it. The shortcuts that this closes: one stock of names serves all types, so
a dictionary knows nothing; every fact is told from any of its members, so order is no direction; words before or after a sentence
(`it is a mere rumour`) unsay it; bystanders are named beside the subject, so the first name is not always the one meant; the words
next to a name (`calls`, `has`, `counts`) often tell nothing; a sentence joins two facts, with empty words in between, so that
hardly one was seen before. What a rule still finds are the names and their types (entity F1 0.96). Whole answers on the 640 test
rows of recipes/edge-graph.yaml: sentence templates 0.20, cue words 0.19, dictionary 0.11, majority 0.11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

from lathe.contracts import Corpus
from lathe.corpora._edge_graph.asking import question
from lathe.corpora._edge_graph.words import FACTS, TYPES
from lathe.corpora._edge_graph.writing import text_and_graph
from lathe.records import Json, Row

QUESTIONS = 0.3
"""Share of rows that ask something."""


class EdgeGraph(Corpus):
    """See the module's docstring."""

    version = "1"
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
