"""Which said call stands for which gold call, and how much of each is right. Order never counts; each call counts once.

Arguments are compared as JSON Schema's types are: numbers by value (5 is 5.0), strings by every character, true unequal to 1 and
"5" unequal to 5, lists in order, objects without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from lathe.tasks._calls.answers import Call
from lathe.tasks._calls.gold import GoldCall
from lathe.tasks._json.values import equal, kind

MOST_CALLS = 8
"""More calls than this on a side are paired in order, not by the best of all ways."""
FAULTS = (
    "no call", "call not wanted", "wrong function", "missing call", "extra call", "missing argument", "extra argument",
    "wrong type", "wrong value",
)  # fmt: skip
"""What can be wrong with calls that were read, the first that holds."""


@dataclass(frozen=True)
class Matched:
    """Arguments of all calls together: right ones, those of gold, those said. fault: one of FAULTS, empty where all is right."""

    right: int
    gold: int
    said: int
    names: bool
    fault: str

    @property
    def param_f1(self) -> float:
        """2 x right / (gold + said); without any argument 1 where the names are right."""
        both = self.gold + self.said
        return 2 * self.right / both if both else float(self.names)


@dataclass(frozen=True)
class _Pair:
    """One gold call beside one said call of the same name."""

    right: int
    gold: int
    said: int

    @property
    def exact(self) -> bool:
        return self.right == self.gold == self.said

    @property
    def worth(self) -> int:
        return 1000 * self.exact + self.right + 1


def match(gold: Sequence[GoldCall], said: Sequence[Call]) -> Matched:
    """Holds all said calls against all gold calls."""
    pairs = {
        (g, s): _pair(one, other)
        for g, one in enumerate(gold)
        for s, other in enumerate(said)
        if one.name == other.name
    }
    chosen = _assigned(len(gold), len(said), {place: pair.worth for place, pair in pairs.items()})
    met = [pairs[place] for place in chosen]
    free_gold = set(range(len(gold))) - {g for g, _ in chosen}
    free_said = set(range(len(said))) - {s for _, s in chosen}
    names = Counter(one.name for one in gold) == Counter(one.name for one in said)
    wrong = next((place for place in chosen if not pairs[place].exact), None)
    return Matched(
        right=sum(pair.right for pair in met),
        gold=sum(pair.gold for pair in met) + sum(len(gold[g].arguments()) for g in free_gold),
        said=sum(pair.said for pair in met) + sum(len(said[s].arguments) for s in free_said),
        names=names,
        fault=_fault_of_names(len(gold), len(said), len(met))
        if not names
        else _fault_of_arguments(gold[wrong[0]], said[wrong[1]])
        if wrong is not None
        else "",
    )


def _pair(gold: GoldCall, said: Call) -> _Pair:
    right = sum(any(equal(one, value) for one in gold.allowed.get(name, ())) for name, value in said.arguments.items())
    wanted = sum(name not in gold.optional or name in said.arguments for name in gold.allowed)
    return _Pair(right, wanted, len(said.arguments))


def _assigned(num_gold: int, num_said: int, worth: dict[tuple[int, int], int]) -> list[tuple[int, int]]:
    """Pairs (gold, said), each call in one of them at most, with the greatest worth together."""
    if num_gold > MOST_CALLS or num_said > MOST_CALLS:
        return _in_order(worth)

    @cache
    def best(g: int, taken: int) -> tuple[int, tuple[tuple[int, int], ...]]:
        if g == num_gold:
            return 0, ()
        found = best(g + 1, taken)
        for s in range(num_said):
            if not taken >> s & 1 and (g, s) in worth:
                rest, pairs = best(g + 1, taken | 1 << s)
                if rest + worth[g, s] > found[0]:
                    found = rest + worth[g, s], ((g, s), *pairs)
        return found

    return list(best(0, 0)[1])


def _in_order(worth: dict[tuple[int, int], int]) -> list[tuple[int, int]]:
    chosen: list[tuple[int, int]] = []
    for g, s in sorted(worth, key=lambda place: (-worth[place], place)):
        if all(g != other and s != another for other, another in chosen):
            chosen.append((g, s))
    return chosen


def _fault_of_names(num_gold: int, num_said: int, met: int) -> str:
    if not num_said:
        return "no call"
    if not num_gold:
        return "call not wanted"
    if met < min(num_gold, num_said):
        return "wrong function"
    return "missing call" if num_said < num_gold else "extra call"


def _fault_of_arguments(gold: GoldCall, said: Call) -> str:
    if any(name not in said.arguments and name not in gold.optional for name in gold.allowed):
        return "missing argument"
    if any(name not in gold.allowed for name in said.arguments):
        return "extra argument"
    kinds = (kind(value) in map(kind, gold.allowed[name]) for name, value in said.arguments.items())
    return "wrong value" if all(kinds) else "wrong type"
