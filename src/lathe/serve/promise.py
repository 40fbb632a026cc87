"""What was asked of an answer's form, and whether the finished answer has it. A model that was held to it while it wrote can still
have been cut, and some keywords no grammar follows: every answer is looked at afterwards, and the client is told.

    Promise(kind="json_schema", strict=True, schema={...}).problem('{"total": "4"}')
    ->  "total: '4' is not of type 'number'"
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

from lathe.conformity.references import resolve
from lathe.records import Json
from lathe.serve.refusal import Refusal

Kind = Literal["text", "json_object", "json_schema"]
SAME_VALUE = frozenset(("allOf", "anyOf", "oneOf", "not", "if", "then", "else"))
"""Keywords whose schemas speak of the same value as the schema around them."""
MOST_STEPS = 100_000
"""Parts of a schema that a reader meets when every reference is followed; one that doubles at each level has no end in practice."""


@dataclass(frozen=True)
class Promise:
    """schema: None = any. strict: whether an answer that breaks the promise is withheld. constrained: whether the model is held to
    it while it writes; left_out: keywords of the schema that it is not held to then."""

    kind: Kind = "text"
    strict: bool = False
    schema: Json = None
    constrained: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def asked(self) -> bool:
        """Whether the form matters: asked for, or known from the run's own schema."""
        return self.kind != "text" or self.schema is not None

    def problem(self, text: str) -> str:
        """Why a text breaks it, in one sentence; empty where it is kept."""
        from lathe.conformity import conforms, first_misfit

        try:
            value = json.loads(text, parse_constant=_no_json)
        except (ValueError, RecursionError) as error:
            return f"the answer is no JSON: {error}"
        if self.kind == "json_object" and not isinstance(value, dict):
            return "the answer is no JSON object"
        if self.schema is None:
            return ""
        fits = conforms(self.schema, value)
        if fits is None:
            return "the schema cannot be applied: it refers to something outside of itself, or to itself without end"
        return "" if fits else f"the answer does not fit the schema at {first_misfit(self.schema, value)}"


def _no_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def checked_schema(schema: dict[str, Json], param: str) -> dict[str, Json]:
    """A client's schema, which stands under `param`. Raises Refusal 400 where it is none, or would take too long to apply."""
    from lathe.conformity import problem_with

    problem = problem_with(schema)
    if not problem and _steps(schema, schema, {}) > MOST_STEPS:
        problem = "its references multiply beyond what can be checked"
    if not problem and _leads_nowhere(schema):
        problem = "one of its references leads back to itself and to nothing else"
    if problem:
        raise Refusal(400, f"the schema cannot be used: {problem}", param=param)
    return schema


def _steps(part: Json, whole: Json, known: dict[str, int]) -> int:
    """Parts met when references into the schema itself are followed, each as often as it stands there; one that leads back to
    itself counts once. known: steps below a reference."""
    if isinstance(part, list):
        return 1 + sum(_steps(inner, whole, known) for inner in part)
    if not isinstance(part, Mapping):
        return 1
    below = 1 + sum(_steps(inner, whole, known) for inner in part.values())
    target = part.get("$ref")
    if isinstance(target, str) and target.startswith("#"):
        if target not in known:
            known[target] = 1
            known[target] = _steps(resolve(whole, target), whole, known)
        below += known[target]
    return below


def _leads_nowhere(schema: Json) -> bool:
    """Whether references go round in a circle without a step into the value, as {"$ref": "#"} does."""
    leads = {target: {*_here(resolve(schema, target))} for target in _references(schema)}
    while ends := [target for target, further in leads.items() if not further & leads.keys()]:
        for target in ends:
            del leads[target]
    return bool(leads)


def _references(part: Json) -> Iterator[str]:
    """All references by a JSON pointer into the schema itself."""
    for inner in part if isinstance(part, list) else part.values() if isinstance(part, Mapping) else ():
        yield from _references(inner)
    target = part.get("$ref") if isinstance(part, Mapping) else None
    if isinstance(target, str) and (target == "#" or target.startswith("#/")):
        yield target


def _here(part: Json) -> Iterator[str]:
    """The references that speak of the very value that a part of the schema speaks of."""
    if isinstance(part, Mapping):
        yield from _references({"$ref": part.get("$ref")})
        for key in SAME_VALUE & part.keys():
            for inner in part[key] if isinstance(part[key], list) else [part[key]]:
                yield from _here(inner)
