"""Answers to rows of both modes, and the scores that they must get."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lathe.contracts import Worked
from lathe.tasks._graph.metrics import METRICS

_GRAPH = {
    "entities": [["Mira", "Person"], ["Theo", "Person"], ["Lunde", "Town"]],
    "relations": [["Mira", "child_of", "Theo"], ["Mira", "lives_in", "Lunde"]],
    "hyperedges": [
        {
            "description": "visit",
            "members": [{"entity": "Theo", "role": "guest"}, {"entity": "Mira", "role": "host"}, "Lunde"],
        }
    ],
}
_LINES = """### Entities:
1. [Person] Mira
2. [Person] Theo
3. [Town] Lunde

### Relations:
1. Mira --[child_of]--> Theo
2. Mira --[lives_in]--> Lunde

### Hyperedges:
1. [visit] Theo (guest) + Mira (host) + Lunde"""
_TEXT = {"id": "text", "input": "Theo's daughter Mira, of Lunde, had him to stay there.", "target": _LINES}
_EMPTY = {"id": "empty", "input": "It rained all day.", "target": {"entities": [], "relations": [], "hyperedges": []}}
_SPANS = {
    "id": "spans",
    "input": "Brae met Brae.",
    "target": {
        "entities": [
            {"text": "Brae", "type": "Person", "start": 0, "end": 4},
            {"text": "Brae", "type": "Person", "start": 9, "end": 13},
        ]
    },
}
_EDGES = [["Mira", "Theo", "Lunde"], ["Theo", "Ilse"], ["Brae", "Corran"]]
_SHARED = {
    "id": "shared",
    "graph": _EDGES,
    "question": "What do e1 and e2 have in common?",
    "ask": {"kind": "shared", "edges": ["e1", "e2"]},
}
_REACH = {
    "id": "reach",
    "graph": _EDGES,
    "question": "Can one get from Mira to Brae?",
    "ask": {"kind": "reachability", "from": "Mira", "to": "Brae"},
}


def _changed(**parts: Any) -> str:
    return json.dumps(_GRAPH | parts)


def _text(row: Mapping[str, Any], answer: str, why: str, **scores: float | None) -> Worked:
    """All scores are 1 but those named; spans, questions, and what has nothing to judge are not measured unless named."""
    unmeasured: dict[str, float | None] = {"entity_span_f1": None, "question_accuracy": None}
    return Worked(row, answer, {**{one.name: 1.0 for one in METRICS}, **unmeasured, **scores}, why)


def _question(row: Mapping[str, Any], answer: str, score: float, why: str) -> Worked:
    measured = {"graph_exact": score, "question_accuracy": score}
    return Worked(row, answer, {**{one.name: None for one in METRICS}, **measured}, why)


_JSON_ONLY: dict[str, float | None] = {
    "odin_entity_f1": 0.0, "odin_entity_macro_f1": 0.0, "odin_relation_f1": 0.0, "odin_relation_macro_f1": 0.0,
}  # fmt: skip
_APART: dict[str, float | None] = {"relation_direction": None, "hyperedge_roles": None, "hyperedge_description": None}
_NOTHING = {"odin_entity_macro_f1": 0.0, "odin_relation_macro_f1": 0.0}

WORKED = (
    _text(_TEXT, _LINES, "right"),
    _text(_TEXT, json.dumps(_GRAPH), "right, as JSON, which Odin does not read", **_JSON_ONLY),
    _text(
        _TEXT, _LINES.replace("Mira --[child_of]--> Theo", "Theo --[child_of]--> Mira"), "one relation turned round",
        graph_exact=0, relation_f1=0.5, relation_macro_f1=0.5, relation_direction=0.5, odin_relation_f1=0.5,
        odin_relation_macro_f1=0.5,
    ),
    _text(
        _TEXT, _LINES.replace("3. [Town] Lunde", "3. [Person] Lunde"), "a wrong type: two of three entities, no town",
        graph_exact=0, entity_f1=2 / 3, entity_macro_f1=(4 / 5 + 0) / 2, odin_entity_f1=2 / 3, odin_entity_macro_f1=2 / 3,
    ),
    _text(
        _TEXT, _changed(hyperedges=[["Theo", "Mira"]]), "a member is missing: no such set, but two thirds of one; no roles",
        **_JSON_ONLY, graph_exact=0, hyperedge_f1=0, hyperedge_soft_f1=2 / 3, hyperedge_roles=0, hyperedge_description=0,
    ),
    _text(
        _TEXT, _LINES.replace("(guest)", "(host)"), "a wrong role", graph_exact=0, hyperedge_roles=0.5
    ),
    _text(
        _TEXT, _LINES.replace("1. [visit] Theo (guest) + Mira (host) + Lunde", "None found."), "the hyperedge is missing",
        graph_exact=0, hyperedge_f1=0, hyperedge_soft_f1=0, hyperedge_roles=None, hyperedge_description=None,
    ),
    _text(
        _TEXT, _LINES.replace("2. Mira --[lives_in]--> Lunde", "2. Mira lives in Lunde"), "a line that cannot be read is left out",
        graph_exact=0, relation_f1=2 / 3, relation_macro_f1=0.5, odin_relation_f1=2 / 3, odin_relation_macro_f1=2 / 3,
    ),
    _text(
        _TEXT, "Mira is a child of Theo.", "no graph at all", **dict.fromkeys(
            (one.name for one in METRICS if one.name not in ("entity_span_f1", "question_accuracy", *_APART)), 0.0
        ), **_APART,
    ),
    _text(_EMPTY, '{"entities": []}', "nothing against nothing is right; Odin gives 0", **_NOTHING, **_APART),
    _text(
        _EMPTY, "It rained.", "words are no empty graph", graph_exact=0, entity_f1=0, entity_macro_f1=0, relation_f1=0,
        relation_macro_f1=0, hyperedge_f1=0, hyperedge_soft_f1=0, **_NOTHING, **_APART,
    ),
    _text(
        _SPANS, '{"entities": [["Brae", "Person"], ["Brae", "Person"]]}', "without spans, each stands at the next place",
        **_JSON_ONLY | _APART | {"entity_span_f1": 1, "odin_relation_f1": 1},
    ),
    _text(
        _SPANS, '{"entities": [["Brae", "Person"]]}', "one of two mentions: its text is there, its second place is not",
        **_JSON_ONLY | _APART | {"entity_span_f1": 2 / 3, "odin_relation_f1": 1},
    ),
    _question(_SHARED, '["theo"]', 1, "right, whatever its case"),
    _question(_SHARED, '["Theo", "Mira"]', 0, "one name too many"),
    _question(_REACH, "No.", 1, "right: no chain leads there"),
    _question(_REACH, "There is no way.", 0, "a sentence is no answer"),
)  # fmt: skip
