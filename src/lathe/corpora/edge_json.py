"""Generated data for JSON extraction: a record of one of 25 schemas, written down in one of four ways.

    Subject: shift swap
    As promised, here it is. Runa Winersen jumps in. Uma Fengate cannot come. The boss has not agreed yet. Shift:
    morning. The day is May 18, 2021.
    Thanks, Alma

    {"gives": "Uma Fengate", "takes": "Runa Winersen", "shift_day": "2021-05-18", "shift": "early", "agreed": false}

(Input and target of row 370 of seed 0; the schema says `morning = early`. 5,000 rows take half a second.)

Ten simple schemas (flat), ten medium (one level of nesting or one list), five complex (lists inside lists); listing,
e-mail, table or log, chat. Names drift, order drifts, optional values are missing, lines are added that say nothing.
Every value of a target stands in the text or follows from it by the rule in its schema's description, and the sums and
the order of dates hold in every row. Six rows in ten are simple, some three medium, one complex.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import TYPE_CHECKING

from lathe.contracts import Corpus
from lathe.corpora._edge_json.medium import MEDIUM
from lathe.corpora._edge_json.nested import NESTED
from lathe.corpora._edge_json.parts import Plan
from lathe.corpora._edge_json.simple import SIMPLE
from lathe.corpora._edge_json.writing import STYLES, Mention, write

if TYPE_CHECKING:
    from lathe.records import Json, Row

SHARES = ((0.6, SIMPLE), (0.88, MEDIUM), (1.0, NESTED))
"""Complexity of a row: cumulated probability and the plans to choose from."""

PLANS: Mapping[str, Plan] = {plan.name: plan for _, plans in SHARES for plan in plans}


class EdgeJson(Corpus):
    """See the module's docstring."""

    version = "1"
    licence = "Apache-2.0"
    task = "json_extraction"

    def rows(self, seed: int, n: int) -> Iterator[Row]:
        """Rows 0 to n - 1 of a seed; row i is the same whatever n is."""
        return (row(seed, number) for number in range(n))

    def schemas(self) -> Mapping[str, Json]:
        """The 25 JSON Schemas (draft 2020-12) by name."""
        return {name: plan.schema() for name, plan in PLANS.items()}


def row(seed: int, number: int) -> Row:
    """One row."""
    return drawn(seed, number)[0]


def drawn(seed: int, number: int) -> tuple[Row, list[Mention]]:
    """One row and, for each value of its target, the words in the text that say it."""
    rng = Random(f"edge_json/{EdgeJson.version}/{seed}/{number}")
    share = rng.random()
    plan = rng.choice(next(plans for upper, plans in SHARES if share < upper))
    style = rng.choice(STYLES)
    record = plan.draw(rng)
    text, mentions = write(rng, plan, record, style)
    return {
        "id": f"edge_json-{seed}-{number}",
        "input": text,
        "target": record,
        "schema_id": plan.name,
        "complexity": plan.complexity,
        "style": style,
    }, mentions


CORPUS = EdgeJson()
