"""Turns what a model found wrong with a recipe's values into faults in plain words.

{"train": {"epoch": 3}}  ->  Fault("train.epoch", "unknown key", hint="Did you mean `epochs`?")
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from lathe.errors import Fault
from lathe.records import Json, Written
from lathe.resolve.strict_yaml import Path, Tree, dotted

W = TypeVar("W", bound=Written)

TYPE_WORDS = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping",
    "model": "a mapping of keys",
}


def check(tree: Tree, kind: type[W], set_paths: Mapping[Path, str]) -> tuple[W | None, list[Fault]]:
    """The record where the values fit `kind`, and all faults where they do not.

    `set_paths`: paths given by --set, with their text; a fault in one names the option instead of a line.
    """
    record: W | None = None
    details: list[dict[str, Any]] = []
    try:
        # JSON mode takes lists for tuples and, being strict, no text for a number and no `no` for false.
        record = kind.model_validate_json(json.dumps(tree.value), strict=True)
    except ValidationError as error:
        every = [dict(detail) for detail in error.errors(include_url=False)]
        # A default that rests on what is faulty is no fault of its own.
        details = [detail for detail in every if detail["type"] != "default_factory_not_called"]
    # Keys by which only our code calls a value (`from_`); the model would take them.
    private = [path for path in tree.lines if str(path[-1]).endswith("_")]
    if not details and not private:
        return record, []  # without the schema, which takes longer to make than all else here
    schema = kind.model_json_schema(by_alias=True)
    faults = {
        path: placed(path, "unknown key", nearest_key(path, schema), tree, set_paths)
        for path in private
        if path[-1] not in keys_at(path[:-1], schema)
    }
    expected: dict[Path, list[str]] = {}
    for detail in details:
        path = real_path(detail["loc"], tree.value, schema)
        words = expectation(detail)
        if words is not None and isinstance(detail["input"], str) and takes_null(path, schema):
            words = f"{words} or null"
        if words is not None and path in expected:
            # The branches of a union each complain about one value: one fault that names all that was expected.
            expected[path].append(words)
            faults[path] = placed(
                path,
                f"got {shown(detail['input'])}, expected {' or '.join(dict.fromkeys(expected[path]))}",
                None,
                tree,
                set_paths,
            )
            continue
        if words is not None:
            expected[path] = [words]
        message, hint = said(detail, path, words, schema)
        faults.setdefault(path, placed(path, message, hint, tree, set_paths))
    return record, [fault for path, fault in faults.items() if not any(inside(other, path) for other in faults)]


def inside(path: Path, outer: Path) -> bool:
    """Whether a path lies below another: its fault then says more than one of the whole."""
    return len(path) > len(outer) and path[: len(outer)] == outer


def keys_at(path: Path, schema: Json) -> list[str]:
    """The known keys of the mapping at a path."""
    return list(node_at(path, schema).get("properties", {}))


def placed(path: Path, message: str, hint: str | None, tree: Tree, set_paths: Mapping[Path, str]) -> Fault:
    """A fault at a path: with the option where --set gave it, else with the line in the file."""
    for end in range(len(path), 0, -1):
        if path[:end] in set_paths:
            return Fault(f"--set {dotted(path)}", message, None, hint)
    return Fault(dotted(path), message, tree.line(path), hint)


def said(detail: dict[str, Any], path: Path, words: str | None, schema: Json) -> tuple[str, str | None]:
    """Message and hint for one complaint of the model."""
    kind = detail["type"]
    if kind == "extra_forbidden":
        return "unknown key", nearest_key(path, schema)
    if kind == "missing":
        about = describe(path, schema)
        return "is missing", f"It says {about}." if about else None
    if kind == "value_error":
        return str(detail["ctx"]["error"]), None
    if words is None:
        return f"got {shown(detail['input'])}, which does not fit", None
    near = difflib.get_close_matches(str(detail["input"]), choices(detail), n=1) if kind == "literal_error" else []
    return f"got {shown(detail['input'])}, expected {words}", f"Did you mean {near[0]}?" if near else None


def expectation(detail: dict[str, Any]) -> str | None:
    """What the model expected, in words; None where the complaint is not about a value."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "literal_error":
        return " or ".join(choices(detail))
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        limit = next(context[key] for key in ("gt", "ge", "lt", "le") if key in context)
        relation = {
            "greater_than": "above",
            "greater_than_equal": "of at least",
            "less_than": "below",
            "less_than_equal": "of at most",
        }
        return f"a number {relation[kind]} {limit:g}"
    if kind == "string_pattern_mismatch":
        return "a name of 1 to 80 letters, digits, dots, dashes and underscores that begins with a letter or digit"
    if kind == "finite_number":
        return "a finite number"
    if kind in ("int_from_float", "int_parsing_size"):
        return "a whole number"
    if kind in ("too_short", "too_long"):
        least = context.get("min_length")
        number = context["max_length"] if least is None else least
        return f"at {'most' if least is None else 'least'} {number} value{'' if number == 1 else 's'}"
    if kind == "missing":
        # An item of a fixed-length list that is not there: pydantic calls it missing.
        return None
    stem = kind.removesuffix("_type").removesuffix("_parsing")
    return TYPE_WORDS.get(stem)


