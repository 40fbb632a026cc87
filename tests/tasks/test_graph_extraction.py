"""Graphs: read in both notations, matched as experts would, asked about by computation, and written for other tools."""

from __future__ import annotations

import io
import itertools
import json
import re
from pathlib import Path
from random import Random
from typing import Any

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe import plugins
from lathe.data.new import propose
from lathe.errors import TaskMismatch
from lathe.records import Example, TaskSetup
from lathe.tasks._assignment import best_pairs
from lathe.tasks._counts import f1, macro_f1
from lathe.tasks._graph import cypher, graphml, notation, odin, questions
from lathe.tasks._graph.answers import graph_in
from lathe.tasks._graph.graph import Entity, Graph, Hyperedge, Member, Relation, of_json, to_json
from lathe.tasks._graph.matching import compared, directions, fault, hypermatch, placed
from lathe.tasks.graph_extraction import REASONS

TASK = plugins.load("tasks", "graph_extraction")
SETUP = TaskSetup()
STEADY = settings(deadline=None, derandomize=True)
NOTHING: dict[str, Any] = {"entities": [], "relations": [], "hyperedges": []}


def example(target: Any, text: str = "Mira of Lunde.", **more: Any) -> Example:
    return TASK.example({"input": text, "target": target, **more}, SETUP)


def values(target: Any, said: Any, text: str = "Mira of Lunde.") -> dict[str, float | None]:
    answer = said if isinstance(said, str) else json.dumps(said)
    return dict(TASK.score(example(target, text), answer, SETUP).values)


def hyperedges(*sets: str) -> dict[str, Any]:
    """A graph of hyperedges, each the letters of a word."""
    return {"hyperedges": [list(letters) for letters in sets]}


# ------------------------------------------------------------------------------------------ notations

names = st.text(st.characters(categories=["Lu", "Ll", "Nd"], include_characters="'-."), min_size=1, max_size=8)
graphs = st.builds(
    Graph,
    st.lists(st.builds(Entity, names, names), max_size=4).map(tuple),
    st.lists(st.builds(Relation, names, names, names), max_size=4).map(tuple),
    st.lists(
        st.builds(
            Hyperedge, st.lists(st.builds(Member, names, names | st.just("")), min_size=2, max_size=4).map(tuple), names
        ),
        max_size=3,
    ).map(tuple),
)


@given(graphs)
def test_a_graph_survives_both_notations(graph: Graph) -> None:
    assert graph_in(notation.written(graph)).graph == graph
    assert graph_in(json.dumps(to_json(graph))).graph == of_json(to_json(graph)) == graph


@pytest.mark.parametrize(
    "said",
    [
        "### Entities:\n1. [Drug] F VIII\n2. [Symptom] portal vein thrombosis\n\n"
        "### Relations:\n1. F VIII --[causes]--> portal vein thrombosis",
        "Here you are.\n## Entities\n- [Drug] F VIII\n- [Symptom]  portal vein thrombosis\n"
        "## relations:\n* F VIII--[causes]-->portal vein thrombosis",
        '{"entities": [{"name": "F VIII", "label": "Drug"}, ["portal vein thrombosis", "Symptom"]], '
        '"relations": [{"subject": "F VIII", "predicate": "causes", "object": "portal vein thrombosis"}]}',
        '```json\n{"entities": [["F VIII", "Drug"], ["portal vein thrombosis", "Symptom"]], '
        '"relations": [{"source": "F VIII", "type": "causes", "target": "portal vein thrombosis"}]}\n```',
    ],
)  # fmt: skip
def test_usual_ways_to_write_a_graph_mean_the_same(said: str) -> None:
    found = graph_in(said)
    assert found.problem == ""
    assert found.graph == Graph(
        (Entity("F VIII", "Drug"), Entity("portal vein thrombosis", "Symptom")),
        (Relation("F VIII", "causes", "portal vein thrombosis"),),
    )


def test_a_text_that_ends_like_a_role_keeps_its_brackets() -> None:
    graph = Graph(hyperedges=(Hyperedge((Member("factor (VIII)"), Member("Mira", "patient"))),))
    assert notation.written(graph).endswith("1. factor (VIII) () + Mira (patient)")
    assert graph_in(notation.written(graph)).graph == graph


