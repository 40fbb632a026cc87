"""Where an answer parts from the right one: field by field where both are JSON, else word by word. Pure functions.

>>> [field.path for field in compare({"total": 12, "city": "Bonn"}, "", '{"total": 12, "city": "Born"}').fields]
['city']
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

MOST_FIELDS = 40
LONGEST_VALUE = 1200
"""Characters of one value that are compared and shown; what is left out is counted."""
LONGEST_BY_CHARACTER = 80
"""Longer values are compared by word: single letters that happen to agree would hide where the answer went wrong."""


@dataclass(frozen=True)
class Piece:
    """A stretch of text, and whether the other side has it too."""

    text: str
    same: bool


@dataclass(frozen=True)
class FieldDiff:
    """One field that is not right. `expected` is empty for an extra field, `answered` for a missing one."""

    path: str
    state: Literal["differs", "missing", "extra"]
    expected: tuple[Piece, ...]
    answered: tuple[Piece, ...]


@dataclass(frozen=True)
class AnswerDiff:
    """One answer against the right one. num_same: fields that are right; left_out: wrong fields beyond MOST_FIELDS."""

    fields: tuple[FieldDiff, ...]
    num_same: int = 0
    left_out: int = 0
    by_field: bool = True


def compare(target: Any, completion: str, answer: str) -> AnswerDiff:
    """The difference of an answer's first JSON value from the target; of the texts where one of them is no JSON object or list.

    target: the right answer as a value, or None where there is only `completion`, the right answer as text.
    """
    try:
        found, value = first_json(answer)
        if found and isinstance(target, (dict, list)) and isinstance(value, type(target)):
            gold_leaves, found_leaves = dict(flatten(target)), dict(flatten(value))
            if gold_leaves.keys() & found_leaves.keys():  # an answer that was cut off may hold an inner object only
                return _by_field(gold_leaves, found_leaves)
    except RecursionError:  # thousands of nested brackets; they are shown as text
        pass
    expected = completion or json.dumps(target, ensure_ascii=False)
    expected_pieces, answered_pieces = pieces(expected, answer)
    state: Literal["differs", "missing"] = "differs" if answer.strip() else "missing"
    return AnswerDiff((FieldDiff("answer", state, expected_pieces, answered_pieces),), by_field=False)


def first_json(text: str) -> tuple[bool, Any]:
    """The first JSON object or list in a text, and whether there is one."""
    decoder = json.JSONDecoder()
    for place in re.finditer(r"[{\[]", text):
        try:
            return True, decoder.raw_decode(text, place.start())[0]
        except ValueError:
            continue
    return False, None


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves with their paths: `items[0].price`. An empty object or list is a leaf."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flatten(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from flatten(inner, f"{path}[{number}]")
    else:
        yield path, value


def _by_field(gold: dict[str, Any], found: dict[str, Any]) -> AnswerDiff:
    wrong = []
    num_same = 0
    for path, value in gold.items():
        if path not in found:
            wrong.append(FieldDiff(path, "missing", (Piece(shown(value), False),), ()))
        elif equal(value, found[path]):
            num_same += 1
        else:
            wrong.append(FieldDiff(path, "differs", *pieces(shown(value), shown(found[path]))))
    wrong += [FieldDiff(p, "extra", (), (Piece(shown(v), False),)) for p, v in found.items() if p not in gold]
    return AnswerDiff(tuple(wrong[:MOST_FIELDS]), num_same, max(0, len(wrong) - MOST_FIELDS))


def equal(first: Any, second: Any) -> bool:
    """JSON equality: 1 is 1.0, `true` is not 1."""
    return isinstance(first, bool) == isinstance(second, bool) and first == second


def shown(value: Any) -> str:
    """A leaf as JSON, so that "1" and 1 look different; cut where it is very long."""
    return cut(json.dumps(value, ensure_ascii=False))


def cut(text: str, longest: int = LONGEST_VALUE) -> str:
    """The beginning of a long text, with the number of characters left out."""
    return text if len(text) <= longest else f"{text[:longest]} … and {len(text) - longest:,} more characters"


def pieces(expected: str, answered: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both texts cut into stretches that the other side has too and stretches that it has not."""
    expected, answered = cut(expected), cut(answered)
    short = max(len(expected), len(answered)) <= LONGEST_BY_CHARACTER
    first, second = (list(t) if short else re.findall(r"\w+|\s+|[^\w\s]", t) for t in (expected, answered))
    left: list[Piece] = []
    right: list[Piece] = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        # Between words that differ, a shared blank or comma is no agreement.
        same = kind == "equal" and (short or any(part.isalnum() for part in first[i:j]))
        _append(left, "".join(first[i:j]), same)
        _append(right, "".join(second[k:m]), same)
    return tuple(left), tuple(right)


def _append(to: list[Piece], text: str, same: bool) -> None:
    """Adds a stretch, joined to the last one where both are of a kind."""
    if to and to[-1].same == same:
        text = to.pop().text + text
    if text:
        to.append(Piece(text, same))