def choices(detail: dict[str, Any]) -> list[str]:
    """`'lora', 'qlora' or 'full'` -> [lora, qlora, full]"""
    return [part.strip().strip("'") for part in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]


def shown(value: Json) -> str:
    """A value as a person would write it, cut at 60 characters."""
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def real_path(loc: Sequence[str | int], value: Json, schema: Json) -> Path:
    """The part of a location that names keys of the file; names of union branches are left out."""
    path: list[str | int] = []
    for part in loc:
        node = node_at(tuple(path), schema)
        listed = isinstance(value, list) and isinstance(part, int) and part < len(value)
        inside = listed or (isinstance(value, dict) and part in value)
        if inside:
            value = value[part]
        elif isinstance(part, int) or part in node.get("properties", {}):
            value = None
        else:
            continue
        path.append(part)
    return tuple(path)


def node_at(path: Path, schema: Json) -> Json:
    """The part of a JSON Schema that describes the value at a path; {} where nothing does."""
    node = follow(schema, schema)
    for part in path:
        if isinstance(part, int):
            prefix = node.get("prefixItems", [])
            node = prefix[part] if part < len(prefix) else node.get("items", {})
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
        node = follow(node, schema) if isinstance(node, dict) else {}
    return node


def follow(node: Json, schema: Json) -> Json:
    """Resolves references, and takes the branch of an optional value that is not null."""
    if "$ref" in node:
        target = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        return follow({**target, **{key: value for key, value in node.items() if key != "$ref"}}, schema)
    branches = [branch for branch in node.get("anyOf", ()) if "$ref" in branch]
    if len(branches) == 1:
        return follow({**branches[0], **{key: value for key, value in node.items() if key != "anyOf"}}, schema)
    return node


def takes_null(path: Path, schema: Json) -> bool:
    """Whether nothing may be said at a path: YAML's `null`, which a person may write as `none`."""
    return {"type": "null"} in node_at(path, schema).get("anyOf", ())


def describe(path: Path, schema: Json) -> str | None:
    """The description of the key at a path."""
    return node_at(path, schema).get("description")


def nearest_key(path: Path, schema: Json) -> str:
    """Says which known key was probably meant, or where the key belongs, or which keys there are."""
    key = str(path[-1])
    siblings = keys_at(path[:-1], schema)
    near = [dotted((*home, key)) for home in key_homes(schema, key)] or difflib.get_close_matches(key, siblings, n=1)
    if near:
        return f"Did you mean `{near[0]}`?"
    return f"There are: {', '.join(siblings)}."


def key_homes(schema: Json, key: str) -> list[Path]:
    """Parts of the recipe that do have a key of that name."""
    parts = follow(schema, schema).get("properties", {})
    return [(name,) for name, node in parts.items() if key in follow(node, schema).get("properties", {})]
