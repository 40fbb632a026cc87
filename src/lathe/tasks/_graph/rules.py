"""Rules that need no model: sentences seen before, a dictionary with all pairs that types allow, the most frequent answer.

A question over a hypergraph gets the most frequent answer to its kind from each of them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import permutations

from lathe.contracts import Baseline
from lathe.records import Example, TaskSetup
from lathe.tasks._graph import notation
from lathe.tasks._graph.graph import Entity, Graph, Hyperedge, Member, Relation, of_json
from lathe.tasks._graph.sentences import WORD, Names, Rows, learn_entities, mark

Rule = Callable[[Example], str]
Shape = tuple[str, str, tuple[tuple[int, str], ...]]
"""A fact with numbers for names: what it is, label or description, (number of the name, role) of each member."""


def fit_majority(training: Sequence[Example], _: TaskSetup) -> Rule:
    """The most frequent answer of each kind of row; an empty graph for texts where there is none."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for example in training:
        counted[_kind(example)][example.completion] += 1
    answers = {kind: found.most_common(1)[0][0] for kind, found in counted.items()}
    return lambda example: answers.get(_kind(example), notation.written(Graph()))


def _kind(example: Example) -> str:
    return example.meta.get("kind", "text")


def _graphs(training: Sequence[Example]) -> Rows:
    """The training rows that have a graph."""
    return [(example.input, of_json(example.target)) for example in training if isinstance(example.target, dict)]


def _of_texts(extract: Callable[[str], Graph], other: Rule) -> Rule:
    """A rule that extracts from texts and leaves questions to another one."""
    return lambda example: notation.written(extract(example.input)) if _kind(example) == "text" else other(example)


# ------------------------------------------------------------------------------------------ sentences seen before


def fit_templates(training: Sequence[Example], setup: TaskSetup) -> Rule:
    """Names by their capitals, types by the words around them, facts by the sentence with its names taken out."""
    rows = _graphs(training)
    names = Names.learnt(rows)
    entities, facts = learn_entities(rows, names), _facts(rows, names)

    def extract(text: str) -> Graph:
        relations: list[Relation] = []
        hyperedges: list[Hyperedge] = []
        for found, template in names.masked(text):
            for what, label, parts in facts.get(template, ()):
                members = tuple(Member(found[place], role) for place, role in parts)
                if what == "relation":
                    relations.append(Relation(members[0].entity, label, members[1].entity))
                else:
                    hyperedges.append(Hyperedge(members, label))
        return Graph(entities(text), tuple(dict.fromkeys(relations)), tuple(dict.fromkeys(hyperedges)))

    return _of_texts(extract, fit_majority(training, setup))


def _facts(rows: Rows, names: Names) -> Mapping[str, list[Shape]]:
    """Template -> the facts that more than half of its sentences state."""
    seen: Counter[str] = Counter()
    stated: dict[str, Counter[Shape]] = defaultdict(Counter)
    for text, graph in rows:
        facts = list(_shapes(graph))
        for found, template in names.masked(text):
            seen[template] += 1
            place = {name: number for number, name in enumerate(found)}
            for what, label, members in facts:
                if all(name in place for name, _ in members):
                    stated[template][what, label, tuple((place[name], role) for name, role in members)] += 1
    return {
        template: [shape for shape, times in shapes.items() if 2 * times > seen[template]]
        for template, shapes in stated.items()
    }


def _shapes(graph: Graph) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    for relation in graph.relations:
        yield "relation", relation.label, [(relation.head, ""), (relation.tail, "")]
    for edge in graph.hyperedges:
        yield "hyperedge", edge.description, [(one.entity, one.role) for one in edge.members]


# ------------------------------------------------------------------------------------------ words before a name


