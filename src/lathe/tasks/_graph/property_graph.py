"""Answers as a bipartite property graph: entities on one side, relations and hyperedges on the other, an arc for every membership.

    Mira --[lives_in]--> Lunde     two entities, a fact `lives_in`, arcs to them with the roles `head` and `tail`

Every item is a graph of its own: its nodes carry its id. What a fact names and the answer does not list is an entity without type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from lathe.records import Example
from lathe.tasks._graph.answers import graph_in
from lathe.tasks._graph.graph import Entity, Graph, key

NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, and halves of surrogate pairs."""

Answered = tuple[Example, str]
"""An item and what was answered."""


@dataclass(frozen=True)
class Node:
    """An entity or a fact. name: an entity's text, a relation's label or a hyperedge's description; type: of entities."""

    id: str
    kind: Literal["entity", "relation", "hyperedge"]
    item: str
    name: str
    type: str = ""
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Arc:
    """From a fact to one of its members."""

    fact: str
    member: str
    role: str


def parts(answered: Iterable[Answered]) -> Iterator[Node | Arc]:
    """Nodes and arcs of all answers that hold a graph, an item after the other; an arc comes after its nodes."""
    for number, (example, text) in enumerate(answered):
        graph = graph_in(text).graph if isinstance(example.target, dict) else None
        if graph is not None:
            yield from _of_item(number, plain(example.id), graph)


def _of_item(number: int, item: str, graph: Graph) -> Iterator[Node | Arc]:
    known: dict[str, Node] = {}
    entities = [*graph.entities, *(Entity(name, "") for name in _named(graph))]
    for one in entities:
        if key(one.text) not in known:
            id_ = f"i{number}e{len(known)}"
            node = Node(id_, "entity", item, plain(one.text), plain(one.type), one.start, one.end)
            known[key(one.text)] = node
            yield node
    for place, relation in enumerate(graph.relations):
        fact = Node(f"i{number}r{place}", "relation", item, plain(relation.label))
        yield fact
        yield Arc(fact.id, known[key(relation.head)].id, "head")
        yield Arc(fact.id, known[key(relation.tail)].id, "tail")
    for place, edge in enumerate(graph.hyperedges):
        fact = Node(f"i{number}h{place}", "hyperedge", item, plain(edge.description))
        yield fact
        for member in dict.fromkeys((key(one.entity), one.role) for one in edge.members):
            yield Arc(fact.id, known[member[0]].id, plain(member[1]))


def _named(graph: Graph) -> Iterator[str]:
    """What relations and hyperedges name."""
    for relation in graph.relations:
        yield from (relation.head, relation.tail)
    for edge in graph.hyperedges:
        yield from (one.entity for one in edge.members)


def plain(text: str) -> str:
    """A text that every file can hold."""
    return NOT_IN_XML.sub("\ufffd", text)
