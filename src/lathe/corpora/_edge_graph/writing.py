"""A text about some things: each with its type wherever it is named, a fact a sentence, in frames among words that mean nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from lathe.corpora._edge_graph.words import (
    ASIDES,
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

NUM_OTHERS = (0, 1, 1, 2)
"""Things beside those of the first fact."""
EMPTY = 0.02
"""Share of texts that name nothing."""
NUM_SENTENCES = 2
FALSE, FALSE_FIRST = 0.4, 0.1
"""Share of sentences that say what is not so: after one that says what is so, and before."""
PLAIN = 0.4
"""Share of true sentences without a frame."""
BYSTANDER = 0.3
"""Share of sentences that name something else, where there is something else."""
LARGE_FIRST = 0.3
"""How often a fact of three members is tried before a relation."""


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
    """Names that begin and end differently."""
    return [first + last for first, last in zip(rng.sample(FIRST, count), rng.sample(LAST, count), strict=True)]


def text_and_graph(rng: Random) -> tuple[str, str]:
    """One text and, in lines, what it says."""
    if rng.random() < EMPTY:
        return " ".join(_quiet(rng) for _ in range(rng.randint(1, 3))), _lines("", {}, [])
    # The things that some fact needs, and others, so that rare facts can be told too.
    needed = list(_some_facts(rng)[0].members.values())
    others = rng.choices(list(TYPES), k=rng.choice(NUM_OTHERS))
    types = dict(zip(names(rng, len(needed) + len(others)), [*needed, *others], strict=True))
    sentences, true = _sentences(rng, types)
    used = {name: type_ for name, type_ in types.items() if any(name in sentence for sentence in sentences)}
    text = _with_types(rng, used, " ".join(sentences))
    return text, _lines(text, used, true)


def _sentences(rng: Random, types: dict[str, str]) -> tuple[list[str], list[Told]]:
    """Sentences, and the facts that they say are so."""
    sentences: list[str] = []
    true: list[Told] = []
    seen: set[tuple[str, ...]] = set()
    for _ in range(NUM_SENTENCES):
        told = _draw(rng, types)
        # A fact that is told twice, or once so and once not so, would say two things.
        about = (told.fact.label, *sorted(told.names.values()))
        if about in seen:
            continue
        seen.add(about)
        so = rng.random() >= (FALSE if true else FALSE_FIRST)
        true += [told] if so else []
        sentences.append(_sentence(rng, told, so, types))
    return sentences, true


def _sentence(rng: Random, told: Told, so: bool, types: Iterable[str]) -> str:
    """A fact, framed as so or not so, with what means nothing inside and behind."""
    front = "" if so and rng.random() < PLAIN else rng.choice(SO if so else NOT_SO)
    others = [name for name in types if name not in told.names.values()]
    bystander = others and rng.random() < BYSTANDER
    beside = rng.choice(BESIDE).format(rng.choice(others)) if bystander else rng.choice(ASIDES)
    return f"{front}{told.subject}{beside} {told.rest}{rng.choice(SINCE)}."


def _quiet(rng: Random) -> str:
    subject = rng.choice(QUIET)
    return f"{subject[0].upper()}{subject[1:]} {rng.choice(DOES)} {rng.choice(WHEN)}."


def _some_facts(rng: Random) -> list[Fact]:
    """All kinds of fact in some order, those of more than two members first in some cases."""
    found = rng.sample(FACTS, len(FACTS))
    return sorted(found, key=lambda one: one.is_relation) if rng.random() < LARGE_FIRST else found


def _draw(rng: Random, types: dict[str, str]) -> Told:
    """A fact that the things at hand can have; they can have one."""
    for fact in _some_facts(rng):
        left = rng.sample(list(types), len(types))
        found: dict[str, str] = {}
        for role, type_ in fact.members.items():
            name = next((name for name in left if types[name] == type_), None)
            if name is None:
                break
            found[role] = name
            left.remove(name)
        else:
            return Told(fact, found, rng.choice(fact.tellings))
    raise ValueError(f"no fact is about {', '.join(types.values())}")


def _with_types(rng: Random, types: dict[str, str], text: str) -> str:
    """The text with the type before each name."""
    for name, type_ in types.items():
        text = text.replace(name, f"the {rng.choice(TYPES[type_])} {name}")
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
