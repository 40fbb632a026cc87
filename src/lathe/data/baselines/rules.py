"""Rules that need no model: each is made from training rows and answers others.

    MAJORITY.fit([Item("where is it", "card_arrival"), ...])(Item("hello", None))   ->  "card_arrival"

Which of them fit is told by the kind of answer: labels, JSON or written text. A task declares its own rules besides.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lathe.records import Json, canonical
from lathe.records.check import AnswerKind
from lathe.tfidf import WORD

LEAST_SEEN = 3
"""Times a word must have stood in the training rows before the telling-word rule believes it."""


Path = tuple[str | int, ...]
"""Keys of objects and places of lists, from the top."""


@dataclass(frozen=True)
class Item:
    """One row as a rule sees it. group: rows whose answers have the same shape, such as a schema's name.

    prompt: the turn before the answer as the model reads it, with the functions that it offers, say. meta: short columns by name.
    """

    input: str
    answer: Json
    group: str = ""
    prompt: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """A rule: `fit` sees training rows only and gives back the rule itself."""

    name: str
    definition: str
    fit: Callable[[Sequence[Item]], Callable[[Item], Json]]


def text_of(answer: Json) -> str:
    """An answer as text: a text itself, else its canonical JSON."""
    return answer if isinstance(answer, str) else canonical(answer)


def leaves(value: Json, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """(path, canonical text) of every leaf of a JSON value; an empty object or list is one leaf."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from leaves(part, (*path, key))
    elif isinstance(value, list) and value:
        for place, part in enumerate(value):
            yield from leaves(part, (*path, place))
    else:
        yield path, canonical(value)


def fit_majority(train: Sequence[Item]) -> Callable[[Item], Json]:
    """The most frequent answer of the row's group, the first of equals."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    values: dict[str, Json] = {}
    for item in train:
        text = text_of(item.answer)
        values.setdefault(text, item.answer)
        counts[item.group][text] += 1
        counts[""][text] += item.group != ""
    best = {group: values[found.most_common(1)[0][0]] for group, found in counts.items() if found}
    return lambda item: best.get(item.group, best.get(""))


def fit_slots(train: Sequence[Item]) -> Callable[[Item], Json]:
    """JSON answers: at each path of the group's answers the most frequent value, where most answers have the path."""
    frequent = _slots(train)
    return lambda item: _assembled(frequent.get(item.group, {}))


def fit_dictionary(train: Sequence[Item]) -> Callable[[Item], Json]:
    """JSON answers: at each path the longest training value that stands in the text, else the most frequent one."""
    frequent = _slots(train)
    known: dict[tuple[str, Path], dict[str, str]] = defaultdict(dict)
    for item in train:
        for path, value in leaves(item.answer):
            plain = json.loads(value)
            if isinstance(plain, str) and plain:
                known[item.group, path][plain.casefold()] = value

    def apply(item: Item) -> Json:
        text = item.input.casefold()
        slots = dict(frequent.get(item.group, {}))
        for path in slots:
            found = [plain for plain in known.get((item.group, path), ()) if plain in text]
            if found:
                slots[path] = known[item.group, path][max(found, key=len)]
        return _assembled(slots)

    return apply


def fit_telling_word(train: Sequence[Item]) -> Callable[[Item], Json]:
    """Labels: the label of the word that points most surely to one label, by the training rows."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for item in train:
        for word in set(WORD.findall(item.input.lower())):
            seen[word][text_of(item.answer)] += 1
    telling = {}
    for word, labels in seen.items():
        label, times = labels.most_common(1)[0]
        total = labels.total()
        if total >= LEAST_SEEN:
            telling[word] = (times / (total + 2), label)  # two rows of doubt: a rare word is believed less
    otherwise = fit_majority(train)

    def apply(item: Item) -> Json:
        found = [telling[word] for word in WORD.findall(item.input.lower()) if word in telling]
        return max(found)[1] if found else otherwise(item)

    return apply


def fit_copy(train: Sequence[Item]) -> Callable[[Item], Json]:
    """The text itself, unchanged."""
    return lambda item: item.input.strip()


MAJORITY = Rule("majority", "The most frequent answer, whatever the text.", fit_majority)
SLOTS = Rule("most_frequent_by_slot", "At each path of the JSON the most frequent value, whatever the text.", fit_slots)
DICTIONARY = Rule(
    "dictionary",
    "At each path the longest training value that stands in the text, else the most frequent.",
    fit_dictionary,
)
TELLING_WORD = Rule("telling_word", "The label of the one word that points most surely to a label.", fit_telling_word)
COPY = Rule("copy", "The text itself, unchanged.", fit_copy)
RULES: dict[AnswerKind, tuple[Rule, ...]] = {
    "label": (MAJORITY, TELLING_WORD),
    "json": (MAJORITY, SLOTS, DICTIONARY),
    "text": (MAJORITY, COPY),
}


def _slots(train: Sequence[Item]) -> dict[str, dict[Path, str]]:
    """group -> path -> the most frequent value, for the paths that more than half of the group's answers have."""
    counts: dict[str, dict[Path, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    sizes = Counter(item.group for item in train)
    for item in train:
        for path, value in leaves(item.answer):
            counts[item.group][path][value] += 1
    return {
        group: {path: found.most_common(1)[0][0] for path, found in paths.items() if found.total() * 2 > sizes[group]}
        for group, paths in counts.items()
    }


def _assembled(slots: dict[Path, str]) -> Json:
    """A JSON value from paths and values. Where answers disagree whether a path goes on, the first that was seen counts."""
    tree: dict[str | int, Json] = {}
    for path, value in slots.items():
        if not path:
            return json.loads(value)
        node = tree
        for step in path[:-1]:
            below = node.setdefault(step, {})
            if not isinstance(below, dict):
                break
            node = below
        else:
            node.setdefault(path[-1], _Leaf(value))
    return _closed(tree)


@dataclass(frozen=True)
class _Leaf:
    text: str


def _closed(node: Json) -> Json:
    if isinstance(node, _Leaf):
        return json.loads(node.text)
    if node and all(isinstance(key, int) for key in node):
        return [_closed(part) for part in node.values()]
    return {str(key): _closed(part) for key, part in node.items()}
