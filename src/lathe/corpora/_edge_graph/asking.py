"""A hypergraph of bare sets, and a question about it in one of several wordings."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from lathe.corpora._edge_graph.writing import names

if TYPE_CHECKING:
    from lathe.records import Json

WORDINGS = {
    "membership": ("Is {entity} in {edge}?", "Does {edge} have {entity} among its members?", "Is {entity} a member of {edge}?"),
    "shared": ("What do {edges} have in common?", "Who stands in both {edges}?", "Which members do {edges} share?"),
    "intersection": (
        "Which other lines share a member with {edge}?", "Which hyperedges meet {edge}?", "Name all others that {edge} overlaps.",
    ),
    "reachability": (
        "Does a chain of lines lead from {from} to {to}?", "Can one get from {from} to {to}?", "Are {from} and {to} connected?",
    ),
    "cardinality": ("How many members has {edge}?", "What is the size of {edge}?", "In how many lines is {entity}?"),
}  # fmt: skip


SHARES = {"membership": 1, "shared": 5, "intersection": 4, "reachability": 1, "cardinality": 2}
"""How often each kind is asked: those that can be answered by yes or no the least."""


def question(rng: Random) -> dict[str, Json]:
    """`graph`, `question` and `ask` of a row."""
    things = names(rng, rng.randint(6, 10))
    num_edges = rng.randint(2, 4)
    # Two groups that do not touch, so that not everything can be reached from everywhere.
    split = rng.randint(2, len(things) // 2)
    groups = (things[:split], things[split:])
    edges = [_edge(rng, rng.choice(groups)) for _ in range(num_edges)]
    there = list(dict.fromkeys(name for edge in edges for name in edge))
    (kind,) = rng.choices(list(SHARES), list(SHARES.values()))
    wording = rng.choice(WORDINGS[kind])
    ask = _ask(rng, kind, wording, edges, there)
    said = ask | ({"edges": " and ".join(ask["edges"])} if "edges" in ask else {})
    return {"graph": edges, "question": wording.format(**said), "ask": ask}


def _edge(rng: Random, group: list[str]) -> list[str]:
    return rng.sample(group, rng.randint(2, min(5, len(group))))


def _ask(rng: Random, kind: str, wording: str, edges: list[list[str]], there: list[str]) -> dict[str, Json]:
    number = rng.randrange(len(edges))
    ask: dict[str, Json] = {"kind": kind}
    if kind == "membership":
        inside, outside = edges[number], [name for name in there if name not in edges[number]]
        return ask | {
            "entity": rng.choice(inside if rng.random() < 0.5 or not outside else outside),
            "edge": f"e{number + 1}",
        }
    if kind == "shared":
        pairs = [
            (one, other) for one in range(len(edges)) for other in range(one) if set(edges[one]) & set(edges[other])
        ]
        one, other = rng.choice(pairs) if pairs and rng.random() < 0.85 else rng.sample(range(len(edges)), 2)
        return ask | {"edges": [f"e{other + 1}", f"e{one + 1}"]}
    if kind == "reachability":
        start = rng.choice(there)
        near = _reached(edges, start)
        far = [name for name in there if name not in near]
        near.remove(start)
        return ask | {"from": start, "to": rng.choice(near if rng.random() < 0.5 or not far else far)}
    if "{entity}" in wording:
        return ask | {"entity": rng.choice(there)}
    return ask | {"edge": f"e{number + 1}"}


def _reached(edges: list[list[str]], start: str) -> list[str]:
    """All names to which a chain of edges leads, the first one among them."""
    found = {start: None}
    for _ in edges:
        for edge in edges:
            if not found.keys().isdisjoint(edge):
                found |= dict.fromkeys(edge)
    return list(found)
