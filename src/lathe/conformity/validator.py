"""The full check of a value by a JSON Schema, by the `jsonschema` package: the draft that the schema names, else 2020-12.

`format` is not asserted, which is the standard's default. Nothing outside the document is fetched. A `pattern` whose
matching could take exponential time is not asserted either. Numbers are multiples of others as they are written.
"""

from __future__ import annotations

from collections.abc import Iterator
from json import loads
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.validators import extend, validator_for
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

from lathe.conformity.numbers import exact
from lathe.conformity.once import once_per_schema
from lathe.conformity.patterns import matches, may_take_for_ever
from lathe.records import Json, canonical


@once_per_schema
def of(schema: Json) -> Any:
    """The package's validator. Raises SchemaError, and whatever else a malformed schema makes the package raise."""
    schema = loads(canonical(schema))
    if not isinstance(schema, dict | bool):
        raise ValueError("a JSON Schema is an object, true or false")
    draft = validator_for(schema, default=Draft202012Validator)
    draft.check_schema(schema)
    for pattern in _key_patterns(schema):
        if may_take_for_ever(pattern):
            raise ValueError(f"its patternProperties {pattern!r} could take exponential time to match")
    careful = extend(draft, {"pattern": _pattern, "multipleOf": _multiple_of})
    return careful(schema, registry=REGISTRY)


def said(error: Exception) -> str:
    """What `of` raised, in one sentence."""
    if isinstance(error, SchemaError):
        return f"it is no valid JSON Schema: {error.message} at {_place(error)}"
    return f"it cannot be read: {error}"


def first_misfit(schema: Json, value: Json) -> str:
    """See `lathe.conformity.first_misfit`."""
    error = next(iter(of(schema).iter_errors(value)), None)
    return f"{_place(error)}: {error.message}" if error is not None else ""


def _place(error: ValidationError | SchemaError) -> str:
    return "/".join(str(step) for step in error.absolute_path) or "the top"


def _pattern(_: Any, pattern: str, instance: Json, __: Json) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _multiple_of(validator: Any, unit: float, instance: Json, _: Json) -> Iterator[ValidationError]:
    """19.99 is a multiple of 0.01, as the standard has it; the package divides binary fractions, and says that it is none."""
    if validator.is_type(instance, "number") and exact(instance) % exact(unit):
        yield ValidationError(f"{instance!r} is not a multiple of {unit!r}")


def _key_patterns(schema: Json) -> Iterator[str]:
    """All keys of all patternProperties in a schema."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if isinstance(part.get("patternProperties"), dict):
                yield from part["patternProperties"]
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
