"""Graphs as lines of text: Odin's grammar, with a third section for hyperedges.

    ### Entities:
    1. [Person] Mira
    2. [Town] Lunde @14-19

    ### Relations:
    1. Mira --[lives_in]--> Lunde

    ### Hyperedges:
    1. [sale] Mira (seller) + Theo (buyer) + the mill

A section without anything says `None found.`; ` @14-19` is a span, `(seller)` a role. A line of a section that is none of its items
is left out and counted. Entity texts with ` + ` in them, and others that the grammar would cut, have to be written in JSON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lathe.tasks._graph.graph import FARTHEST, PARTS, Entity, Graph, Hyperedge, Member, Relation

NOTHING = "None found."
HEADER = re.compile(r"^#+\s*(entities|relations|hyperedges)\s*:?\s*$", re.IGNORECASE)
ITEM = re.compile(r"^(?:\d+[.)]|[-*])\s+(.*)$")
ENTITY = re.compile(r"^\[([^\]]+)\]\s*(\S.*?)(?:\s@(\d+)-(\d+))?$")
RELATION = re.compile(r"^(\S.*?)\s*--\[([^\]]+)\]-->\s*(\S.*)$")
HYPEREDGE = re.compile(r"^(?:\[([^\]]*)\]\s*)?(\S.*)$")
MEMBER = re.compile(r"^(\S.*?)(?:\s+\(([^()]*)\))?$")


@dataclass(frozen=True)
class Lines:
    """What was read. num_broken: lines of a section that are none of its items."""

    graph: Graph
    num_broken: int = 0


def written(graph: Graph) -> str:
    """A graph in the grammar, sections in order."""
    items = (
        [f"[{one.type}] {one.text}{_span(one)}" for one in graph.entities],
        [f"{one.head} --[{one.label}]--> {one.tail}" for one in graph.relations],
        [_hyperedge(one) for one in graph.hyperedges],
    )
    return "\n\n".join(_section(part, found) for part, found in zip(PARTS, items, strict=True))


def _section(part: str, items: list[str]) -> str:
    lines = [f"{number}. {item}" for number, item in enumerate(items, 1)] or [NOTHING]
    return "\n".join((f"### {part.capitalize()}:", *lines))


def _span(one: Entity) -> str:
    return "" if one.start is None else f" @{one.start}-{one.end}"


def _hyperedge(one: Hyperedge) -> str:
    described = f"[{one.description}] " if one.description else ""
    return described + " + ".join(map(_member, one.members))


def _member(one: Member) -> str:
    # A text that ends like a role says with `()` that it has none.
    return f"{one.entity} ({one.role})" if one.role or one.entity.endswith(")") else one.entity


def read(text: str) -> Lines | None:
    """The graph that a text holds in this grammar; None where no section begins. Never raises."""
    found: dict[str, list[str]] = {}
    here: list[str] | None = None
    for line in map(str.strip, text.split("\n")):
        if header := HEADER.match(line):
            here = found.setdefault(header[1].lower(), [])
        elif line and here is not None and line.rstrip(".").lower() not in ("none found", "none"):
            here.append(line)
    if not found:
        return None
    entities = [_read_entity(line) for line in found.get("entities", ())]
    relations = [_read_relation(line) for line in found.get("relations", ())]
    hyperedges = [_read_hyperedge(line) for line in found.get("hyperedges", ())]
    graph = Graph(
        tuple(one for one in entities if one), tuple(one for one in relations if one), tuple(one for one in hyperedges if one)
    )  # fmt: skip
    return Lines(graph, [*entities, *relations, *hyperedges].count(None))


def _read_entity(line: str) -> Entity | None:
    found = _match(ENTITY, line)
    if not found:
        return None
    type_, text, start, end = found.groups()
    placed = start is not None and max(len(start), len(end)) < len(str(FARTHEST))
    return Entity(text, type_.strip(), int(start), int(end)) if placed else Entity(text, type_.strip())


def _read_relation(line: str) -> Relation | None:
    found = _match(RELATION, line)
    return Relation(found[1], found[2].strip(), found[3]) if found else None


def _read_hyperedge(line: str) -> Hyperedge | None:
    found = _match(HYPEREDGE, line)
    parts = [MEMBER.match(part.strip()) for part in found[2].split(" + ")] if found else [None]
    members = tuple(Member(one[1], (one[2] or "").strip()) for one in parts if one)
    return Hyperedge(members, (found[1] or "").strip()) if found and len(members) == len(parts) else None


def _match(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    item = ITEM.match(line)
    return pattern.match(item[1]) if item else None
