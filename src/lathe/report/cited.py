"""Numbers of a card with the place they are from: a link on each, whose title names a record of the run and an entry in it.

    cited("0.70", "eval/tuned/report.json", "scores", 0)   ->  [0.70](CARD.json "eval/tuned/report.json /scores/0")
    evidence(card, load)                                   ->  what stands in CARD.json: the entries that the card names

CARD.json holds these entries and nothing else of the records, so that it can be published: records name paths and quote rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce
from typing import Any
from urllib.parse import quote, unquote

from lathe.records import Json
from lathe.runs import CARD_EVIDENCE

LINK = re.compile(rf'\]\({re.escape(CARD_EVIDENCE)} "(?P<record>[\w./-]+) (?P<pointer>/[^"\s]*)"\)')


def cited(shown: str, record: str, *path: str | int) -> str:
    """Shown text as a link to its entry. record: path in the run folder; path: keys and places down to the entry."""
    return f'[{shown}]({CARD_EVIDENCE} "{record} {pointer(*path)}")'


def source(record: str, *path: str | int) -> str:
    """A mark behind a sentence whose words and numbers are an entry's."""
    return cited("↗", record, *path)


def pointer(*path: str | int) -> str:
    """A JSON pointer in its form for addresses (RFC 6901, section 6): no key can end the link that it stands in."""
    return "".join(f"/{quote(str(part).replace('~', '~0').replace('/', '~1'), safe='')}" for part in path)


def citations(card: str) -> set[tuple[str, str]]:
    """(record, pointer) of every link of a card."""
    return {(found["record"], found["pointer"]) for found in LINK.finditer(card)}


def evidence(card: str, load: Callable[[str], Json]) -> dict[str, dict[str, Json]]:
    """Record -> pointer -> entry, for every entry that a card names. load: a record's JSON by its path in the run folder.

    Raises KeyError, IndexError or TypeError where an entry is not there.
    """
    found: dict[str, dict[str, Json]] = {}
    for record, place in sorted(citations(card)):
        found.setdefault(record, {})[place] = entry(load(record), place)
    return found


def entry(record: Json, place: str) -> Json:
    """What stands at a JSON pointer."""

    def step(value: Any, part: str) -> Any:
        return value[int(part)] if isinstance(value, list) else value[part]

    keys = (unquote(part).replace("~1", "/").replace("~0", "~") for part in place.split("/")[1:])
    return reduce(step, keys, record)
