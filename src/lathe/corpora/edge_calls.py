"""Generated data for function calling: a message, some functions, and the calls that it asks for.

    find_trip(origin: string, to_station: string, day: "mon"|"wed"|"fri"|"sat") - Looks up train connections.
    order_pizza(count: integer, size: "small"|"large") - Has pizza delivered.

    I smell pizza. I want to take a train, it is for the middle of the week, and it ends in Norvik, I set out from Brae.

    [{"name": "find_trip", "arguments": {"origin": "Brae", "to_station": "Norvik", "day": "wed"}}]

Fourteen things to do. A fifth of the rows offer one function, three in ten several, a fifth want two calls (`parallel`), in 16 %
nothing is to be called, and in 16 % a first call has failed and its error is shown. Nothing is to be called where nothing is
wished, or what no function ever does, or what another function does, a third of them each. A failed call that named a time which
is taken means the second choice of the message; in all other failures the message still says what is right. 5,000 rows take a
second.

The shortcuts that this closes: names of functions and arguments are drawn anew in each row, so calls of other rows cannot be
copied; nine messages of ten speak of a function in its own words without wishing for it, whether something is to be called or
not, so shared words do not tell which function is meant, and their absence does not tell that none is; numbers are said in
words, corrected, or mean nothing, so the next number is not the next argument; listed values are said in other words; a failed
call often holds a wrong value, so it cannot be mended without the message. What is left is to call nothing, ever: right for the
rows where nothing is to be called, and for no other. On the 786 test rows of recipes/edge-calls.yaml: keyword rule 0.12, nearest
neighbour 0.18, majority 0.17, which is the share of those rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING

from lathe.contracts import Corpus
from lathe.corpora._edge_calls.catalogue import CATALOGUE, NOBODY
from lathe.corpora._edge_calls.writing import Wish, message, offer, other_than, wish

if TYPE_CHECKING:
    from lathe.records import Json, Row

KINDS = ((0.2, "simple"), (0.5, "multiple"), (0.68, "parallel"), (0.84, "irrelevance"), (1.0, "recovery"))
"""Cumulated probability of each kind of row."""


class EdgeCalls(Corpus):
    """See the module's docstring."""

    version = "2"
    licence = "Apache-2.0"
    task = "function_calling"

    def rows(self, seed: int, n: int) -> Iterator[Row]:
        """Rows 0 to n - 1 of a seed; row i is the same whatever n is."""
        return (row(seed, number) for number in range(n))


def row(seed: int, number: int) -> Row:
    """One row."""
    rng = Random(f"edge_calls/{EdgeCalls.version}/{seed}/{number}")
    share = rng.random()
    kind = next(name for upper, name in KINDS if share < upper)
    num_wanted = 2 if kind == "parallel" else 1
    num_others = {"simple": 0, "multiple": rng.randint(1, 2)}.get(kind, rng.randint(0, 1))
    offered = [offer(rng, doing) for doing in rng.sample(CATALOGUE, num_wanted + num_others + (kind == "irrelevance"))]
    # Two calls of one function are as frequent among the parallel ones as calls of two.
    wanted = [offered[0], offered[rng.randint(0, 1)]] if kind == "parallel" else offered[:1]
    shown = offered
    if kind == "irrelevance":
        shown = offered[1:]
        wanted = rng.choice(([], [offer(rng, rng.choice(NOBODY))], wanted))
    wishes = [wish(rng, one) for one in wanted]
    rng.shuffle(shown)
    text = message(rng, wishes, shown)
    target = [] if kind == "irrelevance" else [one.call() for one in wishes]
    made: Row = {
        "id": f"edge_calls-{seed}-{number}",
        "input": text,
        "tools": [one.tool() for one in shown],
        "target": target,
    }
    return {**made, **_attempt(rng, text, wishes[0])} if kind == "recovery" else made


def _attempt(rng: Random, text: str, meant: Wish) -> Row:
    """What a first attempt called, the error that came back, and the call that is right then."""
    wrong, error, right = dict(meant.arguments), "busy, try again", dict(meant.arguments)
    if meant.second:
        name, other = next(iter(meant.second.items()))
        error, right[name] = f"{wrong[name]} is taken", other
    elif rng.random() < 0.9:
        name = rng.choice(list(wrong))
        error = _spoiled(rng, meant, wrong, name)
    turns = [
        ("user", text),
        ("assistant", _text([{"name": meant.offered.name, "arguments": wrong}])),
        ("tool", f"error: {error}"),
    ]
    return {
        "messages": [{"role": role, "content": said} for role, said in turns],
        "target": [{"name": meant.offered.name, "arguments": right}],
    }


def _spoiled(rng: Random, meant: Wish, arguments: dict[str, Json], name: str) -> str:
    """Spoils one argument in place: another value, name or type, or none at all; what the function says to that."""
    how = rng.choice(("mistaken", "mistaken", "left out", "misnamed", "retyped"))
    value = arguments[name]
    if how == "mistaken":
        kind = dict(meant.offered.arguments)[name].kind
        arguments[name] = other_than(rng, kind, value)
        return f"{name} is not {arguments[name]}"
    del arguments[name]
    if how == "left out":
        return f"{name} is missing"
    if how == "misnamed":
        arguments[f"{name}_value"] = value
        return f"there is no argument {name}_value"
    arguments[name] = [value] if isinstance(value, str) else str(value)
    return f"{name} is of the wrong type"


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


CORPUS = EdgeCalls()
