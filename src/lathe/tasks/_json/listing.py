"""A document read as a listing of `Label: value` lines under a JSON Schema.

    Ticket No: 4711                {"ticket_no": 4711,
    Opened on: 3 May 2024    ->     "opened_on": "2024-05-03",
    Parts:                          "parts": [{"part_name": "valve", "price": 4.5}]}
      - Part Name: valve
        Price: $4.50

A label belongs to the key with the same words, else to the key that training rows taught, else to the most similar one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lathe.records import Json
from lathe.tasks._json import shape
from lathe.tasks._json.casting import caster, plain

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
    opens: bool = False
    """Whether an empty line, or nothing, stands before it."""


_BULLET = re.compile(r"(?:[-*•]|\d{1,2}[.)])\s+")
_SEPARATOR = re.compile(r":(?=\s|$)|=|\||\s[-–]\s")
LONGEST_LABEL = 40
"""Characters; what stands before a later separator is running text."""


def _labelled(text: str) -> tuple[str, str]:
    """Label and value of a line; both empty where it has no label."""
    separator = _SEPARATOR.search(text, 0, LONGEST_LABEL + 3)
    label = text[: separator.start()].strip() if separator else ""
    return (label, text[separator.end() :].strip()) if separator and label else ("", "")


def lines(document: str) -> list[Line]:
    """The lines of a document that say something, with indentation in characters (a tab counts as four)."""
    found: list[Line] = []
    opens = True
    for raw in document.expandtabs(4).split("\n"):
        text = raw.strip()
        if not text:
            opens = True
            continue
        indent = len(raw) - len(raw.lstrip())
        bullet = _BULLET.match(text)
        if bullet:
            indent, text = indent + bullet.end(), text[bullet.end() :]
        label, value = _labelled(text.strip("| "))
        found.append(Line(indent, bullet is not None, label, value, text, opens))
        opens = False
    return found


@dataclass
class Learnt:
    """What the training rows taught for one schema: keys by label, the likeliest first; value by key and wording."""

    schema: Json = None
    keys: dict[str, list[str]] = field(default_factory=dict)
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

    def key(self, label: str, keys: Sequence[str]) -> str | None:
        words = plain(label)
        by_words = {plain(key): key for key in keys}
        if words in by_words:
            return by_words[words]
        for key in self.learnt.keys.get(words, ()):
            if key in keys:
                return key
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
            key = self.key(line.label, keys) if line.label else None
            if key is None or key in value:
                continue
            end = end_of_block(found, place, line.indent)
            part = self._member(key, known[key], line, found[place:end])
            if isinstance(part, str) and end == place:
                end = _end_of_paragraph(found, place, line.indent)
                part = "\n".join([part, *(more.text for more in found[place:end])])
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
        return known if known is not None else caster(list(shape.options(self.document, schema)))(text)

    def _items(self, found: Sequence[Line], inline: str, schema: Json) -> list[Json]:
        if not self._is_object(schema):
            texts = [part.strip() for part in re.split(r"[,;]", inline) if part.strip()] + [line.text for line in found]
            return [part for text in texts if (part := self._scalar("", schema, text)) is not None]
        return [self._object(part, schema) for part in self._split(found, list(shape.members(self.document, schema)))]

    def _split(self, found: Sequence[Line], keys: Sequence[str]) -> Iterator[Sequence[Line]]:
        """Cuts a list's lines into items: at bullets; without bullets, where a key comes that is not later in the schema."""
        if not found:
            return
        outer = min(line.indent for line in found)
        bulleted = any(line.bullet and line.indent == outer for line in found)
        start, last = 0, -1
        for place, line in enumerate(found):
            if line.indent != outer:
                continue
            key = self.key(line.label, keys) if line.label else None
            rank = keys.index(key) if key is not None else last
            if place > start and (line.bullet if bulleted else key is not None and rank <= last):
                yield found[start:place]
                start = place
            last = rank
        yield found[start:]


def end_of_block(found: Sequence[Line], place: int, indent: int) -> int:
    """Where the lines that are indented below a line end."""
    while place < len(found) and found[place].indent > indent:
        place += 1
    return place


def _end_of_paragraph(found: Sequence[Line], place: int, indent: int) -> int:
    """Where the lines without label that carry on a text end; an empty line ends them too."""
    while place < len(found) and found[place].indent == indent and not (found[place].label or found[place].opens):
        place += 1
    return place
