"""The generated graphs: what is asked for follows from the text alone, and no rule without a model gets far."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product

import pytest

from lathe import plugins
from lathe.corpora._edge_graph.asking import WORDINGS
from lathe.corpora._edge_graph.words import ASIDES, BEFORE, BESIDE, FACTS, FIRST, LAST, NOT_SO, SINCE, SO, TYPES, WHEN
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
    assert 0.65 < len(TEXTS) / len(EXAMPLES) < 0.75
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
    assert 0.02 < sum(not graph for graph in graphs) / len(graphs) < 0.1
    assert sum(bool(graph.entities and not (graph.relations or graph.hyperedges)) for graph in graphs) > 20


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


def bare(words: str) -> str:
    """Without commas, which the corpus joins where two meet: what a text says does not hang on them."""
    return words.replace(",", "")


def longest_first(some: tuple[str, ...] | set[str]) -> list[str]:
    return sorted(set(some), key=len, reverse=True)


TYPE_WORDS = {word: type_ for type_, words in TYPES.items() for word in words}
BESIDE_NAME = "|".join(map(re.escape, longest_first(set(TYPE_WORDS))))
TELLINGS = [(fact, telling) for fact in FACTS for telling in fact.tellings]


def read(text: str) -> Graph:
    """The graph of a text by the words of the corpus alone: what a model has to find out."""
    types: dict[str, str] = {}

    def typed(name: str, word: str) -> str:
        types[name] = TYPE_WORDS[word]
        return name

    text = re.sub(rf"({NAME}) is an? ({BESIDE_NAME})\.(?: |$)", lambda m: typed(m[1], m[2]) and "", text).strip()
    text = re.sub(rf"\b[Tt]he ({BESIDE_NAME}) ({NAME})", lambda m: typed(m[2], m[1]), text)
    text = re.sub(rf"({NAME}) \(a ({BESIDE_NAME})\)", lambda m: typed(m[1], m[2]), text)
    text = re.sub(rf"({NAME}), a ({BESIDE_NAME})(?=[.,])", lambda m: typed(m[1], m[2]), text).replace(",", "")
    types = {name: types[name] for name in dict.fromkeys(re.findall(NAME, text)) if name in types}
    facts = [fact for sentence in re.split(r"(?<=\.) ", text) for fact in stated(sentence.rstrip("."))]
    relations = [Relation(names["head"], fact.label, names["tail"]) for fact, names in facts if fact.is_relation]
    edges = [
        Hyperedge(tuple(Member(name, role) for role, name in names.items()), fact.label)
        for fact, names in facts
        if not fact.is_relation
    ]
    return Graph(tuple(Entity(*one) for one in types.items()), tuple(relations), tuple(edges))


def stated(sentence: str) -> list[tuple]:  # type: ignore[type-arg]
    """(fact, names by role) of a sentence that says what is so."""
    sentence = sentence[:1].lower() + sentence[1:] if not re.match(NAME, sentence) else sentence
    for frames, so in ((NOT_SO, False), (SO, True)):
        for front, end in frames:
            front, end = bare(front[:1].lower() + front[1:]), bare(end)
            if (front or end) and sentence.startswith(front) and sentence.endswith(end):
                return stated_plainly(sentence[len(front) : len(sentence) - len(end)]) if so else []
    return stated_plainly(sentence)


def stated_plainly(said: str) -> list[tuple]:  # type: ignore[type-arg]
    for words in BEFORE:
        said = re.sub("^" + bare(words).format(NAME), "", said)
    beside = "|".join((*(bare(words).format(NAME) for words in BESIDE), *map(bare, longest_first(set(ASIDES) - {""}))))
    found = re.match(rf"({NAME})(?:{beside})? (.*)$", said)
    if not found:
        return []
    subject, rest = found[1], f"{found[2]} and "
    facts = []
    while rest:
        rest = rest.strip()
        fits = []
        for fact, telling in TELLINGS:
            pattern = re.escape(bare(telling.rest))
            for role in fact.members:
                pattern = pattern.replace(rf"\{{{role}\}}", f"(?P<{role}>{NAME})")
            since = "|".join(map(re.escape, longest_first(set(SINCE))))
            if match := re.match(rf"{pattern}(?:{since}) and(?= |$)", rest):
                fits.append((len(match[0]), fact, {telling.subject: subject, **match.groupdict()}))
        if not fits:
            return []
        kinds = {fact.label: (length, fact, names) for length, fact, names in fits}
        assert len(kinds) == 1, (said, kinds)
        length, fact, names = next(iter(kinds.values()))
        facts.append((fact, names))
        rest = rest[length:].strip()
    return facts


@pytest.mark.parametrize("one", TEXTS[:150], ids=lambda one: one.id)
def test_the_graph_follows_from_the_words_of_the_text(one: Example) -> None:
    assert fault(of_json(one.target), read(one.input)) == ""


def test_sentences_without_names_are_told_from_names() -> None:
    assert not re.search(NAME, " ".join(WHEN))


# ------------------------------------------------------------------------------------------ shortcuts


def test_rules_without_a_model_reach_less_than_a_quarter() -> None:
    for baseline in TASK.baselines:
        rule = baseline.fit(EXAMPLES[:900], SETUP)
        right = sum(TASK.score(one, rule(one), SETUP).values["graph_exact"] == 1 for one in EXAMPLES[900:])
        assert right / 300 < 0.25, baseline.name


def test_no_single_answer_is_right_for_a_third_of_the_questions() -> None:
    common = Counter(one.completion for one in QUESTIONS).most_common(1)[0][1]
    assert common / len(QUESTIONS) < 0.33
