"""Words of a document as JSON values, by the schemas that hold for them.

    caster([{"type": "number"}])("$1,240.50")                                 -> 1240.5
    caster([{"type": "string", "format": "date"}])("3 May 2024")              -> "2024-05-03"
    caster([{"type": "boolean"}])("Yes")                                      -> True
    caster([{"enum": ["dog"], "description": "Rule: puppy = dog"}])("puppy")  -> "dog"

Used by the rules without a model only, never by a scorer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from lathe.conformity.patterns import matches
from lathe.records import Json

_WORDS = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?|[-+]?\.\d+")
_YES, _NO = {"true", "yes", "y", "on"}, {"false", "no", "n", "off"}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATES = (
    re.compile(r"^(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})$"),
    re.compile(r"^(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})$"),
    re.compile(r"^(?:[a-z]+day,? )?(?P<day>\d{1,2})(?:st|nd|rd|th)? (?P<month>[a-z]{3,9}),? (?P<year>\d{4})$"),
    re.compile(r"^(?:[a-z]+day,? )?(?P<month>[a-z]{3,9}) (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})$"),
)
_CLOCK = re.compile(r"^(\d{1,2})(?:[:.](\d{2}))? ?([ap])\.?m\.?$")


def plain(text: str) -> str:
    """Words and digits in lower case with one underscore between them: how labels and keys are compared."""
    return "_".join(_WORDS.findall(text.lower()))


def caster(options: Sequence[dict[str, Json]]) -> Callable[[str], Json]:
    """What a text stands for under a schema: the text itself where it stands for nothing else, None where no such value exists."""
    words = {
        plain(word): word
        for option in options
        if isinstance(option.get("enum"), list)
        for word in reversed(option["enum"])
        if isinstance(word, str)
    }
    for option in options:
        if isinstance(option.get("enum"), list) and isinstance(option.get("description"), str):
            said = re.findall(r"([^,=]+) = ([^,=]+)", option["description"].partition("Rule:")[2])
            words |= {plain(other): meant for other, meant in said if meant in words.values()}
    types = [name for option in options for name in _types(option)]
    formats = {option["format"] for option in options if isinstance(option.get("format"), str)}
    patterns = [option["pattern"] for option in options if isinstance(option.get("pattern"), str)]
    only_other_types = bool(types) and "string" not in types

    def cast_text(text: str) -> Json:
        if words and (word := words.get(plain(text))) is not None:
            return word
        for name in types:
            if name == "boolean" and text.lower() in _YES | _NO:
                return text.lower() in _YES
            if name in ("integer", "number") and (number := _number(text, name)) is not None:
                return number
        if only_other_types:
            return None
        if "date" in formats:
            return _date(text)
        if patterns:
            return next((way for way in (text, _date(text), _time(text)) if matches(patterns[0], way)), text)
        return _time(text) if "time" in formats else text

    return cast_text


def _types(option: dict[str, Json]) -> list[str]:
    named = option.get("type")
    return [named] if isinstance(named, str) else [one for one in named or () if isinstance(one, str)]


def _number(text: str, name: str) -> int | float | None:
    found = _NUMBER.search(text)
    if not found or len(found.group()) > 300:
        return None
    digits = found.group().replace(",", "")
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        return None
    if name == "integer":
        return int(number) if number == int(number) else None
    return int(digits) if re.fullmatch(r"[-+]?\d+", digits) else number


def _date(text: str) -> str:
    for pattern in _DATES:
        if found := pattern.match(text.lower()):
            month = found["month"]
            number = int(month) if month.isdigit() else _MONTHS.index(month[:3]) + 1 if month[:3] in _MONTHS else 0
            if number:
                return f"{found['year']}-{number:02d}-{int(found['day']):02d}"
    return text


def _time(text: str) -> str:
    if found := _CLOCK.match(text.lower()):
        hour = int(found[1]) % 12 + (12 if found[3] == "p" else 0)
        return f"{hour:02d}:{found[2] or '00'}"
    return text
