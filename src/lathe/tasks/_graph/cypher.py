"""Answers as a Cypher script: `cypher-shell -f graph.cypher` loads them, and loading them twice changes nothing.

Nodes of all scripts have the same ids, one item after the other: another arm, or another run, belongs into another database.

MERGE (n:Lathe:Entity {id: 'i0e0'}) SET n += {item: '17', name: 'Mira', type: 'Person'};
MATCH (f:Lathe {id: 'i0r0'}), (m:Lathe {id: 'i0e0'}) MERGE (f)-[:MEMBER {role: 'head'}]->(m);
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lathe.tasks._graph.property_graph import Answered, Arc, Node, parts

FIRST = "CREATE CONSTRAINT lathe_id IF NOT EXISTS FOR (n:Lathe) REQUIRE n.id IS UNIQUE;\n"


def pieces(answered: Iterable[Answered]) -> Iterator[str]:
    """The script, a statement after the other."""
    yield FIRST
    for part in parts(answered):
        yield _node(part) if isinstance(part, Node) else _arc(part)


def _node(node: Node) -> str:
    said = {"item": node.item, "name": node.name, "type": node.type, "start": node.start, "end": node.end}
    written = ", ".join(f"{name}: {_literal(value)}" for name, value in said.items() if value not in (None, ""))
    return f"MERGE (n:Lathe:{node.kind.capitalize()} {{id: '{node.id}'}}) SET n += {{{written}}};\n"


def _arc(arc: Arc) -> str:
    found = f"MATCH (f:Lathe {{id: '{arc.fact}'}}), (m:Lathe {{id: '{arc.member}'}})"
    return f"{found} MERGE (f)-[:MEMBER {{role: {_literal(arc.role)}}}]->(m);\n"


def _literal(value: str | int | None) -> str:
    """A literal that says the value and nothing else."""
    if not isinstance(value, str):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    # Some versions turn \u0027 into a quote before they look for the end of the text, whatever stands before the backslash.
    return "'" + escaped.replace("\\\\u", "\\\\' + 'u") + "'"
