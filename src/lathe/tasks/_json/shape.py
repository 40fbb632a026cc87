"""A JSON Schema in a line that a small model can read, and values in the schema's order of keys.

    {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "paid": {"type": "boolean"},
     "items": {"type": "array", "items": {"enum": ["cup", "pot"]}}}}

    {"id": string, "paid"?: boolean, "items"?: ["cup"|"pot"]}

Keys stand as they must be written; `?` marks what may be missing; `date`, `time`, `datetime` and `email` are strings of
that format; `any` is any value; `A & B` must be both. References are written out; a shape inside itself is named:
`<node>`. Of a description, what follows `Rule:` is shown in brackets; the rest is for people. A schema that this cannot
show in 8,000 characters is shown as compact JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from lathe.conformity.once import once_per_schema
from lathe.conformity.references import resolve
from lathe.records import Json

FORMATS = {"date": "date", "time": "time", "date-time": "datetime", "email": "email"}
MAX_CHARACTERS = 8000


@once_per_schema
def shape(schema: Json) -> str:
    """One line for any JSON Schema. Never raises; deterministic."""
    try:
        text = _Drawing(schema).draw(schema, ())
    except (_TooLong, RecursionError):
        text = ""
    return text or json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


class _TooLong(Exception):
    pass


class _Drawing:
    """Draws the parts of one document, counting what it writes: references can multiply without end."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self.written = 0

    def draw(self, schema: Json, within: tuple[str, ...]) -> str:
        text = self._draw(schema, within)
        self.written += len(text)
        if self.written > 16 * MAX_CHARACTERS or len(text) > MAX_CHARACTERS:
            raise _TooLong
        rule = _rule(schema)
        return f"{text} ({rule})" if rule else text

    def _draw(self, schema: Json, within: tuple[str, ...]) -> str:
        if schema is False:
            return "never"
        if not isinstance(schema, dict):
            return "any"
        reference = schema.get("$ref")
        if isinstance(reference, str):
            name = reference.rsplit("/", 1)[-1] or "top"
            if reference in within:
                return f"<{name}>"
            found = resolve(self.document, reference)
            return f"<{name}>" if found is None else self.draw(found, (*within, reference))
        if isinstance(schema.get("enum"), list):
            return "|".join(_literal(value) for value in schema["enum"]) or "never"
        if "const" in schema:
            return _literal(schema["const"])
        for keyword, sign in (("anyOf", "|"), ("oneOf", "|"), ("allOf", " & ")):
            options = schema.get(keyword)
            if isinstance(options, list) and options:
                own = [self._typed(schema, within)] if "properties" in schema else []
                return sign.join(dict.fromkeys([*own, *(self.draw(option, within) for option in options)]))
        return self._typed(schema, within)

    def _typed(self, schema: dict[str, Json], within: tuple[str, ...]) -> str:
        named = schema.get("type")
        if isinstance(named, list):
            return "|".join(self._typed({**schema, "type": one}, within) for one in named) or "any"
        if named == "object" or (named is None and "properties" in schema):
            return self._object(schema, within)
        if named == "array" or (named is None and ("items" in schema or "prefixItems" in schema)):
            return self._array(schema, within)
        if named == "string":
            wanted = schema.get("format")
            return FORMATS.get(wanted, "string") if isinstance(wanted, str) else "string"
        return named if isinstance(named, str) else "any"

    def _object(self, schema: dict[str, Json], within: tuple[str, ...]) -> str:
        required = schema.get("required")
        required = required if isinstance(required, list) else []
        members = [
            f"{json.dumps(key, ensure_ascii=False)}{'' if key in required else '?'}: {self.draw(part, within)}"
            for key, part in _properties(schema).items()
        ]
        others = schema.get("additionalProperties")
        if isinstance(others, dict):
            members.append(f"*: {self.draw(others, within)}")
        return "{" + ", ".join(members) + "}"

    def _array(self, schema: dict[str, Json], within: tuple[str, ...]) -> str:
        first = schema.get("prefixItems", schema.get("items"))
        parts = first if isinstance(first, list) else [first] if first is not None else [True]
        return "[" + ", ".join(self.draw(part, within) for part in parts) + "]"


def _literal(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _rule(schema: Json) -> str:
    description = schema.get("description") if isinstance(schema, dict) else None
    return description.partition("Rule:")[2].strip() if isinstance(description, str) else ""


def _properties(schema: dict[str, Json]) -> dict[str, Json]:
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}


def members(document: Json, schema: Json) -> dict[str, Json]:
    """Schemas of an object's members by key, in the schema's order, through references and alternatives."""
    found: dict[str, Json] = {}
    for option in options(document, schema):
        for key, part in _properties(option).items():
            found.setdefault(key, part)
    return found


def item(document: Json, schema: Json) -> Json:
    """The schema of a list's items, None where it has none."""
    for option in options(document, schema):
        if isinstance(option.get("items"), dict):
            return option["items"]
    return None


def options(document: Json, schema: Json) -> Iterator[dict[str, Json]]:
    """A schema and all that it refers to or is made of by anyOf, oneOf, allOf; each once."""
    waiting = [schema]
    seen: set[int] = set()
    while waiting and len(seen) < 100:
        one = waiting.pop(0)
        if not isinstance(one, dict) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one.get("$ref"), str):
            waiting.append(resolve(document, one["$ref"]))
        for keyword in ("allOf", "anyOf", "oneOf"):
            if isinstance(one.get(keyword), list):
                waiting.extend(one[keyword])


def ordered(document: Json, schema: Json, value: Json) -> Json:
    """The value with the keys of each object in the schema's order; keys that it does not name follow as they came.

    schema: a part of the document, or the whole.
    """
    return _order(document).of(schema, value)


class _Order:
    """The order of keys that a schema says, each part of it looked at once."""

    def __init__(self, document: Json) -> None:
        self._document = document
        # By identity: all schemas that are asked for are parts of the document, which nobody changes.
        self._members: dict[int, dict[str, Json]] = {}
        self._item: dict[int, Json] = {}

    def of(self, schema: Json, value: Json) -> Json:
        """The value, which has that part of the document for a schema, in order."""
        if isinstance(value, dict):
            known = self._members.get(id(schema))
            if known is None:
                known = self._members[id(schema)] = members(self._document, schema)
            keys = [key for key in known if key in value]
            if len(keys) < len(value):
                keys += [key for key in value if key not in known]
            return {
                key: self.of(known.get(key), part) if isinstance(part := value[key], (dict, list)) else part
                for key in keys
            }
        if isinstance(value, list):
            if id(schema) not in self._item:
                self._item[id(schema)] = item(self._document, schema)
            inner = self._item[id(schema)]
            return [self.of(inner, part) for part in value]
        return value


_order = once_per_schema(_Order)
