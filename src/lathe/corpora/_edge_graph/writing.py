"""A text about some things: types told beside names or in a legend, facts in frames, up to two of them in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from lathe.corpora._edge_graph.words import (
    ASIDES,
    BEFORE,
    BESIDE,
    DOES,
    FACTS,
    FIRST,
    LAST,
    NOT_SO,
    QUIET,
    SINCE,
    SO,
    TYPES,
    WHEN,
    Fact,
    Telling,
)

NUM_THINGS = (3, 4, 4, 5, 5, 6)
EMPTY = 0.04
"""Share of texts that name nothing."""
NUM_SENTENCES = (2, 2, 3, 3)
FALSE = 0.25
"""Share of sentences that say what is not so."""
PLAIN = 0.3
"""Share of true sentences without a frame."""
BYSTANDER = 0.5
"""Share of sentences that name something else, where there is something else."""
LARGE_FIRST = 0.4
"""How often a fact of three or four members is tried before a relation."""
TWICE = 0.5
"""Share of sentences in which a subject gets a second fact."""


@dataclass(frozen=True)
class Told:
    """A fact about certain names, and how it is told."""

    fact: Fact
    names: dict[str, str]
    telling: Telling

    @property
    def subject(self) -> str:
        return self.names[self.telling.subject]

    @property
    def rest(self) -> str:
        return self.telling.rest.format(**self.names)


def names(rng: Random, count: int) -> list[str]:
    """Different names."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[rng.choice(FIRST) + rng.choice(LAST)] = None
    return list(found)


def text_and_graph(rng: Random) -> tuple[str, str]:
    """One text and, in lines, what it says."""
    if rng.random() < EMPTY:
        return " ".join(_quiet(rng) for _ in range(rng.randint(1, 3))), _lines("", {}, [])
    # The things that some fact needs, and others, so that rare facts can be told too.
    needed = list(_some_facts(rng)[0].members.values())
    others = rng.choices(list(TYPES), k=max(0, rng.choice(NUM_THINGS) - len(needed)))
    types = dict(zip(names(rng, len(needed) + len(others)), [*needed, *others], strict=True))
    sentences, true = _sentences(rng, types)
    used = {name: type_ for name, type_ in types.items() if any(name in sentence for sentence in sentences)}
    text = _with_types(rng, used, sentences)
    return text, _lines(text, used, true)


def _sentences(rng: Random, types: dict[str, str]) -> tuple[list[str], list[Told]]:
    """Sentences, and the facts that they say are so."""
    sentences: list[str] = []
    true: list[Told] = []
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for _ in range(rng.choice(NUM_SENTENCES)):
        first = _draw(rng, types, "")
        if first is None:
            continue
        second = _draw(rng, types, first.subject) if rng.random() < TWICE else None
        both = [first, *([second] if second else [])]
        # A fact that is told twice, or once so and once not so, would say two things.
        if len({_about(one) for one in both} - seen) < len(both):
            continue
        seen |= {_about(one) for one in both}
        so = rng.random() >= FALSE
        true += both if so else []
        sentences.append(_sentence(rng, both, so, types))
    return sentences or [_quiet(rng)], true


def _sentence(rng: Random, told: Sequence[Told], so: bool, types: Iterable[str]) -> str:
    """Facts about one subject, framed as so or not so, with what means nothing around and inside."""
    subject, inside = told[0].subject, {name for one in told for name in one.names.values()}
    front, end = ("", "") if so and rng.random() < PLAIN else rng.choice(SO if so else NOT_SO)
    others = [name for name in types if name not in inside]
    before, beside = "", rng.choice(ASIDES)
    if others and rng.random() < BYSTANDER:
        if rng.random() < 0.5:
            before = rng.choice(BEFORE).format(rng.choice(others))
        else:
            beside = rng.choice(BESIDE).format(rng.choice(others))
    facts = " and ".join(one.rest + rng.choice(SINCE) for one in told)
    said = f"{front}{before}{subject}{beside} {facts}{end}."
    return said[0].upper() + said[1:]


def _quiet(rng: Random) -> str:
    subject = rng.choice(QUIET)
    return f"{subject[0].upper()}{subject[1:]} {rng.choice(DOES)} {rng.choice(WHEN)}."


def _about(told: Told) -> tuple[str, tuple[str, ...]]:
    """The label of a fact and whom it is about, in no order: its reverse is not told beside it."""
    return told.fact.label, tuple(sorted(told.names.values()))


def _some_facts(rng: Random) -> list[Fact]:
    """All kinds of fact in some order, those of more than two members first in some cases."""
    found = rng.sample(FACTS, len(FACTS))
    return sorted(found, key=lambda one: one.is_relation) if rng.random() < LARGE_FIRST else found


def _draw(rng: Random, types: dict[str, str], subject: str) -> Told | None:
    """A fact that the things at hand can have, about `subject` where one is named."""
    for fact in _some_facts(rng):
        telling = rng.choice(fact.tellings)
        left = rng.sample(list(types), len(types))
        found: dict[str, str] = {}
        if subject:
            if fact.members[telling.subject] != types[subject]:
                continue
            found[telling.subject] = subject
            left.remove(subject)
        for role, type_ in fact.members.items():
            name = found.get(role) or next((name for name in left if types[name] == type_), None)
            if name is None:
                break
            found[role] = name
            left = [one for one in left if one != name]
        else:
            return Told(fact, found, telling)
    return None


def _with_types(rng: Random, types: dict[str, str], sentences: Sequence[str]) -> str:
    """The sentences with the type of each name: at its first mention, or all of them in a legend before or after."""
    words = {name: rng.choice(TYPES[type_]) for name, type_ in types.items()}
    text = " ".join(sentences)
    if rng.random() < 0.5:
        legend = " ".join(f"{name} is a {words[name]}." for name in rng.sample(list(words), len(words)))
        return " ".join(rng.sample((text, legend), 2)) if words else text
    for name, word in words.items():
        text = text.replace(name, rng.choice((f"the {word} {name}", f"{name}, a {word},", f"{name} (a {word})")), 1)
    text = text.replace(",.", ".").replace(",,", ",")
    return ". ".join(part[:1].upper() + part[1:] for part in text.split(". "))


def _lines(text: str, types: dict[str, str], true: Sequence[Told]) -> str:
    """What the text says, in its order, in the lines of the task."""
    sections = {
        "Entities": [f"[{types[name]}] {name}" for name in sorted(types, key=text.index)],
        "Relations": [
            f"{one.names['head']} --[{one.fact.label}]--> {one.names['tail']}" for one in true if one.fact.is_relation
        ],
        "Hyperedges": [
            f"[{one.fact.label}] " + " + ".join(f"{name} ({role})" for role, name in one.names.items())
            for one in true
            if not one.fact.is_relation
        ],
    }
    return "\n\n".join(
        "\n".join(
            (f"### {title}:", *([f"{number}. {item}" for number, item in enumerate(items, 1)] or ["None found."]))
        )
        for title, items in sections.items()
    )
