"""Which said call stands for which gold call, and how much of each is right. Order never counts; each call counts once.

Arguments are compared as JSON Schema's types are: numbers by value (5 is 5.0), strings by every character, true unequal to 1 and
"5" unequal to 5, lists in order, objects without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lathe.tasks._assignment import best_pairs
from lathe.tasks._calls.answers import Call
from lathe.tasks._calls.gold import GoldCall
from lathe.tasks._json.values import equal, kind

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
    worth = [[pairs[g, s].worth if (g, s) in pairs else 0 for s in range(len(said))] for g in range(len(gold))]
    chosen = best_pairs(worth)
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
