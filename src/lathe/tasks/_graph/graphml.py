"""Answers as GraphML, for networkx, Gephi, yEd, Neo4j's apoc.import.graphml and others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape

from lathe.tasks._graph.property_graph import Answered, Arc, Node, parts

NODE_KEYS = {"kind": "string", "item": "string", "name": "string", "type": "string", "start": "int", "end": "int"}
ARC_KEYS = {"role": "string"}


def pieces(answered: Iterable[Answered]) -> Iterator[str]:
    """The file, piece by piece."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
    for place, keys in (("node", NODE_KEYS), ("edge", ARC_KEYS)):
        for name, kind in keys.items():
            yield f'<key id="{name}" for="{place}" attr.name="{name}" attr.type="{kind}"/>\n'
    yield '<graph edgedefault="directed">\n'
    for number, part in enumerate(parts(answered)):
        yield _node(part) if isinstance(part, Node) else _arc(number, part)
    yield "</graph>\n</graphml>\n"


def _node(node: Node) -> str:
    said = "".join(_data(name, getattr(node, name)) for name in NODE_KEYS)
    return f'<node id="{node.id}">{said}</node>\n'


def _arc(number: int, arc: Arc) -> str:
    said = _data("role", arc.role)
    return f'<edge id="a{number}" source="{arc.fact}" target="{arc.member}">{said}</edge>\n'


def _data(name: str, value: str | int | None) -> str:
    """A value; nothing for what is empty."""
    if value is None or value == "":
        return ""
    # An XML reader makes a line feed of a bare carriage return.
    return f'<data key="{name}">{escape(str(value), {chr(13): "&#13;"})}</data>'
