"""The little language of invariants: its terms, how they are read, and what they are worth on a value. Nothing is ever executed.

    term, rest = read("sum(items[].quantity * items[].price)"), {}
    term.value({"items": [{"quantity": 2, "price": 4.5}]}, {})   ->  9.0

Python's parser reads the text; whatever is not one of the terms below is refused. A term is worth None where an operand is missing,
null, or of a kind that it cannot take.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lathe.records import Json

Path = tuple[str, ...]
"""Keys from the top; EACH stands for an item of a list."""
EACH = "[]"
Value = float | str | bool | None
MAX_CHARACTERS = 500

ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: a / b if b else math.nan,
}
AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {"sum": math.fsum, "min": min, "max": max, "count": len}
FUNCTIONS = (*AGGREGATES, "abs", "default")


class Chosen(NamedTuple):
    """An item of a list, and its number."""

    number: int
    item: Json


Binding = Mapping[Path, Chosen]
"""The item that is looked at of each list that is ranged over; the list's path ends in EACH."""


class NotAllowed(ValueError):
    """What a text holds that is no term."""


# ------------------------------------------------------------------------------------------ terms


class Term(ABC):
    """A part of an expression."""

    @abstractmethod
    def value(self, row: Json, bound: Binding) -> Value:
        """What it is worth on a row, with these items chosen."""

    @abstractmethod
    def lists(self) -> Iterator[Path]:
        """The lists whose items it needs to have been chosen."""


@dataclass(frozen=True)
class Literal(Term):
    """A number or a text."""

    literal: float | str

    def value(self, row: Json, bound: Binding) -> Value:
        return self.literal

    def lists(self) -> Iterator[Path]:
        return iter(())


@dataclass(frozen=True)
class Field(Term):
    """A path."""

    path: Path

    def value(self, row: Json, bound: Binding) -> Value:
        return plain(at(row, self.path, bound))

    def lists(self) -> Iterator[Path]:
        return (self.path[: place + 1] for place, step in enumerate(self.path) if step == EACH)


@dataclass(frozen=True)
class Operation(Term):
    """Two terms, added, subtracted, multiplied or divided."""

    apply: Callable[[float, float], float]
    left: Term
    right: Term

    def value(self, row: Json, bound: Binding) -> Value:
        left, right = self.left.value(row, bound), self.right.value(row, bound)
        both = isinstance(left, float) and isinstance(right, float)
        return finite(self.apply(left, right)) if both else None  # type: ignore[arg-type]

    def lists(self) -> Iterator[Path]:
        yield from self.left.lists()
        yield from self.right.lists()


@dataclass(frozen=True)
class Absolute(Term):
    """A number without its sign."""

    inner: Term

    def value(self, row: Json, bound: Binding) -> Value:
        inner = self.inner.value(row, bound)
        return abs(inner) if isinstance(inner, float) else None

    def lists(self) -> Iterator[Path]:
        return self.inner.lists()


@dataclass(frozen=True)
class Default(Term):
    """A term, or another where the first is missing."""

    first: Term
    otherwise: Term

    def value(self, row: Json, bound: Binding) -> Value:
        first = self.first.value(row, bound)
        return self.otherwise.value(row, bound) if first is None else first

    def lists(self) -> Iterator[Path]:
        yield from self.first.lists()
        yield from self.otherwise.lists()


@dataclass(frozen=True)
class Aggregate(Term):
    """The sum, least, greatest or number of a term's values over all items of its lists that are not chosen already."""

    name: str
    inner: Term

    def value(self, row: Json, bound: Binding) -> Value:
        over = sorted(set(self.inner.lists()), key=len)
        if not isinstance(at(row, over[0][:-1], bound), list):
            return None
        choices = list(bindings(over, row, bound))
        if self.name == "count":
            return float(len(choices))
        values = [self.inner.value(row, choice) for choice in choices]
        if not all(isinstance(one, float) for one in values) or (not values and self.name != "sum"):
            return None
        return finite(float(AGGREGATES[self.name](values)))  # type: ignore[arg-type]

    def lists(self) -> Iterator[Path]:
        return iter(())


