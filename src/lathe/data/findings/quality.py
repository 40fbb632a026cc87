"""What is wrong with an answer's values by themselves, without knowing the right ones. Pure functions on texts and values.

placeholder("Dear [insert name]")               ->  "holds '[insert name]'"
not_found([("total", 17)], "It came to 18.")    ->  {"total"}
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Sequence

from lathe.records import Json

PLACEHOLDER = re.compile(
    r"\{\{\s*[\w. ]+\s*\}\}|\[(?:insert|your|enter|name of|placeholder)\b[^\]]{0,40}\]|<(?:your|insert|enter)[ _-][^>]{1,40}>"
    r"|\blorem ipsum\b|(?-i:\bPLACEHOLDER\b)",
    re.IGNORECASE,
)
PLACEHOLDER_VALUES = {
    "string", "str", "text", "value", "todo", "tbd", "n/a", "foo", "bar", "placeholder", "example", "null", "none",
    "undefined", "xxx", "your_value", "...", "?", "unknown",
}  # fmt: skip
NUMBER = re.compile(r"-?\d[\d.,’' ]*\d|-?\d")
Leaves = Sequence[tuple[str, str | int | float]]
"""(path, value) of a JSON answer, as `leaf_values` gives them."""


def placeholder(text: str, leaves: Leaves = (), asked: str = "") -> str:
    """The first text in an answer that someone forgot to fill in; empty where there is none. What the input says too is meant."""
    found = PLACEHOLDER.search(text)
    if found and found.group() not in asked:
        return f"holds {found.group()[:40]!r}"
    for path, value in leaves:
        if (
            isinstance(value, str)
            and value.strip().lower() in PLACEHOLDER_VALUES
            and value.lower() not in asked.lower()
        ):
            return f"{path or 'the value'} is {value!r}"
    return ""


# ------------------------------------------------------------------------------------------ values and inputs


def leaf_values(value: Json, path: str = "") -> list[tuple[str, str | int | float]]:
    """(path, value) of every text, number and truth value; items of lists share the path `items[]`."""
    if isinstance(value, dict):
        return [leaf for key, part in value.items() for leaf in leaf_values(part, f"{path}.{key}" if path else key)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in leaf_values(part, f"{path}[]")]
    return [] if value is None else [(path, value)]


class Text:
    """An input, made ready to be searched for values."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = " ".join(text.casefold().split())
        self._numbers: set[float] | None = None

    def holds(self, value: str | int | float) -> bool:
        """Whether a value can be read in the text: texts by their words, numbers by value however they are grouped."""
        if isinstance(value, bool) or value == "":
            return True  # no text spells out that something is so
        if isinstance(value, str):
            return value in self.text or " ".join(value.casefold().split()) in self.words
        return str(value) in self.text or abs(round(float(value), 6)) in self.numbers

    @property
    def numbers(self) -> set[float]:
        """Every number of the text without its sign, in every way that it can be read."""
        if self._numbers is None:
            self._numbers = {abs(number) for found in NUMBER.findall(self.text) for number in numbers(found)}
        return self._numbers


def numbers(text: str) -> set[float]:
    """What a written number can mean: 1,234.5 and 1.234,5 are both read."""
    plain = text.replace(" ", "").replace("’", "").replace("'", "")
    readings = {plain.replace(",", ""), plain.replace(".", "").replace(",", "."), plain}
    found = set()
    for reading in readings:
        try:
            number = float(reading)
        except ValueError:
            continue
        if math.isfinite(number):
            found.add(round(number, 6))
    return found


def not_found(leaves: Leaves, text: str) -> set[str]:
    """Paths of the values that cannot be read in a text."""
    searched = Text(text)
    return {path for path, value in leaves if not searched.holds(value)}


# ------------------------------------------------------------------------------------------ labels


def label_variants(labels: Counter[str]) -> list[tuple[str, str]]:
    """(rare label, frequent label) pairs that are probably one: equal but for case and separators, or one slip apart."""
    plain: dict[str, list[str]] = {}
    for label in labels:
        plain.setdefault(re.sub(r"[\W_]+", "", label.casefold()), []).append(label)
    pairs = []
    for same in plain.values():
        best = max(same, key=lambda label: labels[label])
        pairs += [(label, best) for label in same if label != best]
    frequent = [label for label, count in labels.items() if count >= 10]
    told = {rare for rare, _ in pairs}
    for label, count in labels.items():
        if count <= 2 and len(label) >= 4 and label not in told:
            near = difflib.get_close_matches(label, frequent, n=1, cutoff=0.9)
            pairs += [(label, near[0])] if near else []
    return pairs


def unknown_labels(labels: Counter[str], ontology: Sequence[str]) -> dict[str, int]:
    """Labels that are not declared, with their rows."""
    known = set(ontology)
    return {label: count for label, count in labels.items() if label not in known}
