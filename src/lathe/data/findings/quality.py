"""What is wrong with an answer by itself, without knowing the right one. Pure functions on texts and values.

    cut("Here you are:\\n```python\\ndef f(x):")      ->  "a code fence is opened and never closed"
    mock("Mock response")                           ->  "stands in for an answer"

Each detector returns the reason as words, empty where it finds nothing. They are made to be right when they speak: on 298 logged
agent interactions `cut` finds the 64 that were stopped inside a code block, `mock` the one mock row.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections import Counter
from collections.abc import Sequence

from lathe.records import Json

FENCE = "```"
LONGEST_STUB = 200
"""Characters: a longer text that begins like a refusal, a mock or a question goes on to answer."""
MOCK = re.compile(
    r"""\s*(?:
        (?:this\ is\ an?\ )?(?:mock(?:ed)?|dummy|fake|canned|stub(?:bed)?|sample|test)\s+
          (?:response|answer|output|reply|completion|text)\b
      | lorem\ ipsum
      | (?:todo|tbd|fixme|n/?a|none|null|undefined|nan|\.\.\.|…|-+)\s*[.:]?\s*$
      | \[?(?:insert|your|enter)\s+(?:the\s+)?(?:response|answer|text|output)\b.*
    )""",
    re.IGNORECASE | re.VERBOSE,
)
REFUSAL = re.compile(
    r"""\s*(?:
        (?:i['’]?m|i\ am)\s+(?:very\s+|really\s+|so\s+)?sorry,?\s+(?:but\s+)?(?:i|as\ an)\b.{0,60}
          (?:can['’]?t|cannot|can\ not|unable|won['’]?t|not\ able)
      | (?:sorry|unfortunately),?\s+(?:but\s+)?(?:i\s+(?:can['’]?t|cannot|am\ unable|won['’]?t)|as\ an\ ai)
      | i\s+(?:can['’]?t|cannot|am\ not\ able\ to|am\ unable\ to|won['’]?t)\s+(?:assist|help|provide|comply|fulfil|do\ that|answer)
      | as\ an\ ai(?:\ language\ model|\ assistant)?\b
      | i\ (?:must|have\ to)\ decline
    )""",
    re.IGNORECASE | re.VERBOSE,
)
CLARIFYING = re.compile(
    r"""\b(?:
        (?:could|can|would)\ you\ (?:please\ )?(?:provide|share|clarify|specify|tell|give|let\ me\ know)
      | please\ (?:provide|share|clarify|specify)
      | (?:i|we)(?:['’]ll)?\ (?:would\ |will\ )?need\ (?:some\ )?more\ (?:information|details|context)
      | (?:let\ me|to\ get\ started|help\ me)\b.{0,60}\b(?:some\ questions|more\ information|better\ understand)
      | once\ (?:i\ have|you\ (?:provide|share))\ (?:this|that|more|these)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
PLACEHOLDER = re.compile(
    r"\{\{\s*[\w. ]+\s*\}\}|\[(?:insert|your|enter|name of|placeholder)\b[^\]]{0,40}\]|<(?:your|insert|enter)[ _-][^>]{1,40}>"
    r"|\blorem ipsum\b|(?-i:\bPLACEHOLDER\b)",
    re.IGNORECASE,
)
PLACEHOLDER_VALUES = {
    "string", "str", "text", "value", "todo", "tbd", "n/a", "foo", "bar", "placeholder", "example", "null", "none",
    "undefined", "xxx", "your_value", "...", "?", "unknown",
}  # fmt: skip
OPENING = {"(": ")", "[": "]", "{": "}"}
NUMBER = re.compile(r"-?\d[\d.,’' ]*\d|-?\d")
Leaves = Sequence[tuple[str, str | int | float]]
"""(path, value) of a JSON answer, as `leaf_values` gives them."""
SENTENCE = re.compile(r"[a-z]\. [A-Z]")
"""A sentence that ends, and another that begins."""
ENDS = tuple(".!?:;)]}>\"'`*_|”’…。！？")


# ------------------------------------------------------------------------------------------ one answer


def cut(text: str) -> str:
    """Whether an answer stops in the middle of something that must be closed: a code fence, or a JSON value."""
    if text.count(FENCE) % 2:
        return "a code fence is opened and never closed"
    stripped = text.strip()
    if stripped[:1] in ("{", "[") and not _is_json(stripped):
        left = unclosed(stripped)
        if left:
            return f"JSON that ends with {left} unclosed"
    return ""


def unclosed(text: str) -> str:
    """The brackets of a JSON text that are open at its end, and `\"` where a text is; empty where all are closed."""
    stack: list[str] = []
    in_text = escaped = False
    for sign in text:
        if in_text:
            in_text = escaped or sign != '"'
            escaped = sign == "\\" and not escaped
        elif sign == '"':
            in_text = True
        elif sign in OPENING:
            stack.append(sign)
        elif stack and sign == OPENING[stack[-1]]:
            stack.pop()
    return "".join(stack) + ('"' if in_text else "")


def unfinished(text: str) -> bool:
    """Whether written prose stops in the middle of a sentence: several sentences, the last without an end."""
    stripped = text.rstrip()
    return (
        len(stripped) > LONGEST_STUB
        and not stripped.endswith(ENDS)
        and stripped[-1:].isalnum()
        and SENTENCE.search(stripped) is not None
    )


def mock(text: str) -> str:
    """Whether an answer only stands in for one."""
    return "stands in for an answer" if len(text) <= LONGEST_STUB and MOCK.match(text) else ""


def refusal(text: str) -> str:
    """Whether an answer declines to answer."""
    return "declines to answer" if REFUSAL.match(text[:LONGEST_STUB]) else ""


def clarifying(text: str) -> str:
    """Whether an answer asks back instead of answering: it asks for information, and has no code block that would be an answer."""
    return "asks back instead of answering" if FENCE not in text and "?" in text and CLARIFYING.search(text) else ""


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


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


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