# ------------------------------------------------------------------------------------------ values


def bindings(lists: Sequence[Path], row: Json, bound: Binding) -> Iterator[dict[Path, Chosen]]:
    """Every choice of one item from each list, outer lists before inner; those that are bound stay as they are."""
    waiting: list[dict[Path, Chosen]] = [dict(bound)]
    for path in lists:
        if path not in bound:
            waiting = [
                {**choice, path: Chosen(number, item)}
                for choice in waiting
                if isinstance(items := at(row, path[:-1], choice), list)
                for number, item in enumerate(items)
            ]
    yield from waiting


def at(row: Json, path: Path, bound: Binding) -> Json:
    """What stands at a path, None where nothing does."""
    start = next((length for length in range(len(path), 0, -1) if path[:length] in bound), 0)
    found = bound[path[:start]].item if start else row
    for step in path[start:]:
        found = found.get(step) if isinstance(found, dict) else None
    return found


def plain(value: Json) -> Value:
    """A value that can be compared: numbers as floats; None for objects, lists, and numbers that no float holds."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        try:
            return finite(float(value))
        except OverflowError:
            return None
    return None


def finite(number: float) -> float | None:
    """The number itself; None for infinity and NaN."""
    return number if math.isfinite(number) else None


# ------------------------------------------------------------------------------------------ reading


def parsed(text: str) -> ast.expr:
    """Python's own tree of a text, `items[]` included. Raises NotAllowed where it is no expression."""
    if len(text) > MAX_CHARACTERS:
        raise NotAllowed(f"has {len(text)} characters, expected at most {MAX_CHARACTERS}")
    try:
        return ast.parse(re.sub(r"\[\s*\]", "[:]", text.strip()), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotAllowed("cannot be read") from error


def read(text: str) -> Term:
    """One term. Raises NotAllowed."""
    return term(parsed(text))


def term(node: ast.expr) -> Term:
    """The term that a node is. Raises NotAllowed on everything that is none."""
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        return Operation(ARITHMETIC[type(node.op)], term(node.left), term(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return Operation(operator.sub, Literal(0.0), term(node.operand))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return Literal(node.value)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return Literal(float(node.value))
    if isinstance(node, ast.Call):
        return _call(node)
    path = _path(node)
    if path is None:
        raise NotAllowed(f"holds `{ast.unparse(node).replace('[:]', '[]')}`, which is not allowed")
    return Field(path)


def _call(node: ast.Call) -> Term:
    name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
    if name not in FUNCTIONS:
        near = difflib.get_close_matches(name, FUNCTIONS, n=1)
        raise NotAllowed(f"calls {name}, which is not allowed" + (f"; did you mean {near[0]}?" if near else ""))
    arguments = [term(argument) for argument in node.args]
    if node.keywords or len(arguments) != (2 if name == "default" else 1):
        raise NotAllowed(f"calls {name} with another number of values than it takes")
    if name == "default":
        return Default(*arguments)
    if name == "abs":
        return Absolute(*arguments)
    if not any(arguments[0].lists()):
        raise NotAllowed(f"takes the {name} of no list; a list is written items[]")
    return Aggregate(name, *arguments)


def _path(node: ast.expr) -> Path | None:
    """The path that `a.b[:].c` names; None where it is something else."""
    if isinstance(node, ast.Name):
        return () if node.id == "this" else (node.id,)
    if not isinstance(node, ast.Attribute | ast.Subscript):
        return None
    before = _path(node.value)
    step = node.attr if isinstance(node, ast.Attribute) else _step(node.slice)
    return None if before is None or step is None else (*before, step)


def _step(part: ast.expr) -> str | None:
    if isinstance(part, ast.Slice) and part.lower is part.upper is part.step is None:
        return EACH
    return part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else None
