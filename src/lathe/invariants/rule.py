"""Rules that every right answer keeps, written as short comparisons and held against whole sets.

    rule = parse("items[].total == items[].quantity * items[].price")
    breach(rule, {"items": [{"quantity": 2, "price": 4.5, "total": 9}, {"quantity": 1, "price": 3, "total": 7.5}]})
    ->  "items[1]: 7.5 == 3, off by 4.5"

What can be written: paths (`a.b`, `items[].price`, `this["unit price"]`), numbers, + - * / and brackets, comparisons
(== != < <= > >=, also chained), and sum, min, max, count over lists, abs, and default(path, number) for what may be missing.
`items[]` outside of an aggregate means: for each item; inside it means: over all items. Equality and order hold within a tolerance
(0.02 unless said otherwise). Two texts are put in order as dates where both are ISO 8601 dates.

A rule is checked only where all its operands are there and are of a kind that can be compared; a null counts as missing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from lathe.errors import InputError
from lathe.invariants.expression import (
    EACH,
    FUNCTIONS,
    Binding,
    NotAllowed,
    Path,
    Term,
    Value,
    bindings,
    parsed,
    term,
)
from lathe.records import Json

TOLERANCE = 0.02
EVERY = "*"
"""Name under which rules for every row stand."""
SIGNS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


@dataclass(frozen=True)
class Invariant:
    """A rule: terms with the signs between them, for each choice of one item of each list (outermost first)."""

    text: str
    terms: tuple[Term, ...]
    signs: tuple[str, ...]
    lists: tuple[Path, ...]


Invariants = Mapping[str, Sequence[Invariant]]
"""Rules by the name of the schema whose answers keep them; `*` for all."""


def parse(text: str) -> Invariant:
    """Reads one rule. Raises InputError saying what is not allowed and what is."""
    try:
        tree = parsed(text)
        if not isinstance(tree, ast.Compare):
            raise NotAllowed("compares nothing")
        if not all(type(sign) in SIGNS for sign in tree.ops):
            raise NotAllowed(f"has a comparison that is none of {' '.join(SIGNS.values())}")
        terms = tuple(term(node) for node in (tree.left, *tree.comparators))
        lists = sorted({path for one in terms for path in one.lists()}, key=len)
        if any(outer != inner[: len(outer)] for outer, inner in pairwise(lists)):
            raise NotAllowed("ranges over two lists that are not inside each other")
    except NotAllowed as error:
        raise InputError(
            f"the invariant `{text}` {error}",
            hint="Write it like: total == subtotal + tax, sum(items[].total) == subtotal, start <= end, "
            f"with + - * /, comparisons and {', '.join(FUNCTIONS)}.",
        ) from error
    return Invariant(text, terms, tuple(SIGNS[type(sign)] for sign in tree.ops), tuple(lists))


def parse_all(written: Mapping[str, Sequence[str]]) -> dict[str, tuple[Invariant, ...]]:
    """Rules by the name of the schema, as a recipe holds them. Raises InputError."""
    return {group: tuple(parse(text) for text in texts) for group, texts in written.items()}


def broken(rules: Invariants, group: str, value: Json, tolerance: float = TOLERANCE) -> list[str]:
    """Every rule of the group, and of `*`, that a value breaks, as `rule (where and how)`."""
    held = (*rules.get(group, ()), *(rules.get(EVERY, ()) if group != EVERY else ()))
    found = ((rule, breach(rule, value, tolerance)) for rule in held)
    return [f"{rule.text} ({how})" for rule, how in found if how]


def breach(rule: Invariant, value: Json, tolerance: float = TOLERANCE) -> str:
    """Where and how a value breaks a rule, for a person; empty where it keeps it or where the rule cannot be applied."""
    for bound, left, sign, right in _comparisons(rule, value):
        if holds(sign, left, right, tolerance) is False:
            off = f", off by {abs(left - right):.6g}" if type(left) is type(right) is float else ""
            return f"{_place(bound)}{_said(left)} {sign} {_said(right)}{off}"
    return ""


def applies(rule: Invariant, value: Json) -> bool:
    """Whether the rule can be checked on a value at least once."""
    return any(holds(sign, left, right, 0.0) is not None for _, left, sign, right in _comparisons(rule, value))


def _comparisons(rule: Invariant, value: Json) -> Iterator[tuple[Binding, Value, str, Value]]:
    for bound in bindings(rule.lists, value, {}):
        values = [one.value(value, bound) for one in rule.terms]
        for (left, right), sign in zip(pairwise(values), rule.signs):
            yield bound, left, sign, right


def holds(sign: str, left: Value, right: Value, tolerance: float) -> bool | None:
    """Whether a comparison holds; None where the two cannot be compared."""
    if left is None or right is None or type(left) is not type(right):
        return None
    if isinstance(left, float) and isinstance(right, float):
        # Beyond 15 digits a float holds no cents: large sums get the room that they need.
        room = tolerance + 1e-9 * max(abs(left), abs(right))
        return _compared(sign, left - right, room)
    if sign in ("==", "!="):
        return (left == right) == (sign == "==")
    one, other = moment(left), moment(right)
    return None if one is None or other is None else _compared(sign, (one - other).total_seconds(), 0.0)


def _compared(sign: str, difference: float, room: float) -> bool:
    equal = abs(difference) <= room
    return {
        "==": equal,
        "!=": not equal,
        "<": difference < 0 or (equal and room > 0),
        "<=": difference <= room,
        ">": difference > 0 or (equal and room > 0),
        ">=": difference >= -room,
    }[sign]


def moment(value: Value) -> datetime | None:
    """An ISO 8601 date or date with time; one without a zone is read as UTC."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def _place(bound: Binding) -> str:
    """`orders[2].items[0]: ` for the innermost item that is looked at."""
    path = max(bound, key=len, default=())
    numbers = (f"[{bound[path[: end + 1]].number}]" for end, step in enumerate(path) if step == EACH)
    steps = [next(numbers) if step == EACH else f".{step}" for step in path]
    return f"{''.join(steps).removeprefix('.')}: " if path else ""


def _said(value: Value) -> str:
    return f"{value:.10g}" if isinstance(value, float) else repr(value)
