"""Values that are the same within what a schema tolerates: near numbers and times, lists in another order (see place.py)."""

from __future__ import annotations

import re
from calendar import monthrange, timegm
from fractions import Fraction

from lathe.conformity.numbers import exact
from lathe.records import Json
from lathe.tasks._assignment import best_pairs
from lathe.tasks._json.place import Place, is_number
from lathe.tasks._json.values import equal

MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?\s?(?:Z|([+-])(\d\d):?(\d\d))?)?", re.ASCII
)


def same(gold: Json, said: Json, place: Place) -> bool:
    """Whether two values are equal but for what the schema tolerates. The values are not too deep."""
    if isinstance(gold, dict) and isinstance(said, dict):
        return gold.keys() == said.keys() and all(
            same(part, said[key], place.member(key)) for key, part in gold.items()
        )
    if isinstance(gold, list) and isinstance(said, list):
        return len(gold) == len(said) and _same_items(gold, said, place)
    return equal(gold, said) or (place.tolerance is not None and _near(gold, said, place.tolerance))


def _same_items(gold: list[Json], said: list[Json], place: Place) -> bool:
    """Of lists of one length. Being near is not transitive, so each pair is looked at where the order is free."""
    if not place.unordered:
        return all(same(one, other, place.items) for one, other in zip(gold, said, strict=True))
    return len(best_pairs([[same(one, other, place.items) for other in said] for one in gold])) == len(gold)


def _near(gold: Json, said: Json, tolerance: float) -> bool:
    """Whether two numbers, or two dates or times, are no farther apart; 20.0 and 19.99 are 0.01 apart, as they are written."""
    if isinstance(gold, str) and isinstance(said, str):
        one, other = moment(gold), moment(said)
    else:
        one, other = (exact(value) if is_number(value) else None for value in (gold, said))
    return one is not None and other is not None and abs(one - other) <= exact(tolerance)


def moment(text: str) -> Fraction | None:
    """Seconds since 1970 of a date (at midnight) or a time, UTC where it has no offset; None where a text is none."""
    found = MOMENT.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if not (year and 1 <= month <= 12 and hour < 24 and minute < 60 and second < 61):
        return None
    if not 1 <= day <= monthrange(year, month)[1]:
        return None
    part_of_second, sign, ahead, beyond = found.groups()[6:]
    offset = (1 if sign == "+" else -1) * (3600 * int(ahead) + 60 * int(beyond)) if sign else 0
    return timegm((year, month, day, hour, minute, second)) - offset + Fraction(part_of_second or 0)
