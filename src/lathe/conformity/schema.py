"""Whether a value fits a JSON Schema: plain schemas are read here, all others and every misfit by the `jsonschema` package.

conforms({"type": "integer"}, 3)          ->  True
problem_with({"minLength": -1})           ->  "it is no valid JSON Schema: -1 is less than the minimum of 0 at minLength"

The package takes 0.1 s to load and milliseconds for a schema; rows that fit plain schemas never ask for it.
"""

from __future__ import annotations

from lathe.conformity.once import once_per_schema
from lathe.conformity.plain_schema import Fits, plainly_fits, surely_valid
from lathe.records import Json


def problem_with(schema: Json) -> str:
    """Why a schema cannot be applied, in one sentence; empty where it can be."""
    try:
        _applied(schema)
    except Exception as error:
        # A malformed schema makes jsonschema trip wherever it happens to look: TypeError, AttributeError, re.error ...
        from lathe.conformity import validator

        return validator.said(error)
    return ""


def conforms(schema: Json, value: Json) -> bool | None:
    """Whether a value fits; None where the schema itself cannot be applied (unresolvable or endless reference)."""
    try:
        return _plainly(schema)(value) or _fully(schema, value)
    except Exception:
        # As above; and parts that only a reference reaches are not checked beforehand.
        return None


def first_misfit(schema: Json, value: Json) -> str:
    """Where and how a value fails a schema, for a person: `items/0/qty: 'two' is not of type 'integer'`; empty where it fits.

    Raises whatever the schema makes jsonschema raise; ask `conforms` first.
    """
    from lathe.conformity import validator

    return validator.first_misfit(schema, value)


def _fully(schema: Json, value: Json) -> bool:
    from lathe.conformity import validator

    return bool(validator.of(schema).is_valid(value))


@once_per_schema
def _applied(schema: Json) -> None:
    """Raises whatever the schema makes jsonschema raise."""
    if not surely_valid(schema):
        from lathe.conformity import validator

        validator.of(schema)


@once_per_schema
def _plainly(schema: Json) -> Fits:
    _applied(schema)  # a schema that cannot be applied says no yes
    return plainly_fits(schema)