def test_the_model_is_taught_the_notation_that_the_row_has() -> None:
    lines = "### Entities:\n1. [Person] Mira\n\n### Relations:\nNone found.\n\n### Hyperedges:\nNone found."
    assert example(lines).completion == lines
    assert example({"entities": [["Mira", "Person"]]}).completion.startswith('{"entities": [{"text": "Mira"')
    assert example(lines).target == example({"entities": [["Mira", "Person"]]}).target


# ------------------------------------------------------------------------------------------ scores


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Mira is a person.", "no graph"),
        ('{"entities": [["Mi', "cut off"),
        ("### Entities:\n1. Mira is a person", "a line that cannot be read"),
        ({"entities": [["Mira", "Person"]]}, "missing entity"),
        ({"entities": [["Mira", "Person"], ["Lunde", "Town"], ["Theo", "Person"]]}, "extra entity"),
        ({"entities": [["Mira", "Person"], ["Lunde", "Person"]]}, "wrong type"),
        ({"relations": [["Lunde", "lives_in", "Mira"]]}, "turned relation"),
        ({"relations": []}, "missing relation"),
        ({"relations": [["Mira", "lives_in", "Lunde"], ["Mira", "leads", "Lunde"]]}, "extra relation"),
        ({"relations": [["Mira", "leads", "Lunde"]]}, "wrong relation"),
        ({"hyperedges": []}, "wrong hyperedge"),
        ({"hyperedges": [[["a"], ["b"]]]}, "wrong role"),
        ({}, ""),
    ],
)
def test_every_wrong_answer_has_its_reason(said: Any, reason: str) -> None:
    gold = {
        "entities": [["Mira", "Person"], ["Lunde", "Town"]],
        "relations": [["Mira", "lives_in", "Lunde"]],
        "hyperedges": [[{"entity": "a", "role": "x"}, {"entity": "b"}]],
    }
    answer = said if isinstance(said, str) else json.dumps(gold | said)
    verdict = TASK.score(example(gold), answer, SETUP)
    assert verdict.reason == reason
    assert reason in ("", *REASONS)
    assert verdict.values["graph_exact"] == (reason == "")


def test_nothing_against_nothing_is_right_and_anything_against_nothing_is_wrong() -> None:
    own = [metric.name for metric in TASK.metrics if not metric.compatible_with]
    assert {values(NOTHING, NOTHING)[name] for name in own} == {1.0, None}
    said = {"entities": [["Mira", "Person"]], "relations": [["a", "b", "c"]], "hyperedges": [["a", "b"]]}
    assert {values(NOTHING, said)[name] for name in own} == {0.0, None}
    assert {values(said, NOTHING)[name] for name in own} == {0.0, None}


def test_a_turned_relation_is_wrong_and_counted_apart() -> None:
    gold = {"relations": [["a", "owns", "b"], ["b", "owns", "c"], ["c", "owns", "d"]]}
    found = values(gold, {"relations": [["a", "owns", "b"], ["c", "owns", "b"], ["d", "leads", "c"]]})
    assert found["relation_f1"] == pytest.approx(1 / 3)
    assert found["relation_direction"] == 0.5  # the third is of another label: nothing is known about its direction


def test_where_both_directions_are_gold_none_is_turned() -> None:
    both = {("a", "knows", "b"), ("b", "knows", "a")}
    assert directions(both, both) == (2, 0)
    assert directions(both, {("a", "knows", "b")}) == (1, 0)


def test_a_rare_type_weighs_as_much_as_a_frequent_one_in_the_macro_score() -> None:
    gold = {"entities": [[name, "Person"] for name in "abcd"] + [["e", "Town"]]}
    found = values(gold, {"entities": [[name, "Person"] for name in "abcd"]})
    assert found["entity_f1"] == pytest.approx(8 / 9)
    assert found["entity_macro_f1"] == 0.5


