"""Generated data for intent classification: a message with one to three wishes, one of which is meant.

    Hello. I have decided not to put the piano lesson off; what I need is to know the cost of the hired van. Thanks.

    price_rental

49 intents: seven things to do (cancel, move, confirm, share, price, repeat, extend) with seven things (lesson, table, rental,
repair, delivery, room, membership), each said in four to six ways. One row in eight has one wish (`form: plain`), half have two
(`pair`), the others three (`triple`); no action and no thing stands twice in a row. The meant wish is told by the clause before it
and by nothing else: its place is drawn, and the other wishes are of the same kinds. 5,000 rows take a tenth of a second.

The shortcut that this closes: where every message holds one wish, its words alone name the intent, which is all that a linear
model over words needs. Here the words of two or three wishes stand side by side, and which action goes with which thing, and which
of them is meant, only the sentence tells. On the 628 test rows of recipes/edge-intent.yaml: linear 0.35, nearest neighbour 0.16,
majority 0.02.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import TYPE_CHECKING

from lathe.contracts import Corpus
from lathe.corpora._edge_intent.words import ACTIONS, CLOSERS, OPENERS, THINGS, UNWANTED, WANTED

if TYPE_CHECKING:
    from lathe.records import Json, Row

FORMS = ((0.125, "plain"), (0.625, "pair"), (1.0, "triple"))
"""Cumulated probability and the name of a number of wishes: one, two, three."""

LABELS = tuple(f"{action}_{thing}" for action in ACTIONS for thing in THINGS)


class EdgeIntent(Corpus):
    """See the module's docstring."""

    version = "1"
    licence = "Apache-2.0"
    task = "intent"

    def rows(self, seed: int, n: int) -> Iterator[Row]:
        """Rows 0 to n - 1 of a seed; row i is the same whatever n is."""
        return (row(seed, number) for number in range(n))

    def schemas(self) -> Mapping[str, Json]:
        """The set of labels."""
        return {"intents": {"enum": list(LABELS)}}


def row(seed: int, number: int) -> Row:
    """One row."""
    rng = Random(f"edge_intent/{EdgeIntent.version}/{seed}/{number}")
    share = rng.random()
    place, form = next((place, form) for place, (upper, form) in enumerate(FORMS) if share < upper)
    actions, things = rng.sample(list(ACTIONS), place + 1), rng.sample(list(THINGS), place + 1)
    clauses = [f"{rng.choice(WANTED)} {_wish(rng, actions[0], things[0])}"]
    others = rng.sample(UNWANTED, place)
    clauses += [
        f"{other} {_wish(rng, *pair)}" for other, pair in zip(others, zip(actions[1:], things[1:]), strict=True)
    ]
    rng.shuffle(clauses)
    text = rng.choice(OPENERS) + _joined(rng, clauses) + rng.choice(CLOSERS)
    return {"id": f"edge_intent-{seed}-{number}", "input": text, "target": f"{actions[0]}_{things[0]}", "form": form}


def _wish(rng: Random, action: str, thing: str) -> str:
    return rng.choice(ACTIONS[action]).format(rng.choice(THINGS[thing]))


def _joined(rng: Random, clauses: list[str]) -> str:
    """The clauses as one or more sentences."""
    text = clauses[0][0].upper() + clauses[0][1:]
    for clause in clauses[1:]:
        mark = rng.choice(("; ", ", and ", ". "))
        text += mark + (clause[0].upper() + clause[1:] if mark == ". " else clause)
    return f"{text}."


CORPUS = EdgeIntent()
