"""Functions that a model may call, read from the layouts of OpenAI, Anthropic, MCP and BFCL, and shown in a line each.

{"type": "function", "function": {"name": "set_timer", "description": "Counts down.", "parameters": {...}}}
{"name": "set_timer", "description": "Counts down.", "input_schema": {...}}
{"name": "set_timer", "description": "Counts down.", "parameters": {"type": "dict", "properties": {...}}}

set_timer(minutes: integer, label?: string) - Counts down.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lathe.records import Json
from lathe.tasks._json.shape import shape

BFCL_TYPES = {
    "dict": "object", "float": "number", "double": "number", "long": "integer", "tuple": "array", "list": "array",
    "String": "string", "Boolean": "boolean", "ArrayList": "array", "HashMap": "object", "any": None,
}  # fmt: skip
"""Type names of BFCL that are none of JSON Schema's. Source: its prompts for Python, Java and JavaScript."""

HOLD_SCHEMAS = {
    "properties", "patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames", "dependentSchemas",
    "$defs", "definitions", "not", "if", "then", "else", "default", "const", "example",
}  # fmt: skip
"""Words of JSON Schema that stand before an object in the schema of an object. Another one there is an argument that has lost its
`properties`. Source: JSON Schema 2020-12."""
OPENING = "Functions:\n"
CLOSING = "\n\nText:\n"
LINE = re.compile(r"^([^\s(]+)\((.*?)\)(?: - (.*))?$")


@dataclass(frozen=True)
class Function:
    """A function by name. parameters: the JSON Schema of its arguments, an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]

    def properties(self) -> Mapping[str, Json]:
        """Schema of each argument."""
        found = self.parameters.get("properties")
        return found if isinstance(found, dict) else {}

    def required(self) -> Sequence[str]:
        """Arguments that must be given."""
        found = self.parameters.get("required")
        return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []

    def signature(self) -> str:
        """One line that a small model can read; `?` marks what may be left out."""
        required = self.required()
        arguments = ", ".join(
            f"{name}{'' if name in required else '?'}: {shape(schema)}" for name, schema in self.properties().items()
        )
        said = " ".join(self.description.split())
        return f"{self.name}({arguments})" + (f" - {said}" if said else "")


def functions_in(tools: Json) -> list[Function]:
    """The functions of a row. Raises ValueError with what is wrong."""
    listed = [tools] if isinstance(tools, dict) else tools
    if not isinstance(listed, list):
        raise ValueError("expected a list of functions")
    found = [_function(one, place) for place, one in enumerate(listed)]
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise ValueError("two functions have the same name")
    return found


def _function(one: Json, place: int) -> Function:
    inner = one.get("function", one) if isinstance(one, dict) else None
    name = inner.get("name") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(name, str) or not name.strip():
        raise ValueError(f"function {place + 1} has no name")
    layouts = (inner.get(key) for key in ("parameters", "input_schema", "inputSchema"))
    parameters = next(filter(None, layouts), {"type": "object", "properties": {}})
    if problem := _unreadable(parameters):
        raise ValueError(f"the parameters of {name} are no JSON Schema of an object: {problem}")
    description = inner.get("description")
    return Function(name, description if isinstance(description, str) else "", as_json_schema(parameters))


def _unreadable(parameters: Json) -> str:
    """Why no arguments could be told from a schema that says something; empty where they can, or where it says nothing of any."""
    if not isinstance(parameters, dict):
        return f"expected an object, got {parameters!r:.40}"
    properties = parameters.get("properties", {})
    if not isinstance(properties, dict):
        return f"expected properties to be an object, got {properties!r:.40}"
    if odd := next((key for key, value in properties.items() if not isinstance(value, dict | bool)), None):
        return f"expected a schema for {odd}, got {properties[odd]!r:.40}"
    stray = [key for key, value in parameters.items() if isinstance(value, dict) and key not in HOLD_SCHEMAS]
    return f"expected {stray[0]!r} among its properties" if stray and "properties" not in parameters else ""


def as_json_schema(schema: Json) -> Any:
    """A schema with BFCL's type names as JSON Schema's; `any` becomes no type at all."""
    if not isinstance(schema, dict):
        return schema
    changed = {key: _part(key, value) for key, value in schema.items()}
    named = schema.get("type")
    if isinstance(named, str) and named in BFCL_TYPES:
        other = BFCL_TYPES[named]
        changed = {key: value for key, value in changed.items() if key != "type"} | ({"type": other} if other else {})
    return changed


def _part(key: str, value: Json) -> Json:
    if key in ("properties", "$defs", "definitions") and isinstance(value, dict):
        return {name: as_json_schema(part) for name, part in value.items()}
    if key in ("items", "additionalProperties"):
        return as_json_schema(value)
    if key in ("anyOf", "oneOf", "allOf") and isinstance(value, list):
        return [as_json_schema(part) for part in value]
    return value


# ------------------------------------------------------------------------------------------ the prompt


def prompt(functions: Sequence[Function], document: str) -> str:
    """What a model is asked."""
    shown = "\n".join(one.signature() for one in functions)
    told = "Answer with a JSON list of calls, [] where no function fits."
    return f"{told}\n\n{OPENING}{shown}{CLOSING}{document}"


def signatures(prompt_text: str) -> list[tuple[str, str, str]]:
    """(name, arguments, description) of each function that a prompt shows."""
    shown = prompt_text.partition(OPENING)[2].partition(CLOSING)[0]
    found = [LINE.match(line) for line in shown.split("\n")]
    return [(one[1], one[2], one[3] or "") for one in found if one]