def test_case_and_white_space_do_not_count_and_saying_it_twice_neither() -> None:
    gold = {"entities": [["Lab  Test", "Lab_Test"]]}
    assert values(gold, {"entities": [["lab test", "lab_test"], ["LAB TEST", "Lab_test"]]})["graph_exact"] == 1


def test_hyperedges_are_paired_so_that_similarities_together_are_greatest() -> None:
    """Greedy pairing takes abcd with abce (3/5) and is left with nothing for the other."""
    found = values(hyperedges("abcd", "ax"), hyperedges("abce", "abcy"))
    assert found["hyperedge_soft_f1"] == pytest.approx(2 * (3 / 5 + 1 / 5) / 4)
    greedy_trap = hypermatch(of_json(hyperedges("ab", "abc")).hyperedges, of_json(hyperedges("abc", "abcd")).hyperedges)
    assert greedy_trap.jaccard == pytest.approx(max(2 / 3 + 3 / 4, 1 / 2 + 1))


def test_one_missing_member_costs_the_exact_score_and_part_of_the_soft_one() -> None:
    found = values(hyperedges("abcd"), hyperedges("abc"))
    assert (found["hyperedge_f1"], found["hyperedge_soft_f1"]) == (0, 0.75)


def test_roles_are_judged_where_the_member_was_found() -> None:
    gold = {"hyperedges": [[{"entity": "a", "role": "seller"}, {"entity": "b", "role": "buyer"}, "c"]]}
    exchanged = {"hyperedges": [[{"entity": "a", "role": "buyer"}, {"entity": "b", "role": "buyer"}, "c"]]}
    assert values(gold, exchanged)["hyperedge_roles"] == 0.5
    assert values(gold, {"hyperedges": [[{"entity": "a", "role": "Seller"}, "c"]]})["hyperedge_roles"] == 1
    assert values(gold, {"hyperedges": [["x", "c"]]})["hyperedge_roles"] is None
    beside = {"hyperedges": [{"members": ["a", "b", "c"], "roles": {"a": "seller", "b": "buyer"}}]}
    assert of_json(beside) == of_json(gold)
    with pytest.raises(ValueError, match="roles"):
        of_json({"hyperedges": [{"members": ["a", "b"], "roles": ["seller"]}]})


def test_equal_sets_are_paired_so_that_roles_are_right() -> None:
    one = [{"entity": "a", "role": "seller"}, {"entity": "b", "role": "buyer"}]
    other = [{"entity": "a", "role": "buyer"}, {"entity": "b", "role": "seller"}]
    assert values({"hyperedges": [one, other]}, {"hyperedges": [other, one]})["graph_exact"] == 1


@given(st.lists(st.frozensets(st.sampled_from("abcdef"), min_size=2), max_size=4), st.randoms(use_true_random=False))
def test_hyperedges_match_themselves_in_any_order(sets: list[frozenset[str]], chance: Random) -> None:
    gold = [Hyperedge(tuple(Member(name) for name in sorted(one))) for one in dict.fromkeys(sets)]
    said = [Hyperedge(tuple(chance.sample(one.members, len(one.members)))) for one in gold]
    chance.shuffle(said)
    assert hypermatch(gold, said).full
    assert hypermatch(gold, said).jaccard == len(gold)
    assert hypermatch(gold, said[1:]).full == (not gold)


@STEADY
@given(graphs, graphs, st.randoms(use_true_random=False))
def test_graphs_mean_the_same_exactly_where_each_is_right_for_the_other(
    one: Graph, other: Graph, chance: Random
) -> None:
    shuffled = Graph(*(tuple(chance.sample(part, len(part))) for part in (one.entities, one.relations, one.hyperedges)))
    for gold, said in itertools.permutations((one, shuffled, other), 2):
        assert (compared(gold) == compared(said)) == (not fault(gold, said) and not fault(said, gold))
    assert compared(shuffled) == compared(one)


