"""Odin SLM's scores, flaws included: sets without spans, lower case, and an example without anything to find scores 0.

    f1(*counts({("mira", "person")}, set()))  -> 0.0
    f1(0, 0, 0)                               -> 0.0      nothing to find and nothing said: a mean over examples is dragged down

Gold is read from its text by the same reader. Sections begin at lines with `#` and the word `entities` or `relations`; an item
begins with a number and a full stop; types are one word (`\\w+`); a relation without brackets has the label `unknown`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lathe.tasks._graph import notation
from lathe.tasks._graph.graph import Graph

NUMBERED = re.compile(r"^\d+\.")
ENTITY = re.compile(r"^\d+\.\s*\[(\w+)\]\s*(.+)")
RELATION = re.compile(r"^\d+\.\s*(.+?)\s*--\[(.+?)\]-->\s*(.+)")
BARE = re.compile(r"^\d+\.\s*(.+?)\s*-->\s*(.+)")
ANSWER = "### Output:"


@dataclass(frozen=True)
class Sets:
    """What Odin compares: (text, type) and (head, label, tail), in lower case."""

    entities: frozenset[tuple[str, ...]]
    relations: frozenset[tuple[str, ...]]


def gold(graph: Graph) -> Sets:
    """The gold sets: as Odin reads the graph from its own grammar."""
    return read(notation.written(graph))


def read(text: str) -> Sets:
    """What Odin's evaluation finds in an answer. Never raises."""
    entities, relations, section = set(), set(), ""
    for line in map(str.strip, text.split(ANSWER)[-1].strip().split("\n")):
        if line.startswith("#") and "entities" in line.lower():
            section = "entities"
        elif line.startswith("#") and "relations" in line.lower():
            section = "relations"
        elif section == "entities" and (found := ENTITY.match(line)):
            entities.add(_lower(found[2], found[1]))
        elif section == "relations" and NUMBERED.match(line):
            if found := RELATION.match(line):
                relations.add(_lower(*found.groups()))
            elif found := BARE.match(line):
                relations.add(_lower(found[1], "unknown", found[2]))
    return Sets(frozenset(entities), frozenset(relations))


def _lower(*texts: str) -> tuple[str, ...]:
    return tuple(text.strip().lower() for text in texts)


def counts(wanted: frozenset[tuple[str, ...]], said: frozenset[tuple[str, ...]]) -> tuple[int, int, int]:
    """(matched, gold, said)."""
    return len(wanted & said), len(wanted), len(said)


def f1(matched: int, num_gold: int, num_said: int) -> float:
    """2 x matched / (gold + said); 0 where both are empty."""
    return 2 * matched / (num_gold + num_said) if matched else 0.0
