"""The graph in a text, in either notation; and why there is none.

graph_in("### Entities:\n1. [Person] Mira").graph       -> one entity
graph_in('{"entities": [["Mira", "Person"]]}').graph    -> the same
graph_in("Mira is a person.").problem                   -> "no graph"
"""

from __future__ import annotations

from dataclasses import dataclass

from lathe.tasks._graph import notation
from lathe.tasks._graph.graph import Graph, of_json
from lathe.tasks._json import reading

NO_GRAPH, BROKEN_LINE = "no graph", "a line that cannot be read"
PROBLEMS = (*reading.PROBLEMS[1:], NO_GRAPH, BROKEN_LINE)
"""Why an answer cannot be read, or only in part (BROKEN_LINE)."""


@dataclass(frozen=True)
class Found:
    """What was found. graph: None where nothing could be read at all; problem: one of PROBLEMS, or empty."""

    graph: Graph | None
    problem: str = ""


def graph_in(text: str) -> Found:
    """Reads an answer. Lines that cannot be read are left out, with the problem said. Never raises."""
    lines = notation.read(text)
    if lines is not None:
        return Found(lines.graph, BROKEN_LINE if lines.num_broken else "")
    found = reading.read(text, "object")
    if found.problem:
        return Found(None, NO_GRAPH if found.problem == reading.PROBLEMS[0] else found.problem)
    try:
        return Found(of_json(found.value))
    except ValueError:
        return Found(None, NO_GRAPH)