def test_a_graph_means_the_same_in_either_notation_and_in_any_order() -> None:
    graph = {**NOTHING, "entities": [["Mira", "Person"], ["Lunde", "Town"]], **hyperedges("ab", "bc")}
    turned = {**NOTHING, "entities": [["lunde", "Town"], ["Mira", "Person"]], **hyperedges("cb", "ba")}
    lines = notation.written(of_json(graph))
    assert TASK.meaning(example(graph)) == TASK.meaning(example(turned)) == TASK.meaning(example(lines))
    assert TASK.meaning(example(graph)) != TASK.meaning(example({**graph, **hyperedges("ab")}))


worths = st.integers(0, 5).flatmap(
    lambda columns: st.lists(
        st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0]), min_size=columns, max_size=columns), max_size=5
    )
)


@STEADY
@given(worths)
def test_the_assignment_is_as_good_as_the_best_of_all_ways(worth: list[list[float]]) -> None:
    rows, columns = range(len(worth)), range(len(worth[0]) if worth else 0)
    few, many = sorted((rows, columns), key=len)
    turned = few is columns and len(rows) != len(columns)
    ways = (zip(some, few) if turned else zip(few, some) for some in itertools.permutations(many, len(few)))
    best = max(sum(worth[row][column] for row, column in way) for way in ways)
    pairs = best_pairs(worth)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert sum(worth[row][column] for row, column in pairs) == pytest.approx(best)


def test_a_large_assignment_is_found_too() -> None:
    chance = Random(1)
    hidden = chance.sample(range(60), 60)
    worth = [[1.0 if hidden[row] == column else chance.random() * 0.4 for column in range(60)] for row in range(60)]
    assert best_pairs(worth) == list(enumerate(hidden))


def test_entities_without_spans_stand_where_their_text_is_found_next() -> None:
    said = [Entity("Brae", "T"), Entity("Brae", "T"), Entity("Brae", "T"), Entity("Mira", "P", 5, 9)]
    assert placed(said, "Brae and Brae") == {(0, 4, "t"), (9, 13, "t"), (-1, 2, "t"), (5, 9, "p")}


def test_f1_of_no_classes_is_one_and_of_wrong_classes_none() -> None:
    assert (f1({}), macro_f1({})) == (1, 1)
    assert (f1({"x": (0, 0, 2)}), macro_f1({"x": (0, 0, 2)})) == (0, 0)


# ------------------------------------------------------------------------------------------ Odin


def test_odins_scores_have_odins_flaws() -> None:
    """No spans, no case, `unknown` for a relation without brackets, types of one word, the last output, 0 where both are empty."""
    said = "### Output: x\n### Output:\n### Entities:\n1. [Drug] ASPIRIN\n2. [Lab test] INR\n### Relations:\n1. aspirin --> INR"
    found = odin.read(said)
    assert found.entities == {("aspirin", "drug")}
    assert found.relations == {("aspirin", "unknown", "inr")}
    nothing = values(NOTHING, notation.written(Graph()))
    assert (nothing["odin_entity_macro_f1"], nothing["odin_relation_macro_f1"]) == (0, 0)
    assert odin.f1(1, 2, 1) == pytest.approx(2 / 3)


def test_hyperedges_do_not_look_like_relations_to_odin() -> None:
    graph = Graph(hyperedges=(Hyperedge((Member("a", "x"), Member("b", "y")), "sale"),))
    assert odin.gold(graph).relations == frozenset()


# ------------------------------------------------------------------------------------------ rows


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"target": "Mira lives in Lunde."}, "cannot be read: no graph"),
        ({"target": {"hyperedges": [["a"]]}}, "fewer than two members"),
        ({"target": {"hyperedges": [["a", "A"]]}}, "fewer than two members"),
        ({"target": {"entities": [["Mira"]]}}, "cannot be read: an entity has no text under"),
        ({"target": {"entities": "Mira"}}, "entities is no list"),
        ({"target": {"entities": [{"text": "Mira", "type": "P", "start": 1, "end": 5}]}}, "at 1-5 stands"),
        (
            {"target": {"entities": [{"text": "Mira", "type": "P", "start": 0, "end": 4}, ["Lunde", "T"]]}},
            "others have none",
        ),
    ],
)
def test_rows_that_cannot_be_right_are_refused_in_words(row: dict[str, Any], said: str) -> None:
    with pytest.raises(TaskMismatch, match=re.escape(said)):
        TASK.example({"input": "Mira of Lunde.", **row}, SETUP)


