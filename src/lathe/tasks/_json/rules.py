"""Two rules that need no model. A tuned model that does not beat them has learnt nothing worth shipping.

`key_value_rule` reads a document as a listing, with the schema in hand:

    Ticket No: 4711                {"ticket_no": 4711,
    Opened on: 3 May 2024    ->     "opened": "2024-05-03",
    Parts:                          "parts": [{"name": "valve", "price": 4.5}]}
      - Name: valve
        Price: $4.50

`majority` gives the most frequent training value of every slot without looking at the document.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lathe.records import Example, Json, TaskSetup, canonical

from . import shape
from .casting import cast, plain

NEAR = 0.82
"""Least similarity (difflib's ratio) of a label and a key that have not the same words."""


@dataclass(frozen=True)
class Line:
    """One line of a listing. `label` and `value` are empty where it has no separator; `bullet` says that it opens a list item."""

    indent: int
    bullet: bool
    label: str
    value: str
    text: str


_BULLET = re.compile(r"(?:[-*•]|\d{1,2}[.)])\s+")
_LABELLED = re.compile(r"\|?\s*([^:=|]{1,40}?)\s*(?::(?=\s|$)|=|\|)\s*(.*?)\s*\|?\s*$")


def lines(document: str) -> list[Line]:
    """The lines of a document that say something, with indentation in characters (a tab counts as four)."""
    found = []
    for raw in document.expandtabs(4).splitlines():
        text = raw.strip()
        if not text:
            continue
        indent = len(raw) - len(raw.lstrip())
        bullet = _BULLET.match(text)
        if bullet:
            indent, text = indent + bullet.end(), text[bullet.end() :]
        labelled = _LABELLED.match(text)
        label, value = labelled.groups() if labelled else ("", "")
        found.append(Line(indent, bullet is not None, label, value, text))
    return found


@dataclass
class Learnt:
    """What the training rows taught for one schema: key by label, and value by key and wording."""

    schema: Json = None
    keys: dict[str, str] = field(default_factory=dict)
    words: dict[tuple[str, str], Json] = field(default_factory=dict)


class Listing:
    """Reads documents as listings under one schema."""

    def __init__(self, learnt: Learnt) -> None:
        self.document = learnt.schema
        self.learnt = learnt

    def value(self, found: Sequence[Line]) -> Json:
        """The whole document as the schema's value."""
        if self._is_list(self.document):
            return self._items(found, "", shape.item(self.document, self.document))
        return self._object(found, self.document)

    def _is_list(self, schema: Json) -> bool:
        return any(
            option.get("type") == "array" or "items" in option for option in shape.options(self.document, schema)
        )

    def _is_object(self, schema: Json) -> bool:
        return any(
            option.get("type") == "object" or "properties" in option for option in shape.options(self.document, schema)
        )

    def _key(self, label: str, keys: Sequence[str]) -> str | None:
        words = plain(label)
        by_words = {plain(key): key for key in keys}
        if words in by_words:
            return by_words[words]
        if self.learnt.keys.get(words) in keys:
            return self.learnt.keys[words]
        near = difflib.get_close_matches(words, by_words, n=1, cutoff=NEAR)
        return by_words[near[0]] if near else None

    def _object(self, found: Sequence[Line], schema: Json) -> dict[str, Json]:
        known = shape.members(self.document, schema)
        keys = list(known)
        value: dict[str, Json] = {}
        place = 0
        while place < len(found):
            line = found[place]
            place += 1
            key = self._key(line.label, keys) if line.label else None
            if key is None or key in value:
                continue
            end = place
            while end < len(found) and found[end].indent > line.indent:
                end += 1
            inner = found[place:end]
            part = self._member(key, known[key], line, inner)
            if part is not None:
                value[key] = part
                place = end
        return {key: value[key] for key in keys if key in value}

    def _member(self, key: str, schema: Json, line: Line, inner: Sequence[Line]) -> Json:
        if self._is_object(schema):
            return self._object(inner, schema) if not line.value else None
        if self._is_list(schema):
            return self._items(inner, line.value, shape.item(self.document, schema))
        return self._scalar(key, schema, line.value)

    def _scalar(self, key: str, schema: Json, text: str) -> Json:
        if not text:
            return None
        known = self.learnt.words.get((key, plain(text)))
        return known if known is not None else cast(text, list(shape.options(self.document, schema)))

    def _items(self, found: Sequence[Line], inline: str, schema: Json) -> list[Json]:
        if not self._is_object(schema):
            texts = [part.strip() for part in re.split(r"[,;]", inline) if part.strip()] + [line.text for line in found]
            return [part for text in texts if (part := self._scalar("", schema, text)) is not None]
        return [self._object(part, schema) for part in self._split(found, list(shape.members(self.document, schema)))]

    def _split(self, found: Sequence[Line], keys: Sequence[str]) -> Iterator[Sequence[Line]]:
        """Cuts the lines of a list into its items: at bullets; without bullets, where a key comes that is not later in the schema."""
        if not found:
            return
        outer = min(line.indent for line in found)
        bulleted = any(line.bullet and line.indent == outer for line in found)
        start, last = 0, -1
        for place, line in enumerate(found):
            if line.indent != outer:
                continue
            key = self._key(line.label, keys) if line.label else None
            rank = keys.index(key) if key is not None else last
            if place > start and (line.bullet if bulleted else key is not None and rank <= last):
                yield found[start:place]
                start = place
            last = rank
        yield found[start:]


def fit_key_value(training: Sequence[Example], setup: TaskSetup) -> Callable[[Example], str]:
    """Learns from training rows what labels and wordings stand for; where a row's schema is not known, its shape as well."""
    by_schema: dict[str, list[Example]] = defaultdict(list)
    for example in training:
        by_schema[example.meta.get("schema", "")].append(example)
    names = {*by_schema, *setup.schemas}
    readers = {name: Listing(_learn(by_schema.get(name, []), _schema(name, by_schema, setup))) for name in names}
    empty = Listing(Learnt(schema={}))

    def answer(example: Example) -> str:
        reader = readers.get(example.meta.get("schema", ""), empty)
        return json.dumps(reader.value(lines(example.input)), ensure_ascii=False)

    return answer


def _schema(name: str, by_schema: Mapping[str, Sequence[Example]], setup: TaskSetup) -> Json:
    if name in setup.schemas:
        return setup.schemas[name]
    if len(setup.schemas) == 1:
        return next(iter(setup.schemas.values()))
    return inferred([example.target for example in by_schema[name]])


def _learn(examples: Sequence[Example], schema: Json) -> Learnt:
    key_votes: dict[str, Counter[str]] = defaultdict(Counter)
    word_votes: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    learnt = Learnt(schema=schema)
    reader = Listing(learnt)
    for example in examples:
        leaves = list(_leaves(schema, schema, example.target))
        for line in lines(example.input):
            if not line.label or not line.value:
                continue
            for key, options, value in leaves:
                if cast(line.value, options) == value:
                    key_votes[plain(line.label)][key] += 1
    for label, votes in key_votes.items():
        (key, num_votes), *_ = votes.most_common(1)
        if num_votes >= 2:
            learnt.keys[label] = key
    for example in examples:
        leaves = list(_leaves(schema, schema, example.target))
        by_key = Counter(key for key, *_ in leaves)
        for line in lines(example.input):
            key_of_line = reader._key(line.label, list(by_key)) if line.label else None
            for key, options, value in leaves:
                if key == key_of_line and by_key[key] == 1 and any("enum" in option for option in options):
                    word_votes[key, plain(line.value)][canonical(value)] += 1
    for place, votes in word_votes.items():
        (value_text, num_votes), *_ = votes.most_common(1)
        if num_votes >= 2:
            learnt.words[place] = json.loads(value_text)
    return learnt


def _leaves(document: Json, schema: Json, value: Json) -> Iterator[tuple[str, list[dict[str, Json]], Json]]:
    """Scalar members of a value, at any depth: their key, the schemas that hold for them, and what they are."""
    if isinstance(value, dict):
        known = shape.members(document, schema)
        for key, part in value.items():
            if isinstance(part, dict | list):
                yield from _leaves(document, known.get(key), part)
            else:
                yield key, list(shape.options(document, known.get(key))), part
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(document, shape.item(document, schema), part)


def inferred(values: Sequence[Json]) -> Json:
    """A JSON Schema that says what some values have in common: types, keys in the order of first sight."""
    types = Counter(_type(value) for value in values)
    if not types:
        return {}
    common = types.most_common(1)[0][0]
    if common == "object":
        members: dict[str, list[Json]] = defaultdict(list)
        for value in values:
            for key, part in value.items() if isinstance(value, dict) else ():
                members[key].append(part)
        return {"type": "object", "properties": {key: inferred(parts) for key, parts in members.items()}}
    if common == "array":
        return {
            "type": "array",
            "items": inferred([part for value in values if isinstance(value, list) for part in value]),
        }
    if common == "integer" and "number" in types:
        common = "number"
    return {"type": common}


def _type(value: Json) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}
    return names.get(type(value), "null")


def fit_majority(training: Sequence[Example], _: TaskSetup) -> Callable[[Example], str]:
    """The most frequent value of every slot, by schema; a key counts where at least half of the rows have it."""
    targets: dict[str, list[Json]] = defaultdict(list)
    for example in training:
        targets[example.meta.get("schema", "")].append(example.target)
    answers = {name: json.dumps(_majority(values), ensure_ascii=False) for name, values in targets.items()}
    return lambda example: answers.get(example.meta.get("schema", ""), "{}")


def _majority(values: Sequence[Json]) -> Json:
    objects = [value for value in values if isinstance(value, dict)]
    if 2 * len(objects) > len(values):
        members: dict[str, list[Json]] = defaultdict(list)
        for value in objects:
            for key, part in value.items():
                members[key].append(part)
        return {key: _majority(parts) for key, parts in members.items() if 2 * len(parts) >= len(values)}
    return json.loads(Counter(canonical(value) for value in values).most_common(1)[0][0])
