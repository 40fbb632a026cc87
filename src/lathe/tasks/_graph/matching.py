"""Said graph against gold graph: entities and relations by what they are, hyperedges by the best pairing.

    entity      the same text and type; spans are compared apart
    relation    the same head, label and tail; one that is right but for its direction is counted as such and is wrong
    hyperedge   a set of members: pairs of gold and said ones are chosen so that their Jaccard similarities together are greatest
                (exactly, not greedily), and of equals so that more roles are right

Texts are compared as `graph.key` does. What is said twice counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lathe.records import Json
from lathe.tasks._assignment import best_pairs
from lathe.tasks._graph.graph import Entity, Graph, Hyperedge, Relation, key

LONGEST_CLASS = 100
"""Characters of a type or label that are kept as the name of a class."""
ROLE_WORTH = 1e-9
"""What a right role weighs in the choice of pairs: far less than similarities of sets of some hundred members can differ by."""


def counts(
    gold: Collection[tuple[str, ...]], said: Collection[tuple[str, ...]], place: int
) -> dict[str, tuple[int, int, int]]:
    """Counts of two sets of tuples by the class that stands in them at `place`."""
    both = [
        Counter(one[place][:LONGEST_CLASS] for one in some) for some in (set(gold) & set(said), set(gold), set(said))
    ]
    return {name: (both[0][name], both[1][name], both[2][name]) for name in sorted(both[1] | both[2])}


# ------------------------------------------------------------------------------------------ entities, relations


def entity_keys(entities: Iterable[Entity]) -> set[tuple[str, str]]:
    """(text, type) of each entity."""
    return {(key(one.text), key(one.type)) for one in entities}


def relation_keys(relations: Iterable[Relation]) -> set[tuple[str, str, str]]:
    """(head, label, tail) of each relation."""
    return {(key(one.head), key(one.label), key(one.tail)) for one in relations}


def placed(entities: Iterable[Entity], document: str) -> set[tuple[int, int, str]]:
    """(start, end, type) of each entity. One without a span gets the next place where its text stands and none was put yet.

    An entity that stands nowhere gets (-1, number, type): it matches nothing.
    """
    found, searched = set(), dict[str, int]()
    for number, one in enumerate(entities):
        if one.start is not None and one.end is not None:
            found.add((one.start, one.end, key(one.type)))
            continue
        start = document.find(one.text, searched.get(one.text, 0))
        searched[one.text] = start + len(one.text) if start >= 0 else len(document)
        found.add((start, start + len(one.text) if start >= 0 else number, key(one.type)))
    return found


def directions(gold: set[tuple[str, str, str]], said: set[tuple[str, str, str]]) -> tuple[int, int]:
    """(right, turned round) of the gold relations whose ends and label were said; where both directions were, it is right."""
    right = gold & said
    turned = {(head, label, tail) for head, label, tail in gold - said if (tail, label, head) in said - gold}
    return len(right), len(turned)


# ------------------------------------------------------------------------------------------ hyperedges


@dataclass(frozen=True)
class Hypermatch:
    """Said hyperedges against gold ones.

    exact: gold member sets that were said; jaccard: sum of the similarities of the pairs; right_roles of roles: gold roles of
    members that the paired hyperedge has too; described: for each gold description of a pair, whether the said one is the same;
    full: every hyperedge is there, with its roles, and no other.
    """

    exact: int
    jaccard: float
    right_roles: int
    roles: int
    described: tuple[bool, ...]
    full: bool


def hypermatch(gold: Sequence[Hyperedge], said: Sequence[Hyperedge]) -> Hypermatch:
    """Pairs gold and said hyperedges; those said twice, roles and description included, count once."""
    gold, said = list(dict.fromkeys(gold)), list(dict.fromkeys(said))
    pairs = [(gold[g], said[s]) for g, s in best_pairs([[_worth(one, other) for other in said] for one in gold])]
    roles = [_roles(one, other) for one, other in pairs]
    same = [one for one in pairs if one[0].member_set == one[1].member_set and one[0].roles() <= one[1].roles()]
    exact = Counter(one.member_set for one in gold) & Counter(one.member_set for one in said)
    return Hypermatch(
        exact=exact.total(),
        jaccard=sum(jaccard(one, other) for one, other in pairs),
        right_roles=sum(right for right, _ in roles),
        roles=sum(there for _, there in roles),
        described=tuple(key(one.description) == key(other.description) for one, other in pairs if one.description),
        full=len(same) == len(gold) == len(said),
    )


def jaccard(one: Hyperedge, other: Hyperedge) -> float:
    """Members of both over members of either."""
    return len(one.member_set & other.member_set) / len(one.member_set | other.member_set)


def _worth(gold: Hyperedge, said: Hyperedge) -> float:
    return jaccard(gold, said) + ROLE_WORTH * len(gold.roles() & said.roles())


def _roles(gold: Hyperedge, said: Hyperedge) -> tuple[int, int]:
    """(roles that are right, gold roles of members that were found)."""
    there = {one for one in gold.roles() if one[0] in said.member_set}
    return len(there & said.roles()), len(there)


def compared(graph: Graph) -> Json:
    """All of a graph that `fault` looks at, in an order of its own: equal of two graphs where each is right for the other."""
    hyperedges = ((sorted(one.member_set), sorted(one.roles())) for one in dict.fromkeys(graph.hyperedges))
    return [sorted(entity_keys(graph.entities)), sorted(relation_keys(graph.relations)), sorted(hyperedges)]


# ------------------------------------------------------------------------------------------ what is wrong

FAULTS = (
    "missing entity", "extra entity", "wrong type", "turned relation", "missing relation", "extra relation", "wrong relation",
    "wrong hyperedge", "wrong role",
)  # fmt: skip
"""What can be wrong with a graph that was read, the first that holds."""


def fault(gold: Graph, said: Graph) -> str:
    """One of FAULTS; empty where all entities, relations and hyperedges with their roles are there and no others."""
    return _entity_fault(gold, said) or _relation_fault(gold, said) or _hyperedge_fault(gold, said)


def _entity_fault(gold: Graph, said: Graph) -> str:
    wanted, found = entity_keys(gold.entities), entity_keys(said.entities)
    texts, said_texts = {text for text, _ in wanted}, {text for text, _ in found}
    if texts - said_texts:
        return "missing entity"
    if said_texts - texts:
        return "extra entity"
    return "wrong type" if wanted != found else ""


def _relation_fault(gold: Graph, said: Graph) -> str:
    wanted, found = relation_keys(gold.relations), relation_keys(said.relations)
    if directions(wanted, found)[1]:
        return "turned relation"
    if len(wanted - found) == len(found - wanted):
        return "wrong relation" if wanted != found else ""
    return "missing relation" if wanted - found else "extra relation"


def _hyperedge_fault(gold: Graph, said: Graph) -> str:
    found = hypermatch(gold.hyperedges, said.hyperedges)
    if found.full:
        return ""
    return "wrong role" if found.exact == len(gold.hyperedges) == len(said.hyperedges) else "wrong hyperedge"