def test_a_schema_names_the_types_in_the_prompt_and_holds_gold_to_them() -> None:
    schema = {
        "properties": {"entities": {"items": {"properties": {"type": {"enum": ["Lab_Test", "Drug"]}}}}},
    }
    setup = TaskSetup(schemas={"medical": schema})
    row = {"input": "INR", "target": {"entities": [["INR", "Lab_Test"]]}}
    assert "\nTypes: Lab_Test, Drug\n" in TASK.example(row, setup).messages[0].content
    with pytest.raises(TaskMismatch, match="entities/0/type"):
        TASK.example({"input": "INR", "target": {"entities": [["INR", "Lab_test"]]}}, setup)


def test_rows_of_odins_layout_get_a_recipe_of_this_task(tmp_path: Path) -> None:
    rows = [
        {
            "instruction": "Extract all medical entities and their relations.",
            "input": f"Dose {n}: drug{n} led to rash{n}.",
            "output": f"### Entities:\n1. [Drug] drug{n}\n2. [Symptom] rash{n}\n\n### Relations:\n1. drug{n} --[causes]--> rash{n}",
        }
        for n in range(40)
    ]
    (tmp_path / "ade.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = propose([tmp_path / "ade.jsonl"], tmp_path)
    assert "task: graph_extraction" in recipe
    assert "fields: {target: output}" in recipe


# ------------------------------------------------------------------------------------------ questions

EDGES = [["Mira", "Theo", "Lunde"], ["Theo", "Ilse"], ["Brae", "Corran"], ["Corran", "Norvik", "brae"]]


@pytest.mark.parametrize(
    ("ask", "right"),
    [
        ({"kind": "membership", "entity": "mira", "edge": "e1"}, True),
        ({"kind": "membership", "entity": "Mira", "edge": "e2"}, False),
        ({"kind": "shared", "edges": ["e1", "e2"]}, ["Theo"]),
        ({"kind": "shared", "edges": ["e3", "e4"]}, ["Brae", "Corran"]),
        ({"kind": "shared", "edges": ["e1", "e3"]}, []),
        ({"kind": "intersection", "edge": "e2"}, ["e1"]),
        ({"kind": "intersection", "edge": "e3"}, ["e4"]),
        ({"kind": "reachability", "from": "Mira", "to": "Ilse"}, True),
        ({"kind": "reachability", "from": "Mira", "to": "Brae"}, False),
        ({"kind": "reachability", "from": "Mira", "to": "Mira"}, True),
        ({"kind": "cardinality", "edge": "e1"}, 3),
        ({"kind": "cardinality", "entity": "Corran"}, 2),
    ],
)
def test_answers_follow_from_the_hypergraph(ask: dict[str, Any], right: questions.Answer) -> None:
    found = questions.computed(ask, questions.edges_of(EDGES))
    assert found == right
    assert type(found) is type(right)


@STEADY
@given(
    st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=4, unique=True), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_reachability_is_what_networkx_says_of_the_bipartite_graph(sets: list[list[str]], chance: Random) -> None:
    edges = questions.edges_of(sets)
    graph = networkx.Graph((number, name) for number, one in enumerate(sets) for name in one)
    there = sorted({name for one in sets for name in one})
    start, goal = chance.choice(there), chance.choice(there)
    ask = {"kind": "reachability", "from": start, "to": goal}
    assert questions.computed(ask, edges) == networkx.has_path(graph, start, goal)


def question(**more: Any) -> Example:
    row = {"graph": EDGES, "question": "What is common to e1 and e2?", "ask": {"kind": "shared", "edges": ["e1", "e2"]}}
    return TASK.example(row | more, SETUP)


@pytest.mark.parametrize(
    ("right", "said", "score"),
    [
        (True, "yes", 1), (True, "Yes.", 1), (True, "true", 1), (True, "no", 0), (True, "1", 0), (True, "yes, it is", 0),
        (3, "3", 1), (3, "3.", 1), (3, "4", 0), (3, "three", 0), (1, "yes", 0),
        (["Theo", "Mira"], '["mira", "Theo"]', 1), (["Theo"], 'They share ["Theo"].', 1), (["Theo"], '["Theo", "Theo"]', 0),
        (["Theo"], "Theo", 0), ([], "[]", 1), ([], "", 0), ([], "no", 0), (["1"], "[1]", 0),
    ],
)  # fmt: skip
def test_an_answer_is_of_its_own_kind_and_stands_alone(right: questions.Answer, said: str, score: int) -> None:
    asked = question(ask=None, target=right)
    verdict = TASK.score(asked, said, SETUP)
    assert verdict.values["question_accuracy"] == verdict.values["graph_exact"] == score
    assert bool(verdict.reason) != bool(score)


def test_an_answer_that_is_a_list_means_the_same_in_any_order() -> None:
    means = [
        TASK.meaning(question(ask=None, target=target)) for target in (["Theo", "Mira"], ["mira", "Theo"], ["Theo"])
    ]
    assert means[0] == means[1] != means[2]


def test_a_question_shows_its_hypergraph_and_is_measured_by_its_answer_alone() -> None:
    asked = question()
    assert "e2: Theo, Ilse\n" in asked.messages[0].content
    assert asked.completion == '["Theo"]'
    assert asked.meta["kind"] == "shared"
    measured = {name for name, value in TASK.score(asked, "[]", SETUP).values.items() if value is not None}
    assert measured == {"graph_exact", "question_accuracy"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"ask": None}, "'ask' or 'target'"),
        ({"target": ["Mira"]}, "from its graph follows ['Theo']"),
        ({"ask": {"kind": "colour"}}, "the kinds of question are"),
        ({"ask": {"kind": "cardinality", "edge": "e9"}}, "there is no hyperedge 'e9'"),
        ({"ask": {"kind": "cardinality", "entity": "Zoe"}}, "has to name an entity"),
        ({"ask": {"kind": "shared", "edges": ["e1"]}}, "two hyperedges or more"),
        ({"graph": []}, "expected a list of hyperedges"),
        ({"graph": [[], ["a"]]}, "e1 has no members"),
        ({"graph": [{"name": "x", "members": ["a"]}, {"name": "x", "members": ["b"]}]}, "the same name"),
    ],
)
def test_questions_that_have_no_answer_are_refused_in_words(more: dict[str, Any], said: str) -> None:
    with pytest.raises(TaskMismatch, match=re.escape(said)):
        question(**more)


