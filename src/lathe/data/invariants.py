"""Rules that every right answer keeps, written as short expressions and held against whole sets. Nothing is ever executed.

    rule = parse("line_items[].total == line_items[].quantity * line_items[].unit_price")
    check(rule, {"line_items": [{"quantity": 2, "unit_price": 4.5, "total": 9.0}, {"quantity": 1, "unit_price": 3.0, "total": 7.5}]})
    ->  "line_items[1]: total 7.5 == 3.0, off by 4.5"

What can be written: paths (`a.b`, `items[].price`, `this["unit price"]`), numbers, + - * / and brackets, comparisons
(== != < <= > >=, also chained), and sum, min, max, count over lists, abs, and default(path, number) for what may be missing.
`items[]` outside of an aggregate means: for each item; inside it means: over all items. Equality and order hold within a tolerance
(0.02 unless said otherwise). Two texts are put in order as dates where both are ISO 8601 dates.

A rule is checked only where all its operands are there and are of a kind that can be compared; a null counts as missing.
"""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from lathe.errors import InputError
from lathe.records import Json

TOLERANCE = 0.02
MAX_CHARACTERS = 500
EVERY = "*"
"""Name under which rules for every row stand."""

Path = tuple[str, ...]
"""Keys from the top; EACH stands for the items of a list."""
EACH = "[]"
Value = float | str | bool | None
"""None = missing."""

ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b if b else math.nan,
}
SIGNS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": math.fsum, "min": min, "max": max, "count": lambda found: float(len(found)),
}  # fmt: skip
FUNCTIONS = (*AGGREGATES, "abs", "default")


@dataclass(frozen=True)
class Invariant:
    """A parsed rule. `lists`: the lists that it ranges over, outermost first."""

    text: str
    terms: tuple[ast.expr, ...]
    signs: tuple[str, ...]
    lists: tuple[Path, ...]


# ------------------------------------------------------------------------------------------ reading


