"""The generated graphs: what is asked for follows from the text alone, and no rule without a model gets far."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product

import pytest

from lathe import plugins
from lathe.corpora._edge_graph.asking import WORDINGS
from lathe.corpora._edge_graph.words import (
    ASIDES,
    BESIDE,
    FACTS,
    FIRST,
    LAST,
    NOT_SO,
    SINCE,
    SO,
    TYPES,
    WHEN,
    Fact,
)
from lathe.records import Example, TaskSetup
from lathe.tasks._graph.graph import Entity, Graph, Hyperedge, Member, Relation, of_json
from lathe.tasks._graph.matching import fault

CORPUS = plugins.load("corpora", "edge_graph")
TASK = plugins.load("tasks", "graph_extraction")
SETUP = TaskSetup(schemas=dict(CORPUS.schemas()))
EXAMPLES = [TASK.example(row, SETUP) for row in CORPUS.rows(0, 1200)]
TEXTS = [one for one in EXAMPLES if one.meta["kind"] == "text"]
QUESTIONS = [one for one in EXAMPLES if one.meta["kind"] != "text"]
NAME = rf"(?:{'|'.join(FIRST)})(?:{'|'.join(LAST)})"


def test_both_modes_and_all_kinds_of_question_come() -> None:
    assert 0.8 < len(TEXTS) / len(EXAMPLES) < 0.9
    assert set(Counter(one.meta["kind"] for one in QUESTIONS)) == set(WORDINGS)


def test_texts_are_not_repeated() -> None:
    assert len({one.input for one in EXAMPLES}) >= 0.99 * len(EXAMPLES)


def test_every_type_label_and_kind_of_hyperedge_comes() -> None:
    graphs = [of_json(one.target) for one in TEXTS]
    assert {one.type for graph in graphs for one in graph.entities} == set(TYPES)
    assert {one.label for graph in graphs for one in graph.relations} == {f.label for f in FACTS if f.is_relation}
    assert {one.description for graph in graphs for one in graph.hyperedges} == {
        f.label for f in FACTS if not f.is_relation
    }


def test_texts_without_any_name_and_texts_without_a_fact_come() -> None:
    graphs = [of_json(one.target) for one in TEXTS]
    assert 0.01 < sum(not graph for graph in graphs) / len(graphs) < 0.05
    without = sum(bool(graph.entities and not (graph.relations or graph.hyperedges)) for graph in graphs)
    assert 0.02 < without / len(graphs) < 0.1, (
        "the shortcut `name what is there and state nothing` is right for few texts"
    )


def test_no_name_is_a_part_of_another_or_of_a_word_that_is_used() -> None:
    names = [first + last for first, last in product(FIRST, LAST)]
    assert len(set(names)) == len(names)
    text = "\n".join(names)
    assert not [name for name in names if text.count(name) > 1]


def test_a_name_is_of_every_type_in_some_text() -> None:
    """The shortcut `this name is a town` finds nothing."""
    types: dict[str, set[str]] = {}
    for one in TEXTS:
        for entity in of_json(one.target).entities:
            types.setdefault(entity.text, set()).add(entity.type)
    often = [found for found in types.values() if len(found) > 1]
    assert len(often) > 0.9 * len(types)


# ------------------------------------------------------------------------------------------ the text says it all


def either(some: tuple[str, ...]) -> str:
    """A pattern of texts in which `{}` stands for a name; the longest first."""
    found = sorted({re.escape(one) for one in some if one}, key=len, reverse=True)
    return "|".join(one.replace(re.escape("{}"), NAME) for one in found)


TYPE_WORDS = {word: type_ for type_, words in TYPES.items() for word in words}
TELLINGS = [(fact, telling) for fact in FACTS for telling in fact.tellings]
FRAME = re.compile(f"(?:(?P<so>{either(SO)})|(?P<not_so>{either(NOT_SO)}))?")
SUBJECT = re.compile(f"({NAME})(?:{either(BESIDE)}|{either(ASIDES)})? ")
SINCE_THEN = f"(?:{either(SINCE)})?"
NAMED = re.compile(rf"\b[Tt]he ({either(tuple(TYPE_WORDS))}) ({NAME})")


def read(text: str) -> Graph:
    """The graph of a text by the words of the corpus alone: what a model has to find out."""
    types = {name: TYPE_WORDS[word] for word, name in NAMED.findall(text)}
    sentences = [one for one in re.split(r"(?<=\.) ", NAMED.sub(r"\2", text)) if re.search(NAME, one)]
    facts = [fact for sentence in sentences for fact in stated(sentence)]
    relations = [Relation(names["head"], fact.label, names["tail"]) for fact, names in facts if fact.is_relation]
    edges = [
        Hyperedge(tuple(Member(name, role) for role, name in names.items()), fact.label)
        for fact, names in facts
        if not fact.is_relation
    ]
    return Graph(tuple(Entity(*one) for one in types.items()), tuple(relations), tuple(edges))


def stated(sentence: str) -> list[tuple[Fact, dict[str, str]]]:
    """The fact that a sentence says is so, with names by role."""
    frame = FRAME.match(sentence)
    assert frame
    subject = SUBJECT.match(sentence, frame.end())
    assert subject, sentence
    found = []
    for fact, telling in TELLINGS:
        names = {role: f"(?P<{role}>{NAME})" for role in fact.members}
        match = re.fullmatch(telling.rest.format(**names) + SINCE_THEN + r"\.", sentence[subject.end() :])
        if match:
            found.append((fact, {telling.subject: subject[1], **match.groupdict()}))
    assert len({fact.label for fact, _ in found}) == 1, sentence
    return [] if frame["not_so"] else found[:1]


@pytest.mark.parametrize("one", TEXTS[:150], ids=lambda one: one.id)
def test_the_graph_follows_from_the_words_of_the_text(one: Example) -> None:
    assert fault(of_json(one.target), read(one.input)) == ""


def test_sentences_without_names_are_told_from_names() -> None:
    assert not re.search(NAME, " ".join(WHEN))


# ------------------------------------------------------------------------------------------ shortcuts


def test_rules_without_a_model_reach_less_than_a_sixth() -> None:
    for baseline in TASK.baselines:
        rule = baseline.fit(EXAMPLES[:900], SETUP)
        right = sum(TASK.score(one, rule(one), SETUP).values["graph_exact"] == 1 for one in EXAMPLES[900:])
        assert right / 300 < 1 / 6, baseline.name


def test_the_types_of_two_names_do_not_say_what_relates_them() -> None:
    """The shortcut `a person and a firm: the person leads it`."""
    pairs: dict[tuple[str, ...], set[tuple[str, str]]] = {}
    for fact in FACTS:
        if fact.is_relation:
            head, tail = fact.members.values()
            pairs.setdefault(tuple(sorted((head, tail))), set()).add((fact.label, head))
    assert min(map(len, pairs.values())) > 1


def test_no_word_of_a_fact_stands_beside_a_name() -> None:
    """The shortcut `the two words before a name tell`: they are its article and its type wherever it stands."""
    for one in TEXTS:
        bare = NAMED.sub("", one.input)
        assert not re.search(NAME, bare), bare


def test_names_of_a_text_begin_with_different_letters() -> None:
    """What comes next is copied by what stands before: after a beginning that two names share it would be a matter of luck."""
    for one in TEXTS:
        names = [entity.text for entity in of_json(one.target).entities]
        assert len({name[0] for name in names}) == len(names)


def test_no_single_answer_is_right_for_a_third_of_the_questions() -> None:
    common = Counter(one.completion for one in QUESTIONS).most_common(1)[0][1]
    assert common / len(QUESTIONS) < 0.33
