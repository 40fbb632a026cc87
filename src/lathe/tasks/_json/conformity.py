"""Whether a value fits a JSON Schema, by the `jsonschema` package: the draft that the schema names, else 2020-12.

`format` is not asserted, which is the standard's default. Nothing outside the document is fetched. A `pattern` whose
matching could take exponential time is not asserted either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from json import loads
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.validators import extend, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from lathe.records import Json, canonical

_REPEATED_CHOICE = re.compile(r"\((?:[^()\\]|\\.)*(?:[+*|}])(?:[^()\\]|\\.)*\)[+*{]")
"""A group that can match in several ways, repeated: the source of exponential matching, as in `(a+)+$`."""


def problem_with(schema: Json) -> str:
    """Why a schema cannot be applied, in one sentence; empty where it can be."""
    try:
        _validator(canonical(schema))
    except SchemaError as error:
        return f"it is no valid JSON Schema: {error.message} at {_place(error)}"
    except (RecursionError, ValueError) as error:
        return f"it cannot be read: {error}"
    return ""


def conforms(schema: Json, value: Json) -> bool | None:
    """Whether a value fits; None where the schema itself cannot be applied (unresolvable or endless reference)."""
    try:
        return bool(_validator(canonical(schema)).is_valid(value))
    except (Unresolvable, RecursionError, SchemaError, re.error, ValueError):
        return None


def first_misfit(schema: Json, value: Json) -> str:
    """Where and how a value fails a schema, for a person: `items/0/qty: 'two' is not of type 'integer'`; empty where it fits.

    Raises Unresolvable or RecursionError as the schema does; ask `conforms` first.
    """
    error = next(iter(_validator(canonical(schema)).iter_errors(value)), None)
    return f"{_place(error)}: {error.message}" if error is not None else ""


def _place(error: ValidationError | SchemaError) -> str:
    return "/".join(str(step) for step in error.absolute_path) or "the top"


@lru_cache(maxsize=256)
def _validator(schema_text: str) -> Any:
    schema = loads(schema_text)
    draft = validator_for(schema, default=Draft202012Validator)
    draft.check_schema(schema)
    careful = extend(draft, {"pattern": _pattern})
    return careful(schema, registry=Registry())


def _pattern(_: Any, pattern: str, instance: Json, __: Json) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern is found in a text; a pattern that could take exponential time is taken to be found anywhere."""
    return bool(_REPEATED_CHOICE.search(pattern)) or re.search(pattern, text) is not None