def parse(text: str) -> Invariant:
    """Reads one rule. Raises InputError saying what is not allowed and what is."""
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"the invariant has {len(text)} characters, expected at most {MAX_CHARACTERS}")
    try:
        tree = ast.parse(re.sub(r"\[\s*\]", "[:]", text.strip()), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refused(text, "cannot be read") from error
    if not isinstance(tree, ast.Compare):
        raise _refused(text, "compares nothing")
    terms = (tree.left, *tree.comparators)
    unknown = [operator for operator in tree.ops if type(operator) not in SIGNS]
    if unknown:
        raise _refused(text, f"uses the comparison {type(unknown[0]).__name__}")
    for term in terms:
        _allow(text, term, inside=False)
    outside = {path for term in terms for path in _paths(term, aggregates=False)}
    lists = sorted({path[: place + 1] for path in outside for place, step in enumerate(path) if step == EACH}, key=len)
    if any(outer != inner[: len(outer)] for outer, inner in zip(lists, lists[1:])):
        raise _refused(text, "ranges over two lists that are not inside each other")
    return Invariant(text, terms, tuple(SIGNS[type(operator)] for operator in tree.ops), tuple(lists))


def _refused(text: str, why: str) -> InputError:
    return InputError(
        f"the invariant `{text}` {why}",
        hint="Write it like: total == subtotal + tax, sum(items[].total) == subtotal, start <= end, "
        f"with + - * /, comparisons and {', '.join(FUNCTIONS)}.",
    )


def _allow(text: str, node: ast.expr, *, inside: bool) -> None:
    """Raises InputError on everything that is not on the list."""
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        _allow(text, node.left, inside=inside)
        _allow(text, node.right, inside=inside)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        _allow(text, node.operand, inside=inside)
    elif (
        isinstance(node, ast.Constant)
        and isinstance(node.value, int | float | str)
        and not isinstance(node.value, bool)
    ):
        return
    elif isinstance(node, ast.Call):
        _allow_call(text, node, inside=inside)
    elif _path(node) is None:
        raise _refused(text, f"holds `{ast.unparse(node).replace('[:]', '[]')}`, which is not allowed")


def _allow_call(text: str, node: ast.Call, *, inside: bool) -> None:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in FUNCTIONS:
        near = difflib.get_close_matches(name, FUNCTIONS, n=1)
        raise _refused(text, f"calls {name or 'something'}" + (f"; did you mean {near[0]}?" if near else ""))
    if node.keywords or len(node.args) != (2 if name == "default" else 1):
        raise _refused(text, f"calls {name} with another number of values than it takes")
    if name in AGGREGATES and inside:
        raise _refused(text, f"has {name} inside of another aggregate")
    if name in AGGREGATES and not any(EACH in path for path in _paths(node.args[0], aggregates=True)):
        raise _refused(text, f"takes the {name} of no list; a list is written items[]")
    for argument in node.args:
        _allow(text, argument, inside=inside or name in AGGREGATES)


def _path(node: ast.expr) -> Path | None:
    """The path that `a.b[:].c` names; None where it is something else."""
    if isinstance(node, ast.Name):
        return () if node.id == "this" else (node.id,)
    if isinstance(node, ast.Attribute):
        before, step = _path(node.value), node.attr
    elif isinstance(node, ast.Subscript):
        before, part = _path(node.value), node.slice
        if isinstance(part, ast.Slice) and part.lower is part.upper is part.step is None:
            step = EACH
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            step = part.value
        else:
            return None
    else:
        return None
    return None if before is None else (*before, step)


def _paths(node: ast.AST, *, aggregates: bool) -> Iterator[Path]:
    """All paths below a node, those inside aggregates or not."""
    path = _path(node) if isinstance(node, ast.expr) else None
    if path is not None:
        yield path
        return
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if aggregates or name not in AGGREGATES:
            for argument in node.args:
                yield from _paths(argument, aggregates=aggregates)
        return
    for child in ast.iter_child_nodes(node):
        yield from _paths(child, aggregates=aggregates)


# ------------------------------------------------------------------------------------------ checking


def check(rule: Invariant, value: Json, tolerance: float = TOLERANCE) -> str:
    """Where and how a value breaks a rule, for a person; empty where it keeps it or where the rule cannot be applied."""
    return next(_breaches(rule, value, tolerance), "")


def applies(rule: Invariant, value: Json) -> bool:
    """Whether the rule could be checked at least once on a value."""
    return any(
        _holds(sign, left, right, 0.0) is not None
        for bound in _bindings(rule.lists, value)
        for left, sign, right in _comparisons(rule, value, bound)
    )


def broken(
    rules: Mapping[str, Sequence[Invariant]], group: str, value: Json, tolerance: float = TOLERANCE
) -> list[str]:
    """Every rule of the group, and of `*`, that a value breaks, as `rule (where)`."""
    found = []
    for rule in (*rules.get(group, ()), *(rules.get(EVERY, ()) if group != EVERY else ())):
        breach = check(rule, value, tolerance)
        if breach:
            found.append(f"{rule.text} ({breach})")
    return found


def parse_all(written: Mapping[str, Sequence[str]]) -> dict[str, tuple[Invariant, ...]]:
    """Rules by the name of the schema whose rows keep them; `*` for all. Raises InputError."""
    return {group: tuple(parse(text) for text in texts) for group, texts in written.items()}


Binding = Mapping[Path, int]
"""List that is ranged over -> number of the item."""


def _breaches(rule: Invariant, value: Json, tolerance: float) -> Iterator[str]:
    for bound in _bindings(rule.lists, value):
        for left, sign, right in _comparisons(rule, value, bound):
            if _holds(sign, left, right, tolerance) is False:
                place = "".join(f"{'.'.join(path[:-1])}[{number}]: " for path, number in list(bound.items())[-1:])
                off = (
                    f", off by {abs(left - right):.6g}" if isinstance(left, float) and isinstance(right, float) else ""
                )
                yield f"{place}{_said(left)} {sign} {_said(right)}{off}"


def _comparisons(rule: Invariant, value: Json, bound: Binding) -> Iterator[tuple[Value, str, Value]]:
    terms = [_evaluate(term, value, bound) for term in rule.terms]
    yield from zip(terms, rule.signs, terms[1:])


def _bindings(lists: Sequence[Path], value: Json) -> Iterator[dict[Path, int]]:
    """Every choice of one item from each list, outer before inner."""
    waiting: list[dict[Path, int]] = [{}]
    for path in lists:
        waiting = [
            {**bound, path: number} for bound in waiting for number in range(len(_list_at(value, path[:-1], bound)))
        ]
    yield from waiting


def _list_at(value: Json, path: Path, bound: Binding) -> list[Json]:
    found = _values(value, path, bound)
    return found[0] if len(found) == 1 and isinstance(found[0], list) else []


def _values(value: Json, path: Path, bound: Binding) -> list[Json]:
    """All values at a path: one of each bound list, all of each other list; None for each that is missing."""
    found = [value]
    for place, step in enumerate(path):
        if step != EACH:
            found = [one.get(step) if isinstance(one, dict) else None for one in found]
        elif path[: place + 1] in bound:
            number = bound[path[: place + 1]]
            found = [one[number] if isinstance(one, list) and number < len(one) else None for one in found]
        else:
            found = [part for one in found for part in (one if isinstance(one, list) else [None])]
    return found


def _evaluate(node: ast.expr, value: Json, bound: Binding) -> Value:
    """A term's value with these items chosen; None where an operand is missing or no number."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.BinOp):
        left, right = _evaluate(node.left, value, bound), _evaluate(node.right, value, bound)
        if not isinstance(left, float) or not isinstance(right, float):
            return None
        return _finite(ARITHMETIC[type(node.op)](left, right))
    if isinstance(node, ast.UnaryOp):
        inner = _evaluate(node.operand, value, bound)
        return -inner if isinstance(inner, float) else None
    if isinstance(node, ast.Call):
        return _call(node, value, bound)
    path = _path(node)
    assert path is not None, "parse lets nothing else through"
    found = _values(value, path, bound)
    return _plain(found[0]) if len(found) == 1 else None


def _call(node: ast.Call, value: Json, bound: Binding) -> Value:
    assert isinstance(node.func, ast.Name)
    name, argument = node.func.id, node.args[0]
    if name == "default":
        first = _evaluate(argument, value, bound)
        return _evaluate(node.args[1], value, bound) if first is None else first
    if name == "abs":
        inner = _evaluate(argument, value, bound)
        return abs(inner) if isinstance(inner, float) else None
    free = sorted(
        {
            path[: place + 1]
            for path in _paths(argument, aggregates=True)
            for place, step in enumerate(path)
            if step == EACH
        },
        key=len,
    )
    if any(_missing_list(value, path[:-1], bound) for path in free[:1]):
        return None
    chosen = [{**bound, **inner} for inner in _free_bindings(free, value, bound)]
    if name == "count":
        return float(len(chosen))
    found = [_evaluate(argument, value, choice) for choice in chosen]
    numbers = [one for one in found if isinstance(one, float)]
    if len(numbers) != len(found) or (not numbers and name != "sum"):
        return None
    return _finite(AGGREGATES[name](numbers))


def _free_bindings(lists: Sequence[Path], value: Json, bound: Binding) -> list[dict[Path, int]]:
    waiting: list[dict[Path, int]] = [{}]
    for path in lists:
        if path not in bound:
            waiting = [
                {**inner, path: number}
                for inner in waiting
                for number in range(len(_list_at(value, path[:-1], {**bound, **inner})))
            ]
    return waiting


def _missing_list(value: Json, path: Path, bound: Binding) -> bool:
    found = _values(value, path, bound)
    return not found or not isinstance(found[0], list)


def _plain(value: Json) -> Value:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        try:
            return _finite(float(value))
        except OverflowError:
            return None
    return None


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _holds(sign: str, left: Value, right: Value, tolerance: float) -> bool | None:
    """Whether a comparison holds; None where the two cannot be compared."""
    if left is None or right is None or isinstance(left, bool) != isinstance(right, bool):
        return None
    if isinstance(left, float) and isinstance(right, float):
        room = tolerance + 1e-9 * max(abs(left), abs(right))
        if sign in ("==", "!="):
            return (abs(left - right) <= room) == (sign == "==")
        difference = left - right
        return {"<": difference < room, "<=": difference <= room, ">": -difference < room, ">=": -difference <= room}[
            sign
        ]
    if type(left) is not type(right):
        return None
    if sign in ("==", "!="):
        return (left == right) == (sign == "==")
    one, other = _moment(left), _moment(right)
    if one is None or other is None:
        return None
    return {"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other}[sign]


def _moment(value: Value) -> datetime | None:
    """An ISO 8601 date or date with time; one without a zone is read as UTC."""
    if not isinstance(value, str):
        return None
    try:
        found = (
            datetime.fromisoformat(value)
            if len(value) > 10
            else datetime.combine(date.fromisoformat(value), datetime.min.time())
        )
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _said(value: Value) -> str:
    return f"{value:.10g}" if isinstance(value, float) else repr(value)