def test_a_hypergraph_may_be_named_and_written_as_lines() -> None:
    lines = notation.written(of_json({"hyperedges": EDGES}))
    assert question(graph=lines).input == question().input
    named = [{"name": f"deal {number}", "members": one} for number, one in enumerate(EDGES)]
    assert question(graph=named, ask={"kind": "intersection", "edge": "deal 1"}).target == ["deal 0"]


# ------------------------------------------------------------------------------------------ leaving for other tools


def read_back(answered: list[tuple[Example, str]]) -> networkx.DiGraph:
    return networkx.read_graphml(io.BytesIO("".join(graphml.pieces(answered)).encode()))


def test_predictions_are_a_bipartite_property_graph_that_networkx_reads() -> None:
    said = {
        "entities": [{"text": "Mira", "type": "Person", "start": 0, "end": 4}, ["Lunde", "Town"]],
        "relations": [["Mira", "lives_in", "Lunde"]],
        "hyperedges": [{"description": "sale", "members": [{"entity": "Mira", "role": "seller"}, "Theo"]}],
    }
    answers = [(example(NOTHING, id="first"), json.dumps(said)), (question(), '["Theo"]'), (example(NOTHING), "babble")]
    graph = read_back(answers)
    kinds = networkx.get_node_attributes(graph, "kind")
    assert sorted(kinds.values()) == ["entity", "entity", "entity", "hyperedge", "relation"]
    assert all((kinds[one] == "entity") != (kinds[other] == "entity") for one, other in graph.edges)
    assert networkx.is_bipartite(graph.to_undirected())
    told = {graph.nodes[node]["name"]: graph.nodes[node] for node in graph}
    assert told["Mira"] == {"kind": "entity", "item": "first", "name": "Mira", "type": "Person", "start": 0, "end": 4}
    assert told["Theo"] == {"kind": "entity", "item": "first", "name": "Theo"}  # named by a fact, not listed
    roles = {
        (graph.nodes[f]["name"], graph.nodes[m]["name"]): data.get("role") for f, m, data in graph.edges(data=True)
    }
    assert roles == {
        ("lives_in", "Mira"): "head", ("lives_in", "Lunde"): "tail", ("sale", "Mira"): "seller", ("sale", "Theo"): None,
    }  # fmt: skip


