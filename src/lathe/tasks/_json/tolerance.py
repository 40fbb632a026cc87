"""Values that are the same within what a schema tolerates.

    {"type": "number", "x-tolerance": 0.01}      12.5 and 12.505 are the same
    {"type": "string", "x-tolerance": 0}         "2026-11-20" and "2026-11-20T00:00Z" are the same: dates and times, in seconds

A schema tolerates nothing where it does not say so. `$ref` to its own `$defs`, `properties`, `items` and `anyOf` are followed.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterator

from lathe.records import Json
from lathe.tasks._json.values import equal

KEYWORD = "x-tolerance"
MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?\s?(?:Z|([+-])(\d\d):?(\d\d))?)?", re.ASCII
)


def stated(schema: Json) -> bool:
    """Whether a schema tolerates anything anywhere."""
    if isinstance(schema, dict):
        return KEYWORD in schema or any(stated(part) for part in schema.values())
    return isinstance(schema, list) and any(stated(part) for part in schema)


def same(root: Json, gold: Json, said: Json) -> bool:
    """Whether two values are equal but for what the schema tolerates. The values are not too deep."""
    return _same(root, [root], gold, said)


def _same(root: Json, schemas: list[Json], gold: Json, said: Json) -> bool:
    """schemas: all that speak of this place."""
    seen: set[int] = set()
    known = [one for schema in schemas for one in _meant(root, schema, seen)]
    if isinstance(gold, dict) and isinstance(said, dict):
        return gold.keys() == said.keys() and all(
            _same(root, _below(known, "properties", key), part, said[key]) for key, part in gold.items()
        )
    if isinstance(gold, list) and isinstance(said, list):
        items = [one["items"] for one in known if "items" in one]
        return len(gold) == len(said) and all(
            _same(root, items, one, other) for one, other in zip(gold, said, strict=True)
        )
    tolerances = [one[KEYWORD] for one in known if _number(one.get(KEYWORD))]
    return equal(gold, said) or (bool(tolerances) and _near(gold, said, max(tolerances)))


def _meant(root: Json, schema: Json, seen: set[int]) -> Iterator[dict[str, Json]]:
    """A schema and those that stand for it: what it refers to, and its alternatives; each of them once."""
    if not isinstance(schema, dict) or id(schema) in seen:
        return
    seen.add(id(schema))
    yield schema
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    definitions = root.get("$defs") if isinstance(root, dict) else None
    if isinstance(definitions, dict) and name in definitions:
        yield from _meant(root, definitions[name], seen)
    for part in schema.get("anyOf") or ():
        yield from _meant(root, part, seen)


def _below(schemas: list[dict[str, Json]], keyword: str, key: str) -> list[Json]:
    found = [one.get(keyword) for one in schemas]
    return [part[key] for part in found if isinstance(part, dict) and key in part]


def _number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _near(gold: Json, said: Json, tolerance: float) -> bool:
    if isinstance(gold, str) and isinstance(said, str):
        gold, said = moment(gold), moment(said)
    return _number(gold) and _number(said) and abs(gold - said) <= tolerance


def moment(text: str) -> int | None:
    """Seconds since 1970 of a date (at midnight) or a time, UTC where it has no offset; None where a text is none."""
    found = MOMENT.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if not (year and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        return None
    sign, ahead, beyond = found.groups()[6:]
    offset = (1 if sign == "+" else -1) * (3600 * int(ahead) + 60 * int(beyond)) if sign else 0
    return timegm((year, month, day, hour, minute, second)) - offset
