"""Small invented sets of facts: a few labelled values, some of them in objects and lists.

    invent(rng, count=5, groups=1)     # [Fact(label=("silver", "rate"), spoken=("rate",), ...), Group(...), ...]

A fact has two names: `label` becomes the JSON key, `spoken` is what the text calls it. Mostly they are the same words; else
one is a rewording of the other, or the text only says what kind of value it is ("the date"), which decides where no
other fact is of that kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from lathe.corpora._structured_text import fields, words
from lathe.corpora._structured_text.fields import Field, Value, other_words

Label = tuple[str, ...]

_HEADS: dict[str, tuple[str, ...]] = {
    "name": ("name", "person", "contact", "owner", "manager", "guest", "author"),
    "place": ("place", "town", "city", "location"),
    "company": ("company", "firm", "vendor", "client"),
    "code": ("code", "id", "number", "reference"),
    "date": ("date", "day", "deadline", "start", "end"),
    "time": ("time", "start", "end", "hour"),
    "money": ("price", "cost", "fee", "total", "amount", "sum"),
    "integer": ("count", "number", "quantity", "size"),
    "percent": ("share", "percentage", "quota"),
    "email": ("email", "mail", "address"),
    "phone": ("phone", "telephone", "line"),
    "version": ("version", "release"),
    "title": ("title", "heading", "topic"),
}
"""What values of a kind are called in English: such a label tells what to look for."""

_TAILS: dict[str, tuple[str, ...]] = {
    "date": ("on", "until", "from", "by", "since"),
    "time": ("at", "from", "until", "by"),
    "name": ("by", "for", "with"),
    "place": ("from", "to", "at", "in"),
    "money": ("for", "per"),
}
"""Which words may end a label made of a verb, such as "delivered by"."""

_SHARES = {
    "name": 13,
    "word": 9,
    "phrase": 7,
    "place": 7,
    "company": 3,
    "code": 9,
    "title": 4,
    "choice": 7,
    "date": 18,
    "time": 8,
    "integer": 11,
    "decimal": 4,
    "money": 10,
    "percent": 2,
    "boolean": 7,
    "email": 1,
    "phone": 2,
    "version": 1,
}
_FEW_VALUES = ("boolean", "choice")
_TWINS = ("date", "date", "time", "money", "integer", "name", "place", "word")
"""Kinds of which records often have two or three values: from and until, net and gross, sender and receiver."""


@dataclass(frozen=True)
class Fact:
    """One labelled value."""

    label: Label
    spoken: Label
    field: Field
    value: Value
    synonyms: tuple[tuple[str, str], ...] = ()
    """Words of the text and the choices that they stand for, where the fact is a choice with such words."""


@dataclass(frozen=True)
class Group:
    """Facts that belong together: an "object" has one entry, "rows" have one to six with the same labels (some lack one), a
    "list" has entries of a single fact each."""

    label: Label
    spoken: Label
    kind: Literal["object", "rows", "list"]
    entries: tuple[tuple[Fact, ...], ...]


Item = Fact | Group


def invent(rng: Random, count: int, groups: int) -> list[Item]:
    """`count` facts and `groups` groups in random order; in a fifth of the sets all facts are of one kind, in half of them two or
    three."""
    taken: set[Label] = set()
    kinds = rng.choices(list(_SHARES), list(_SHARES.values()), k=count)
    draw = rng.random()
    if draw < 0.2:
        kinds = [rng.choice(kinds)] * count
    elif draw < 0.7:
        twins = rng.choice((2, 2, 3))
        kinds = ([rng.choice(_TWINS)] * twins + kinds)[:count]
    facts = _facts(rng, kinds, taken)
    items: list[Item] = [*_spoken(facts, rng, taken), *(_group(rng, taken) for _ in range(groups))]
    rng.shuffle(items)
    return items


def _facts(rng: Random, kinds: Sequence[str], taken: set[Label]) -> list[Fact]:
    """A fact of each kind, called by its label; labels are new to `taken`, which grows, and values differ. Labels come in pairs now
    and then that differ in one word."""
    facts: list[Fact] = []
    seen: set[Any] = set()
    paired = rng.random() < 0.3
    for kind in kinds:
        label = _label(kind, rng)
        if paired and facts and len(facts[-1].label) > 1 and rng.random() < 0.7:
            place = rng.randrange(len(facts[-1].label))
            label = (*facts[-1].label[:place], words.word(rng), *facts[-1].label[place + 1 :])
        while label in taken:
            label = _label(kind, rng)
        taken.add(label)
        facts.append(_fact(label, kind, rng, seen))
    return facts


def _label(kind: str, rng: Random) -> Label:
    """One to three words; where values of the kind have a name in English, often with that name at the end."""
    if kind in _HEADS and rng.random() < 0.4:
        head = rng.choice(_HEADS[kind])
        return rng.choice(((head,), (words.word(rng), head), (rng.choice(words.NOUNS), head)))
    if kind in _TAILS and rng.random() < 0.25:
        return (rng.choice(words.VERBS), rng.choice(_TAILS[kind]))
    return tuple(words.any_word(rng).lower() for _ in range(rng.choice((1, 1, 1, 2, 2, 3))))


def _fact(label: Label, kind: str, rng: Random, seen: set[Any]) -> Fact:
    """A fact whose value is not among `seen`, which grows, unless its kind has few values."""
    if kind == "choice":
        choices = tuple(dict.fromkeys(words.word(rng) for _ in range(rng.randint(2, 5))))
        others = (rng.choice((words.word(rng), words.phrase(rng, 2, 2))) for _ in choices)
        synonyms = tuple(zip(others, choices, strict=True)) if rng.random() < 0.5 else ()
        field = Field(label, kind, choices=choices)
        return _redrawn(Fact(label, label, field, Value(None), synonyms[: rng.randint(1, 3)]), rng)
    field = Field(label, kind)
    value = fields.scalar(field, rng)
    while kind not in _FEW_VALUES and value.target in seen:
        value = fields.scalar(field, rng)
    seen.add(value.target)
    return Fact(label, label, field, value)


def _redrawn(fact: Fact, rng: Random) -> Fact:
    """The same fact with another value."""
    if fact.synonyms and rng.random() < 0.6:
        word, choice = rng.choice(fact.synonyms)
        return replace(fact, value=Value(choice, (word,)))
    return replace(fact, value=fields.scalar(fact.field, rng))


def _spoken(facts: Sequence[Fact], rng: Random, taken: set[Label]) -> list[Fact]:
    """The facts with what the text calls them: the label, its kind where that decides, or other words."""
    kinds = [fact.field.kind for fact in facts]
    called = []
    for fact in facts:
        draw, spoken = rng.random(), fact.label
        if draw < 0.15 and fact.field.kind in _HEADS and kinds.count(fact.field.kind) == 1:
            spoken = (rng.choice(_HEADS[fact.field.kind]),)
        elif draw < 0.4:
            spoken = other_words(fact.label, rng)
        if spoken in taken:
            spoken = fact.label
        taken.add(spoken)
        called.append(replace(fact, spoken=spoken))
    return called


def absent(items: Sequence[Item], count: int, rng: Random) -> list[Fact]:
    """`count` facts that the items do not hold. Half of them are near one that they do hold: of its kind, and where its label has
    several words, with all of these but one."""
    taken = {name for item in items for name in (item.label, item.spoken)}
    near = [fact for fact in items if isinstance(fact, Fact) and fact.spoken == fact.label]
    made: list[Fact] = []
    for _ in range(count):
        kind, label = rng.choices(list(_SHARES), list(_SHARES.values()))[0], Label()
        if near and rng.random() < 0.5:
            like = rng.choice(near)
            kind, place = like.field.kind, rng.randrange(len(like.label))
            if len(like.label) > 1:
                label = (*like.label[:place], words.word(rng), *like.label[place + 1 :])
        while not label or label in taken:
            label = _label(kind, rng)
        taken.add(label)
        made.append(_fact(label, kind, rng, set()))
    return made


def _group(rng: Random, taken: set[Label]) -> Group:
    label = _label("word", rng)
    while label in taken:
        label = _label("word", rng)
    taken.add(label)
    spoken = label if rng.random() < 0.7 else other_words(label, rng)
    kind: Literal["object", "rows", "list"] = rng.choice(("object", "rows", "rows", "rows", "list"))
    if kind == "list":
        item, seen = rng.choice(("name", "word", "place", "title", "code", "integer")), set[Any]()
        entries = [(_fact(("item",), item, rng, seen),) for _ in range(rng.randint(1, 5))]
        return Group(label, spoken, kind, tuple(entries))
    own = taken if kind == "object" else set[Label]()
    made = _spoken(
        _facts(rng, rng.choices(list(_SHARES), list(_SHARES.values()), k=rng.choice((2, 2, 3))), own), rng, own
    )
    if kind == "object":
        return Group(label, spoken, kind, (tuple(made),))
    lacking, rows = rng.random() < 0.3, []
    for _ in range(rng.choice((1, 2, 2, 3, 3, 4, 5, 6))):
        row = [_redrawn(fact, rng) for fact in made]
        if lacking and rng.random() < 0.4:
            del row[rng.randrange(1, len(row))]
        rows.append(tuple(row))
    return Group(label, spoken, kind, tuple(rows))


def target(item: Item, name: Callable[[Label], str]) -> Any:
    """The item's JSON value; `name` makes a key of a label."""
    if isinstance(item, Fact):
        return item.value.target
    if item.kind == "list":
        return [entry[0].value.target for entry in item.entries]
    made = [{name(fact.label): fact.value.target for fact in entry} for entry in item.entries]
    return made[0] if item.kind == "object" else made