anything = st.text(min_size=1, max_size=12).filter(str.strip)


@STEADY
@given(anything, anything)
def test_any_text_comes_back_from_graphml(text: str, role: str) -> None:
    """What XML cannot hold is replaced by the sign for that; nothing else changes."""
    said = {"hyperedges": [{"members": [{"entity": text, "role": role}, "other"]}]}
    graph = read_back([(example(NOTHING), json.dumps(said))])
    names = {data["name"] for _, data in graph.nodes(data=True) if data["kind"] == "entity"}
    holdable = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
    assert names == {holdable.sub("\ufffd", text.strip()), "other"}
    assert {data.get("role") for *_, data in graph.edges(data=True)} <= {holdable.sub("\ufffd", role.strip()), None}


STATEMENT = re.compile(
    r"(?:CREATE CONSTRAINT [^;'{}]*|MERGE \(n:Lathe:\w+ \{id: 'i\d+[erh]\d+'\}\) SET n \+= \{(?:\w+: T(?:, )?)*\}"
    r"|MATCH \(f:Lathe \{id: 'i\d+[rh]\d+'\}\), \(m:Lathe \{id: 'i\d+e\d+'\}\) MERGE \(f\)-\[:MEMBER \{role: T\}\]->\(m\));\n"
)
LITERAL = re.compile(
    r"(?<=(?:item|name|type|role): )'(?:[^'\\\n]|\\.)*'(?: \+ '(?:[^'\\\n]|\\.)*')*|(?<=(?:tart|.end): )\d+"
)


@STEADY
@given(
    st.sampled_from(["'", "\\", "\\'", "'; MATCH (n) DETACH DELETE n; //", "\\u0027", "\\\\u0027", "\n", "{}"])
    | anything
)
def test_no_text_leaves_its_literal_in_the_cypher_script(text: str) -> None:
    said = {"entities": [[text, "x" + text]], "relations": [["a", "is" + text, "b"]]} if text.strip() else NOTHING
    script = "".join(cypher.pieces([(example(NOTHING), json.dumps(said))]))
    bare = LITERAL.sub("T", script)
    assert STATEMENT.sub("", bare) == ""
    assert "\\u" not in script
    if text.strip():
        first = next(found for found in LITERAL.findall(script) if found != "'" + example(NOTHING).id + "'")
        read = "".join(re.findall(r"'((?:[^'\\]|\\.)*)'", first))
        read = re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), read)
        assert read == re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text.strip())


@pytest.mark.parametrize("place", [10**9, 10**400, -1, True, "3"])
def test_a_place_that_no_text_has_is_no_span(place: Any) -> None:
    said = json.dumps({"entities": [{"text": "Mira", "type": "P", "start": 0, "end": place}]})
    found = graph_in(said).graph
    assert found is not None
    assert found.entities == (Entity("Mira", "P"),)
    lines = graph_in(f"### Entities:\n1. [P] Mira @0-{place}").graph
    assert lines is not None
    assert all(one.end is None or one.end < 10**9 for one in lines.entities)


def test_names_with_commas_in_them_are_shown_apart() -> None:
    part = {"type": "array", "items": {"properties": {"type": {"enum": ["Person, living", "Town"]}}}}
    setup = TaskSetup(schemas={"people": {"properties": {"entities": part}}})
    asked = TASK.example({"input": "Mira", "target": {"entities": [["Mira", "Town"]]}}, setup)
    assert "Types: Person, living; Town\n" in asked.messages[0].content
