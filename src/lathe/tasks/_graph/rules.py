"""Rules that need no model: sentences seen before, a dictionary with all pairs that types allow, the most frequent answer.

A question over a hypergraph gets the most frequent answer to its kind from each of them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import permutations

from lathe.contracts import Baseline
from lathe.records import Example, TaskSetup
from lathe.tasks._graph import notation
from lathe.tasks._graph.graph import Entity, Graph, Hyperedge, Member, Relation, of_json

Rule = Callable[[Example], str]
NAME = re.compile(r"[A-Z][\w'-]*(?: [A-Z][\w'-]*)*")
WORD = re.compile(r"[\w'-]+|[^\w\s]")
SENTENCE = re.compile(r"(?<=[.!?;])\s+")
NEAR = 60
"""Characters beside a name in which the words around it are looked for."""
LONGEST_SENTENCE = 12
"""Names in a sentence beyond which it is no template."""

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


def _graphs(training: Sequence[Example]) -> list[tuple[str, Graph]]:
    """(text, gold graph) of the training rows that have one."""
    return [(example.input, of_json(example.target)) for example in training if isinstance(example.target, dict)]


def _of_texts(extract: Callable[[str], Graph], other: Rule) -> Rule:
    """A rule that extracts from texts and leaves questions to another one."""
    return lambda example: notation.written(extract(example.input)) if _kind(example) == "text" else other(example)


# ------------------------------------------------------------------------------------------ sentences seen before


def fit_templates(training: Sequence[Example], setup: TaskSetup) -> Rule:
    """Names by their capitals, types by the words around them, facts by the sentence with its names taken out."""
    rows = _graphs(training)
    common = _no_names(rows)
    types, facts = _types(rows, common), _facts(rows, common)

    def extract(text: str) -> Graph:
        relations: list[Relation] = []
        hyperedges: list[Hyperedge] = []
        for names, template in _templates(text, common):
            for shape in facts.get(template, ()):
                what, label, parts = shape
                members = tuple(Member(names[place], role) for place, role in parts)
                if what == "relation":
                    relations.append(Relation(members[0].entity, label, members[1].entity))
                else:
                    hyperedges.append(Hyperedge(members, label))
        said = ((name, types(name, text)) for name in dict.fromkeys(_names(text, common)))
        entities = tuple(Entity(name, type_) for name, type_ in said if type_)
        return Graph(entities, tuple(dict.fromkeys(relations)), tuple(dict.fromkeys(hyperedges)))

    return _of_texts(extract, fit_majority(training, setup))


def _no_names(rows: Iterable[tuple[str, Graph]]) -> set[str]:
    """Words with a capital that are part of no entity of their row: what begins a sentence, mostly."""
    found = set()
    for text, graph in rows:
        inside = {word for one in graph.entities for word in one.text.split()}
        found |= {word for name in NAME.findall(text) for word in name.split() if word not in inside}
    return found


def _names(text: str, common: set[str]) -> list[str]:
    """Runs of words with capitals, without common words at their beginning."""
    found = []
    for name in NAME.findall(text):
        words = name.split()
        while words and words[0] in common:
            words.pop(0)
        found.append(" ".join(words))
    return [name for name in found if name]


def _types(rows: Sequence[tuple[str, Graph]], common: set[str]) -> Callable[[str, str], str]:
    """The type that a name most often has between such words; empty for no entity."""
    counted: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for text, graph in rows:
        known = {one.text: one.type for one in graph.entities}
        for name in dict.fromkeys(_names(text, common)):
            for context in _contexts(name, text):
                counted[context][known.get(name, "")] += 1
    usual = Counter(one.type for _, graph in rows for one in graph.entities).most_common(1)

    def named(name: str, text: str) -> str:
        votes: Counter[str] = Counter()
        for context in _contexts(name, text):
            total = counted[context].total() if context in counted else 0
            for type_, times in counted.get(context, Counter()).items():
                votes[type_] += (times / total) ** 2  # type: ignore[assignment]
        return votes.most_common(1)[0][0] if votes else usual[0][0] if usual else ""

    return named


def _contexts(name: str, text: str) -> Iterator[tuple[str, ...]]:
    """The two words before each mention, and the three after it."""
    for found in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text):
        before = WORD.findall(text[max(0, found.start() - NEAR) : found.start()])[-2:]
        after = WORD.findall(text[found.end() : found.end() + NEAR])[:3]
        yield ("before", *before[-1:])
        yield ("before", *before)
        yield ("after", *after[:2])
        yield ("after", *after)


def _templates(text: str, common: set[str]) -> Iterator[tuple[list[str], str]]:
    """(names, sentence with numbers for them) of each sentence."""
    for sentence in SENTENCE.split(text):
        names = list(dict.fromkeys(_names(sentence, common)))
        if 0 < len(names) <= LONGEST_SENTENCE:
            numbers = {name: f"\0{number}" for number, name in enumerate(names)}
            longest_first = sorted(names, key=len, reverse=True)
            pattern = "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in longest_first)
            yield names, re.sub(pattern, lambda found, numbers=numbers: numbers[found[0]], sentence)


def _facts(rows: Sequence[tuple[str, Graph]], common: set[str]) -> Mapping[str, list[Shape]]:
    """Template -> the facts that more than half of its sentences state."""
    seen: Counter[str] = Counter()
    stated: dict[str, Counter[Shape]] = defaultdict(Counter)
    for text, graph in rows:
        facts = list(_shapes(graph))
        for names, template in _templates(text, common):
            seen[template] += 1
            place = {name: number for number, name in enumerate(names)}
            for what, label, members in facts:
                if all(name in place for name, _ in members):
                    stated[template][what, label, tuple((place[name], role) for name, role in members)] += 1
    return {
        template: [shape for shape, times in found.items() if 2 * times > seen[template]]
        for template, found in stated.items()
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
    common = _no_names(rows)
    types = _types(rows, common)
    counted: dict[tuple[str, ...], Counter[tuple[str, bool] | None]] = defaultdict(Counter)
    for text, graph in rows:
        stated = {(one.head, one.tail): (one.label, True) for one in graph.relations}
        stated |= {(one.tail, one.head): (one.label, False) for one in graph.relations}
        for first, other, cues in _cues(text, common):
            for cue in cues:
                counted[cue][stated.get((first, other))] += 1

    def extract(text: str) -> Graph:
        relations = []
        for first, other, cues in _cues(text, common):
            known = next((counted[cue] for cue in cues if cue in counted), None)
            found = known.most_common(1)[0][0] if known else None
            if found:
                label, forward = found
                relations.append(Relation(first, label, other) if forward else Relation(other, label, first))
        said = ((name, types(name, text)) for name in dict.fromkeys(_names(text, common)))
        return Graph(tuple(Entity(name, type_) for name, type_ in said if type_), tuple(dict.fromkeys(relations)))

    return _of_texts(extract, fit_majority(training, setup))


def _cues(text: str, common: set[str]) -> Iterator[tuple[str, str, list[tuple[str, ...]]]]:
    """(first name, other name, cues) of each sentence; cues from the most telling to the most general."""
    for names, template in _templates(text, common):
        words = WORD.findall(template.replace("\0", " \0"))
        for place in range(1, len(names)):
            here = words.index(str(place)) if str(place) in words else 0
            before, after = (
                [word for word in some if not word.isdigit()] for some in (words[:here], words[here + 1 :])
            )
            opening, around = tuple(words[:3]), (*before[-3:], "", *after[:3])
            yield names[0], names[place], [(*opening, "", *around), around, ("", *before[-3:]), ("", *before[-2:])]


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
        "of the sentence and the same three words before and behind that name; else for what stands around the name, else for the "
        "three or two words before it. Names and types as above; no hyperedges. A question gets the most frequent answer to its "
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