def fit_cues(training: Sequence[Example], setup: TaskSetup) -> Rule:
    """Relations between the first name of a sentence and each other one, by how the sentence begins and what stands before it."""
    rows = _graphs(training)
    names = Names.learnt(rows)
    entities = learn_entities(rows, names)
    counted: dict[tuple[str, ...], Counter[tuple[str, bool] | None]] = defaultdict(Counter)
    for text, graph in rows:
        stated = {(one.head, one.tail): (one.label, True) for one in graph.relations}
        stated |= {(one.tail, one.head): (one.label, False) for one in graph.relations}
        for first, other, cues in _cues(text, names):
            for cue in cues:
                counted[cue][stated.get((first, other))] += 1

    def extract(text: str) -> Graph:
        relations = []
        for first, other, cues in _cues(text, names):
            known = next((counted[cue] for cue in cues if cue in counted), None)
            found = known.most_common(1)[0][0] if known else None
            if found:
                label, forward = found
                relations.append(Relation(first, label, other) if forward else Relation(other, label, first))
        return Graph(entities(text), tuple(dict.fromkeys(relations)))

    return _of_texts(extract, fit_majority(training, setup))


def _cues(text: str, names: Names) -> Iterator[tuple[str, str, list[tuple[str, ...]]]]:
    """(first name, other name, cues) of each sentence; cues from the most telling to the most general.

    In a cue the first name has its mark and every other one is `_`.
    """
    for found, template in names.masked(text):
        words = WORD.findall(template)
        others = {mark(number) for number in range(1, len(found))}
        plain = ["_" if word in others else word for word in words]
        for number in range(1, len(found)):
            here = words.index(mark(number))
            before, after = tuple(plain[max(0, here - 2) : here]), tuple(plain[here + 1 : here + 4])
            cues = [(*plain[:3], "", *before, "", *after), (*before, "", *after), before, before[-1:]]
            yield found[0], found[number], cues


# ------------------------------------------------------------------------------------------ a dictionary and all pairs


def fit_dictionary(training: Sequence[Example], setup: TaskSetup) -> Rule:
    """Entities that training rows have, with their most frequent type; every pair that some training relation's types allow."""
    types: dict[str, Counter[str]] = defaultdict(Counter)
    labels: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for _, graph in _graphs(training):
        known = {one.text: one.type for one in graph.entities}
        for name, type_ in known.items():
            types[name][type_] += 1
        for relation in graph.relations:
            labels[known.get(relation.head, ""), known.get(relation.tail, "")][relation.label] += 1
    usual = {name: found.most_common(1)[0][0] for name, found in types.items()}
    longest = max((len(name.split()) for name in usual), default=0)

    def extract(text: str) -> Graph:
        found = {name: usual[name] for name in _runs(text, longest) if name in usual}
        relations = [
            Relation(head, labels[found[head], found[tail]].most_common(1)[0][0], tail)
            for head, tail in permutations(found, 2)
            if (found[head], found[tail]) in labels
        ]
        return Graph(tuple(Entity(name, type_) for name, type_ in found.items()), tuple(relations))

    return _of_texts(extract, fit_majority(training, setup))


def _runs(text: str, longest: int) -> Iterator[str]:
    """Stretches of one to `longest` words, as they stand in the text."""
    words = list(re.finditer(r"[^\s.,;:()]+", text))
    for start in range(len(words)):
        for last in range(start, min(start + longest, len(words))):
            yield text[words[start].start() : words[last].end()]


BASELINES = (
    Baseline(
        "sentence_templates",
        "Learns sentences with their names taken out: a sentence seen in training states what more than half of its like stated. "
        "Names are runs of words with capitals, types are those that names between the same words most often had. A question gets "
        "the most frequent answer to its kind.",
        fit_templates,
    ),
    Baseline(
        "cue_words",
        "Relates the first name of a sentence to each other name in it as training most often did for the same first three words "
        "of the sentence, the same two words before that name and three behind it; else without the first words, else for the two "
        "words or the one before it. Names and types as above; no hyperedges. A question gets the most frequent answer to its "
        "kind.",
        fit_cues,
    ),
    Baseline(
        "dictionary_all_pairs",
        "Every entity text of the training rows that stands in the text, with its most frequent type, and every relation that "
        "the types of a pair allow in training. A question gets the most frequent answer to its kind.",
        fit_dictionary,
    ),
    Baseline("majority", "The most frequent answer of the training rows to this kind of row.", fit_majority),
)
