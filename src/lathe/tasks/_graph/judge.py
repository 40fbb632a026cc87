"""Every metric of one answer: of a graph, and of the answer to a question."""

from __future__ import annotations

from collections.abc import Mapping

from lathe.contracts import ItemVerdict
from lathe.tasks._counts import Counts, f1, macro_f1
from lathe.tasks._graph import odin, questions
from lathe.tasks._graph.answers import graph_in
from lathe.tasks._graph.graph import Graph
from lathe.tasks._graph.matching import (
    counts,
    directions,
    entity_keys,
    fault,
    hypermatch,
    placed,
    relation_keys,
)
from lathe.tasks._graph.metrics import METRICS

NO_ANSWER, WRONG_ANSWER = "no answer", "wrong answer"
UNREADABLE: Counts = {"": (0, 0, 1)}
"""What an answer without any graph counts as: one wrong thing said, so that babble is no right answer to an empty text."""


def question(right: questions.Answer, text: str) -> ItemVerdict:
    """Judges the answer to a question."""
    said = questions.read(text)
    exact = questions.same(right, said)
    values = {"graph_exact": float(exact), "question_accuracy": float(exact)}
    return ItemVerdict(_all(values), "" if exact else NO_ANSWER if said is None else WRONG_ANSWER)


def graph(gold: Graph, document: str, text: str) -> ItemVerdict:
    """Judges a said graph."""
    found = graph_in(text)
    said, readable = found.graph or Graph(), found.graph is not None
    wrong = found.problem or fault(gold, said)
    pooled = _counts(gold, said, document) if readable else _unreadable(gold, document)
    wanted, theirs = odin.gold(gold), odin.read(text)
    pooled["odin_entity_f1"] = {"": odin.counts(wanted.entities, theirs.entities)}
    pooled["odin_relation_f1"] = {"": odin.counts(wanted.relations, theirs.relations)}
    macro = {name for name in pooled if name.endswith("_macro_f1")}
    values = {
        **{name: macro_f1(one) if name in macro else f1(one) for name, one in pooled.items()},
        **_hyper_values(gold, said, readable=readable),
        "graph_exact": float(not wrong),
        "relation_direction": _share(*directions(relation_keys(gold.relations), relation_keys(said.relations))),
        "odin_entity_macro_f1": odin.f1(*pooled["odin_entity_f1"][""]),
        "odin_relation_macro_f1": odin.f1(*pooled["odin_relation_f1"][""]),
    }
    return ItemVerdict(_all(values), wrong, pooled)


def _all(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Every metric in its order; what has no value was not measured."""
    return {metric.name: values.get(metric.name) for metric in METRICS}


def _counts(gold: Graph, said: Graph, document: str) -> dict[str, Counts]:
    """What is pooled over a set, by metric."""
    entities = counts(entity_keys(gold.entities), entity_keys(said.entities), 1)
    relations = counts(relation_keys(gold.relations), relation_keys(said.relations), 1)
    spans: dict[str, Counts] = {}
    if any(one.start is not None for one in gold.entities):
        spans["entity_span_f1"] = counts(_spans(gold, document), _spans(said, document), 2)
    return {
        "entity_f1": entities,
        "entity_macro_f1": entities,
        **spans,
        "relation_f1": relations,
        "relation_macro_f1": relations,
        "hyperedge_f1": counts(_members(gold), _members(said), 0),
    }


def _spans(graph: Graph, document: str) -> set[tuple[str, ...]]:
    return {(str(start), str(end), type_) for start, end, type_ in placed(graph.entities, document)}


def _members(graph: Graph) -> set[tuple[str, ...]]:
    """The member sets of the hyperedges, all of one class."""
    return {("hyperedge", *sorted(one.member_set)) for one in graph.hyperedges}


def _unreadable(gold: Graph, document: str) -> dict[str, Counts]:
    return {name: {**one, **UNREADABLE} for name, one in _counts(gold, Graph(), document).items()}


def _hyper_values(gold: Graph, said: Graph, *, readable: bool) -> dict[str, float | None]:
    met = hypermatch(gold.hyperedges, said.hyperedges)
    both = len(set(gold.hyperedges)) + len(set(said.hyperedges))
    return {
        "hyperedge_soft_f1": 2 * met.jaccard / both if both else float(readable),
        "hyperedge_roles": _share(met.right_roles, met.roles - met.right_roles),
        "hyperedge_description": _share(sum(met.described), met.described.count(False)),
    }


def _share(right: int, wrong: int) -> float | None:
    return right / (right + wrong) if right + wrong else None
