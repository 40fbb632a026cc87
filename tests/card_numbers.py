"""Every number of a card, held against the entries of the records that its line links to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from lathe import plugins
from lathe.records import Card, LockedRecipe
from lathe.report.card import text
from lathe.report.cited import LINK

NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?")
UNITS = (1.0, 100.0, 1000.0, 1e-3, 1e-6, 1e-9)
"""Plain, percent, milliseconds; kB, MB, GB."""


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def gives(entry: Any, shown: str) -> bool:
    """Whether an entry holds a number, rounded as shown and in any unit, or a text with it; or whole numbers that add up to it."""
    found = list(leaves(entry))
    numbers = [one for one in found if isinstance(one, int | float) and not isinstance(one, bool)]
    whole = [one for one in numbers if isinstance(one, int)]
    plain = shown.replace(",", "")
    half = 0.5000001 * 10.0 ** -len(plain.partition(".")[2].partition("e")[0])
    return any(abs(abs(one) * unit - float(plain)) <= half for one in [*numbers, sum(whole)] for unit in UNITS) or any(
        isinstance(one, str) and shown in one for one in found
    )


def unresolved(card: Card, definitions: set[str]) -> list[str]:
    """Numbers of a card's body that no entry linked in their line gives. Names in code and headings are no numbers."""
    entries = json.loads(card.evidence)
    missing = []
    for line in card.text.split("\n---\n", 1)[1].split("\n"):
        if line.startswith("#") or line.partition(": ")[2] in definitions:
            continue
        linked = [entries[found["record"]][found["pointer"]] for found in LINK.finditer(line)]
        seen = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", LINK.sub("]", line))
        missing += [f"{shown} in: {line}" for shown in NUMBER.findall(seen) if not any(gives(e, shown) for e in linked)]
    return missing


def definitions(locked: LockedRecipe) -> set[str]:
    """What the task says of its metrics: words of the program, no results."""
    return {text(metric.definition) for metric in plugins.load("tasks", locked.recipe.task).metrics}
