"""Drills of finding a value by its label: many fields, short values, and nothing but the label that tells them apart.

    gives: Yara Morson          {"takes": string, "gives": string, "shift": string}
    Takes = Elias Thornman  ->  {"takes": "Elias Thornman", "gives": "Yara Morson", "shift": "night"}
    the shift is night

In long records most tokens of an answer are copied from the token before, and a model that takes any value of the right kind
is right often enough. Here nearly every token decides: often all values are of one kind, labels share words, text and answer
have them in different order, case and style.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from lathe.corpora._structured_text import words
from lathe.corpora._structured_text.draft import ANSWER, CUE, FREE, Draft
from lathe.corpora._structured_text.fields import key

Label = tuple[str, ...]
Value = str | int | float

_KINDS: tuple[Callable[[Random], Value], ...] = (
    lambda rng: words.any_word(rng),
    lambda rng: words.person(rng).split()[0],
    lambda rng: " ".join(words.person(rng).split()[:2]),
    lambda rng: rng.randint(1, 9999),
    lambda rng: rng.randint(1, 99),
    lambda rng: round(rng.uniform(0.5, 900), rng.choice((1, 2))),
    lambda rng: f"{rng.randint(0, 23):02d}:{rng.choice(range(0, 60, 5)):02d}",
    lambda rng: f"{rng.choice('ABCDEFGHKLMNPRSTVXZ')}{rng.choice(('', '-', '.'))}{rng.randint(1, 999)}",
    lambda rng: f"20{rng.randint(10, 35)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
    lambda rng: words.phrase(rng, 2, 3),
)
_STATEMENTS = (
    "the {label} is {value}.",
    "{value} is the {label}.",
    "{label}: {value}.",
    "for the {label} we have {value}.",
    "the {label} came to {value}.",
    "we put down {value} as {label}.",
)
_WISHES = (
    "Find the values.",
    "As JSON.",
    "Fill these in.",
    "Which value has which key?",
    "Extract as JSON of this shape:",
)


def lookup(rng: Random, room: int) -> Draft:
    """A text of labelled values, and the values of some labels as JSON or one by one."""
    count = rng.randint(3, max(3, min(16, room // 40)))
    labels = _labels(rng, count)
    values = _values(rng, count)
    shown = list(zip(labels, values, strict=True))
    text = _text(shown, rng)
    asked = rng.sample(shown, rng.randint(max(2, count // 2), count))
    return _as_json(text, asked, rng) if rng.random() < 0.75 else _one_by_one(text, asked, rng)


def _labels(rng: Random, count: int) -> list[Label]:
    """Different labels of one to three words; where they come in pairs, two differ in one word."""
    labels: dict[Label, None] = {}
    shared = rng.random() < 0.4
    while len(labels) < count:
        label: Label = tuple(words.any_word(rng).lower() for _ in range(rng.choice((1, 1, 2, 2, 3))))
        labels[label] = None
        if shared and len(label) > 1:
            place = rng.randrange(len(label))
            labels[(*label[:place], words.word(rng), *label[place + 1 :])] = None
    return list(labels)[:count]


def _values(rng: Random, count: int) -> list[Value]:
    """Different values, in half of the documents all of one kind."""
    one = rng.choice(_KINDS)
    alike = rng.random() < 0.5
    values: dict[Value, None] = {}
    while len(values) < count:
        values[(one if alike else rng.choice(_KINDS))(rng)] = None
    return list(values)


def _text(shown: Sequence[tuple[Label, Value]], rng: Random) -> str:
    """Lines, a row under its header, or sentences."""
    draw, style = rng.random(), rng.choice(("words", "title", "snake", "sentence", "upper", "camel", "kebab"))
    if draw < 0.55:
        separator = rng.choice((": ", ": ", " = ", " - ", " | ", ":", "\t", " -> "))
        return "\n".join(f"{key(label, style)}{separator}{value}" for label, value in shown)
    if draw < 0.65:
        joint = rng.choice((" | ", ", ", ";", "\t"))
        return joint.join(key(label, style) for label, _ in shown) + "\n" + joint.join(str(value) for _, value in shown)
    statements = [
        rng.choice(_STATEMENTS).format(label=" ".join(label), value=value).replace("  ", " ") for label, value in shown
    ]
    sentences = [statement[0].upper() + statement[1:] for statement in statements]
    if rng.random() < 0.4:
        sentences.insert(rng.randrange(len(sentences)), words.sentence(rng))
    return rng.choice((" ", "\n")).join(sentences)


def _as_json(text: str, asked: Sequence[tuple[Label, Value]], rng: Random) -> Draft:
    """A shape or a list of keys, and the object; the keys are told, so they weigh little."""
    style = rng.choice(("snake", "snake", "snake", "camel", "kebab", "title"))
    named: list[tuple[str, Any]] = [(key(label, style), value) for label, value in asked]
    shape = "{" + ", ".join(f'"{name}": {_type(value)}' for name, value in named) + "}"
    told = shape if rng.random() < 0.75 else "keys: " + ", ".join(name for name, _ in named)
    wish = rng.choice(_WISHES)
    parts = [f"{wish}\n{told}", rng.choice(("", "Text:\n")) + text]
    if rng.random() < 0.3:
        parts.reverse()
    draft = Draft()
    draft.ask("\n\n".join(parts), FREE)
    draft.say("{", CUE)
    for number, (name, value) in enumerate(named):
        draft.say(f'{", " if number else ""}"{name}": ', 0.4)
        draft.say(json.dumps(value, ensure_ascii=False), ANSWER)
    draft.answer("}", 0.4)
    return draft


def _type(value: Value) -> str:
    return "string" if isinstance(value, str) else "integer" if isinstance(value, int) else "number"


def _one_by_one(text: str, asked: Sequence[tuple[Label, Value]], rng: Random) -> Draft:
    """Questions for single labels, answered one after the other."""
    ask, style = rng.choice(("{}?", "{}:", "What is the {}?", "the {} please")), rng.choice(("words", "snake", "title"))
    draft, chat = Draft(), rng.random() < 0.5
    for number, (label, value) in enumerate(asked):
        question = (f"{text}\n\n" if number == 0 else "") + ask.format(key(label, style))
        if chat:
            draft.ask(question, FREE if number == 0 else 0.2)
            draft.answer(str(value))
        else:
            draft.say(question + " ", FREE if number == 0 else 0.2)
            draft.say(f"{value}\n", ANSWER)
    return draft
