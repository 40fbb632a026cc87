"""The calls that are right, as a row's target: plain calls, with what else would be right beside them.

    [{"name": "triangle_area", "arguments": {"base": 10, "height": 5}, "accept": {"unit": ["units"]}, "optional": ["unit"]}]

accept: further values of an argument that are right. optional: arguments that may be left out, because the function then takes the
same value, or because the data says so (BFCL writes "" among the values that it allows).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lathe import conformity
from lathe.records import Json
from lathe.tasks._calls.answers import Call
from lathe.tasks._calls.functions import Function
from lathe.tasks._json import values

OPEN = {"additionalProperties", "patternProperties", "unevaluatedProperties", "$ref", "allOf", "anyOf", "oneOf"}
"""Words of a schema by which arguments may be allowed that its `properties` do not name."""


@dataclass(frozen=True)
class GoldCall:
    """A right call. allowed: for each argument all values that are right, the one to write first."""

    name: str
    allowed: Mapping[str, Sequence[Json]]
    optional: frozenset[str] = field(default_factory=frozenset)

    def arguments(self) -> dict[str, Json]:
        """The arguments to write: optional ones only where they say something that the function would not do by itself."""
        return {name: found[0] for name, found in self.allowed.items() if name not in self.optional}

    def target(self) -> dict[str, Json]:
        """As a row's target."""
        written = self.arguments()
        accept = {
            name: list(found[1:] if name in written else found)
            for name, found in self.allowed.items()
            if len(found) > (name in written)
        }
        return {
            "name": self.name,
            "arguments": written,
            **({"accept": accept} if accept else {}),
            **({"optional": sorted(self.optional)} if self.optional else {}),
        }


def of_target(target: Json) -> list[GoldCall]:
    """The right calls of an example's target."""
    found = []
    for one in target:
        accept, written = one.get("accept", {}), one["arguments"]
        allowed = {
            name: [*([written[name]] if name in written else []), *accept.get(name, [])]
            for name in {**written, **accept}
        }
        found.append(GoldCall(one["name"], allowed, frozenset(one.get("optional", ()))))
    return found


def of_call(call: Call, functions: Sequence[Function]) -> GoldCall:
    """A plain call as gold: leaving an argument out that has its default, or giving the default, is the same."""
    allowed: dict[str, Sequence[Json]] = {name: [value] for name, value in call.arguments.items()}
    optional = set()
    function = next((one for one in functions if one.name == call.name), None)
    for name, schema in (function.properties() if function else {}).items():
        if not isinstance(schema, dict) or "default" not in schema or name in (function.required() if function else ()):
            continue
        if name not in allowed or values.equal(schema["default"], call.arguments[name]):
            allowed[name] = [schema["default"]]
            optional.add(name)
    return GoldCall(call.name, allowed, frozenset(optional))


def of_bfcl(ground_truth: Json) -> list[GoldCall]:
    """BFCL's possible answers: [{function: {argument: [every value that is right]}}]. Raises ValueError where they are none."""
    if not isinstance(ground_truth, list):
        raise ValueError("expected a list of possible answers")
    return [_bfcl_call(one) for one in ground_truth]


def _bfcl_call(one: Json) -> GoldCall:
    inner = next(iter(one.values())) if isinstance(one, dict) and len(one) == 1 else None
    if not isinstance(inner, dict) or not all(isinstance(found, list) and found for found in inner.values()):
        raise ValueError("expected each possible answer to be {function: {argument: [values]}}")
    allowed = {name: [_plain(value) for value in found if value != ""] for name, found in inner.items()}
    optional = frozenset(name for name, found in inner.items() if "" in found)
    # Where "" is the only value, the empty text itself is what may be said.
    return GoldCall(next(iter(one)), {name: found or [""] for name, found in allowed.items()}, optional)


def _plain(value: Json) -> Json:
    """An allowed value; objects inside name lists of allowed values again, of which the first one counts."""
    if isinstance(value, dict):
        return {
            name: _plain(next((one for one in found if one != ""), "")) if isinstance(found, list) and found else found
            for name, found in value.items()
            if not (isinstance(found, list) and found and found[0] == "")
        }
    return [_plain(part) for part in value] if isinstance(value, list) else value


def misfit(call: GoldCall, functions: Sequence[Function]) -> str:
    """Why a gold call cannot be made with the functions of its row; empty where it can."""
    function = next((one for one in functions if one.name == call.name), None)
    if function is None:
        return f"it calls {call.name}, which is not among the functions ({', '.join(one.name for one in functions)})"
    schema = function.parameters
    problem = conformity.problem_with(schema)
    if problem:
        return f"the parameters of {call.name} cannot be applied: {problem}"
    arguments = call.arguments()
    unknown = [name for name in call.allowed if name not in function.properties()]
    if unknown and not OPEN & schema.keys():
        return f"{call.name} takes no argument {unknown[0]!r} ({', '.join(function.properties()) or 'it takes none'})"
    if conformity.conforms(schema, arguments) is False:
        return f"its arguments do not fit {call.name} at {conformity.first_misfit(schema, arguments)}"
    return ""
