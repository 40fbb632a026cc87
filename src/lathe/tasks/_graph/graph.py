"""Entities, binary relations and hyperedges, and their JSON.

    {"entities":   [{"text": "Mira", "type": "Person"}, {"text": "Lunde", "type": "Town", "start": 14, "end": 19}],
     "relations":  [{"head": "Mira", "relation": "lives_in", "tail": "Lunde"}],
     "hyperedges": [{"description": "sale", "members": [{"entity": "Mira", "role": "seller"}, "Theo", "the mill"]}]}

Read are also `name` and `label` of entities, `source`, `subject`, `target`, `object`, `predicate`, `type` and `label` of
relations, `roles` beside the members of a hyperedge, {"Mira": "seller"}, and lists in their order: ["Mira", "Person"], ["Mira",
"lives_in", "Lunde"]. Two texts are the same where they differ in
case and white space only (`key`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lathe.records import Json

PARTS = ("entities", "relations", "hyperedges")
FARTHEST = 10**9
"""No span begins or ends that many characters into a text: what says so is no span, and tools read places as 32 bits."""


@dataclass(frozen=True)
class Entity:
    """Something named. start, end: its place in the text, in characters, end excluded; None where nobody said."""

    text: str
    type: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Relation:
    """Two entities by their texts, from head to tail."""

    head: str
    label: str
    tail: str


@dataclass(frozen=True)
class Member:
    """An entity of a hyperedge by its text. role: empty where it has none."""

    entity: str
    role: str = ""


@dataclass(frozen=True)
class Hyperedge:
    """A fact about two or more entities at once."""

    members: tuple[Member, ...]
    description: str = ""

    @property
    def member_set(self) -> frozenset[str]:
        """Its members, as they are compared."""
        return frozenset(key(one.entity) for one in self.members)

    def roles(self) -> frozenset[tuple[str, str]]:
        """(member, role) of the members that have one."""
        return frozenset((key(one.entity), key(one.role)) for one in self.members if one.role)


@dataclass(frozen=True)
class Graph:
    """All that a text says, in its order."""

    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()
    hyperedges: tuple[Hyperedge, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entities or self.relations or self.hyperedges)


def key(text: str) -> str:
    """What two texts are compared by: case and runs of white space do not count."""
    return " ".join(text.split()).casefold()


# ------------------------------------------------------------------------------------------ as JSON


def to_json(graph: Graph) -> dict[str, Json]:
    """A graph as JSON, in the names that are written first above."""
    return {
        "entities": [_entity_json(one) for one in graph.entities],
        "relations": [{"head": one.head, "relation": one.label, "tail": one.tail} for one in graph.relations],
        "hyperedges": [
            {
                **({"description": one.description} if one.description else {}),
                "members": [
                    {"entity": part.entity, "role": part.role} if part.role else part.entity for part in one.members
                ],
            }
            for one in graph.hyperedges
        ],
    }


def _entity_json(one: Entity) -> dict[str, Json]:
    placed = {} if one.start is None else {"start": one.start, "end": one.end}
    return {"text": one.text, "type": one.type, **placed}


def of_json(value: Json) -> Graph:
    """A graph from JSON. Raises ValueError with the first thing that cannot be read."""
    if not isinstance(value, dict) or not any(part in value for part in PARTS):
        raise ValueError(f"expected an object with {', '.join(PARTS)}")
    listed = {part: value.get(part) or [] for part in PARTS}
    if wrong := [part for part, found in listed.items() if not isinstance(found, list)]:
        raise ValueError(f"{wrong[0]} is no list")
    return Graph(
        tuple(_entity(one) for one in listed["entities"]),
        tuple(_relation(one) for one in listed["relations"]),
        tuple(hyperedge_of(one) for one in listed["hyperedges"]),
    )


def _entity(value: Json) -> Entity:
    text, type_ = _texts(value, (("text", "name", "entity"), ("type", "label")), "an entity")
    start, end = (value.get("start"), value.get("end")) if isinstance(value, dict) else (None, None)
    placed = all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one < FARTHEST for one in (start, end))
    return Entity(text, type_, start, end) if placed else Entity(text, type_)


def _relation(value: Json) -> Relation:
    names = (
        ("head", "source", "subject"),
        ("relation", "predicate", "type", "label"),
        ("tail", "target", "object"),
    )
    return Relation(*_texts(value, names, "a relation"))


def hyperedge_of(value: Json) -> Hyperedge:
    """One hyperedge: an object with `members`, or a list of them. Raises ValueError."""
    members = value.get("members", value.get("entities")) if isinstance(value, dict) else value
    if not isinstance(members, list):
        raise ValueError("a hyperedge has no list of members")
    said = value.get("description", value.get("relation", "")) if isinstance(value, dict) else ""
    roles = (value.get("roles") or {}) if isinstance(value, dict) else {}
    if not isinstance(roles, dict):
        raise ValueError("the roles of a hyperedge are no object of members and their roles")
    return Hyperedge(tuple(_member(one, roles) for one in members), said if isinstance(said, str) else "")


def _member(value: Json, roles: Mapping[str, Json]) -> Member:
    """A member as a text, or as an object with its role. roles: those that stand beside the list, by member."""
    if isinstance(value, str) and value.strip():
        role = roles.get(value)
        return Member(value.strip(), role.strip() if isinstance(role, str) else "")
    (text,) = _texts(value, (("entity", "text", "name"),), "a member")
    role = value.get("role") if isinstance(value, dict) else None
    return Member(text, role.strip() if isinstance(role, str) else "")


def _texts(value: Json, names: Sequence[Sequence[str]], what: str) -> list[str]:
    """The texts of an object under the first of several names each, or of a list in that order."""
    if isinstance(value, list) and len(value) == len(names):
        value = {name[0]: part for name, part in zip(names, value, strict=True)}
    given: Mapping[str, Json] = value if isinstance(value, dict) else {}
    found = [next((given[name] for name in some if name in given), None) for some in names]
    texts = [one.strip() if isinstance(one, str) else "" for one in found]
    if not all(texts):
        missing = names[next(place for place, text in enumerate(texts) if not text)][0]
        raise ValueError(f"{what} has no text under {missing!r}")
    return texts
