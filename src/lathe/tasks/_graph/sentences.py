"""Names in a text, what stands around them, and sentences with their names taken out: what rules without a model go by.

names = Names.learnt(rows)
names.of("Nobody doubts that Brae owns Corran.")                -> ["Brae", "Corran"]
next(names.masked("Nobody doubts that Brae owns Corran."))      -> (["Brae", "Corran"], "Nobody doubts that  _0_  owns  _1_ .")
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from lathe.tasks._graph.graph import Entity, Graph

CAPITALS = re.compile(r"[A-Z][\w'-]*(?: [A-Z][\w'-]*)*")
WORD = re.compile(r"[\w'-]+|[^\w\s]")
SENTENCE = re.compile(r"(?<=[.!?;])\s+")
NEAR = 60
"""Characters beside a name in which the words around it are looked for."""
MOST_NAMES = 12
"""Names in a sentence beyond which it is passed over."""

Rows = Sequence[tuple[str, Graph]]
"""Texts and their gold graphs."""


@dataclass(frozen=True)
class Names:
    """Tells names by their capitals. common: words with a capital that are no part of a name: what begins a sentence, mostly."""

    common: frozenset[str]

    @classmethod
    def learnt(cls, rows: Rows) -> Names:
        """From gold: a word with a capital that is part of no entity of its row is common."""
        found = set()
        for text, graph in rows:
            inside = {word for one in graph.entities for word in one.text.split()}
            found |= {word for run in CAPITALS.findall(text) for word in run.split() if word not in inside}
        return cls(frozenset(found))

    def of(self, text: str) -> list[str]:
        """Runs of words with capitals, without common words at their beginning, each once."""
        found = []
        for run in CAPITALS.findall(text):
            words = run.split()
            while words and words[0] in self.common:
                words.pop(0)
            found.append(" ".join(words))
        return [name for name in dict.fromkeys(found) if name]

    def masked(self, text: str) -> Iterator[tuple[list[str], str]]:
        """(names, sentence with marks for them) of each sentence that has some."""
        for sentence in SENTENCE.split(text):
            names = self.of(sentence)
            if 0 < len(names) <= MOST_NAMES:
                yield names, _masked(sentence, names)


def _masked(sentence: str, names: Sequence[str]) -> str:
    marks = {name: f" {mark(number)} " for number, name in enumerate(names)}
    longest_first = sorted(names, key=len, reverse=True)
    pattern = "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in longest_first)
    return re.sub(pattern, lambda found: marks[found[0]], sentence)


def mark(number: int) -> str:
    """What stands for a name in a masked sentence."""
    return f"_{number}_"


# ------------------------------------------------------------------------------------------ types


def learn_entities(rows: Rows, names: Names) -> Callable[[str], tuple[Entity, ...]]:
    """A rule for entities: each name gets the type that names between such words most often had, or none."""
    counted: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for text, graph in rows:
        known = {one.text: one.type for one in graph.entities}
        for name in names.of(text):
            for context in _contexts(name, text):
                counted[context][known.get(name, "")] += 1
    usual = Counter(one.type for _, graph in rows for one in graph.entities)
    otherwise = usual.most_common(1)[0][0] if usual else ""

    def entities(text: str) -> tuple[Entity, ...]:
        told = ((name, _most_likely(counted, _contexts(name, text), otherwise)) for name in names.of(text))
        return tuple(Entity(name, type_) for name, type_ in told if type_)

    return entities


def _most_likely(
    counted: dict[tuple[str, ...], Counter[str]], contexts: Iterable[tuple[str, ...]], otherwise: str
) -> str:
    """The type with most votes; a context votes by the squared shares of its types, so that telling ones weigh more."""
    votes: dict[str, float] = defaultdict(float)
    for context in contexts:
        found = counted.get(context, Counter())
        for type_, times in found.items():
            votes[type_] += (times / found.total()) ** 2
    return max(votes, key=votes.__getitem__) if votes else otherwise


def _contexts(name: str, text: str) -> Iterator[tuple[str, ...]]:
    """The one and two words before each mention, the two and three behind it."""
    for found in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text):
        before = WORD.findall(text[max(0, found.start() - NEAR) : found.start()])[-2:]
        after = WORD.findall(text[found.end() : found.end() + NEAR])[:3]
        yield ("before", *before[-1:])
        yield ("before", *before)
        yield ("after", *after[:2])
        yield ("after", *after)
