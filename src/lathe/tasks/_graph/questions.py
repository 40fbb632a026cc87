"""Questions over a given hypergraph, and their answers, which follow from it.

{"kind": "membership", "entity": "Mira", "edge": "e1"}        is Mira in e1?                            yes or no
{"kind": "shared", "edges": ["e1", "e2"]}                     what stands in all of them?               list of entities
{"kind": "intersection", "edge": "e1"}                        which others share a member with e1?      list of hyperedges
{"kind": "reachability", "from": "Mira", "to": "Theo"}        does a chain of hyperedges lead there,
                                                              each sharing a member with the next?      yes or no
{"kind": "cardinality", "edge": "e1"}                         how many members has e1?                  number
{"kind": "cardinality", "entity": "Mira"}                     in how many hyperedges is Mira?           number
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from lathe.records import Json
from lathe.tasks._graph.graph import Hyperedge, hyperedge_of, key
from lathe.tasks._json import reading

KINDS = ("membership", "shared", "intersection", "reachability", "cardinality")
Answer = bool | int | list[str]
Edges = Mapping[str, Hyperedge]
"""Hyperedges by name."""

YES, NO = "yes", "no"
NUMBER = re.compile(r"^-?\d{1,9}$")


def edges_of(value: Json) -> Edges:
    """The hyperedges of a row, by their own names or as e1, e2 ... Raises ValueError."""
    listed = value.get("hyperedges") if isinstance(value, dict) else value
    if not isinstance(listed, list) or not listed:
        raise ValueError("expected a list of hyperedges, or an object with one")
    named = [one.get("name") if isinstance(one, dict) else None for one in listed]
    names = [name if isinstance(name, str) and name else f"e{number}" for number, name in enumerate(named, 1)]
    if len(set(names)) < len(names):
        raise ValueError("two hyperedges have the same name")
    found = {name: hyperedge_of(one) for name, one in zip(names, listed, strict=True)}
    if empty := next((name for name, one in found.items() if not one.members), None):
        raise ValueError(f"{empty} has no members")
    return found


def shown(edges: Edges) -> str:
    """One line a hyperedge."""
    return "\n".join(f"{name}: {', '.join(one.entity for one in edge.members)}" for name, edge in edges.items())


def computed(ask: Json, edges: Edges) -> Answer:
    """What is right. Raises ValueError where the question cannot be asked of these hyperedges."""
    if not isinstance(ask, dict) or ask.get("kind") not in KINDS:
        raise ValueError(f"the kinds of question are {', '.join(KINDS)}")
    kind = ask["kind"]
    if kind == "membership":
        return key(_entity(ask, "entity", edges)) in _edge(ask, edges).member_set
    if kind == "shared":
        return _shared(ask.get("edges"), edges)
    if kind == "intersection":
        mine = _edge(ask, edges).member_set
        return [name for name, one in edges.items() if name != ask["edge"] and mine & one.member_set]
    if kind == "reachability":
        return key(_entity(ask, "to", edges)) in _reached(key(_entity(ask, "from", edges)), edges)
    if "edge" in ask:
        return len(_edge(ask, edges).member_set)
    entity = key(_entity(ask, "entity", edges))
    return sum(entity in one.member_set for one in edges.values())


def _shared(names: Json, edges: Edges) -> list[str]:
    if not isinstance(names, list) or len(names) < 2:
        raise ValueError("'edges' has to name two hyperedges or more")
    first, *others = [_edge({"edge": name}, edges) for name in names]
    common = first.member_set.intersection(*(one.member_set for one in others))
    return [one.entity for one in {key(one.entity): one for one in first.members}.values() if key(one.entity) in common]


def _reached(start: str, edges: Edges) -> set[str]:
    """All entities that a chain of hyperedges leads to, the first one included."""
    reached, left = {start}, [one.member_set for one in edges.values()]
    while near := [one for one in left if one & reached]:
        left = [one for one in left if not one & reached]
        reached = reached.union(*near)
    return reached


def _edge(ask: Mapping[str, Json], edges: Edges) -> Hyperedge:
    name = ask.get("edge")
    if not isinstance(name, str) or name not in edges:
        raise ValueError(f"there is no hyperedge {name!r}")
    return edges[name]


def _entity(ask: Mapping[str, Json], field: str, edges: Edges) -> str:
    name = ask.get(field)
    known = {member for one in edges.values() for member in one.member_set}
    if not isinstance(name, str) or key(name) not in known:
        raise ValueError(f"{field!r} has to name an entity of the hyperedges, got {name!r}")
    return name


# ------------------------------------------------------------------------------------------ answers as text


def written(right: Answer) -> str:
    """An answer as text: yes, no, a number, or a JSON list."""
    if isinstance(right, bool):
        return YES if right else NO
    return json.dumps(right, ensure_ascii=False) if isinstance(right, list) else str(right)


def read(text: str) -> Answer | None:
    """The answer in a text; None where it holds none. A word or a number has to stand alone. Never raises."""
    said = text.strip().rstrip(".").strip().casefold()
    if said in (YES, "true", NO, "false"):
        return said in (YES, "true")
    if NUMBER.match(said):
        return int(said)
    found = reading.read(text, "array")
    listed = found.value if not found.problem and isinstance(found.value, list) else None
    return [str(one) for one in listed] if listed is not None and all(isinstance(one, str) for one in listed) else None


def answer_of(value: Json) -> Answer | None:
    """A stated answer: a text as it is read, yes or no as true or false, a whole number, a list of texts; None for all else."""
    if isinstance(value, str):
        return read(value)
    listed = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return value if listed or isinstance(value, int) else None


def same(right: Answer, said: Answer | None) -> bool:
    """Whether an answer is right: of its own type; lists without order, by `key`, each entry once."""
    if isinstance(right, list) and isinstance(said, list):
        return _keys(right) == _keys(said) and len(said) == len(_keys(said))
    return type(right) is type(said) and right == said


def meaning(right: Answer) -> Json:
    """What an answer says: equal of two answers exactly where they are the same."""
    return sorted(_keys(right)) if isinstance(right, list) else right


def _keys(texts: Sequence[str]) -> set[str]:
    return {key(text) for text in texts}
