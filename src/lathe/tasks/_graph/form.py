"""What right answers look like: graphs in lines or as JSON, with what a schema names of types and labels; answers to questions.

in_lines({"entities": ["Town"], ...})        ->  a grammar of `### Entities:\n1. [Town] Lunde\n\n### Relations:\nNone found. ...`
as_json({"entities": ["Town"], ...})         ->  a JSON Schema of {"entities": [{"text": ..., "type": "Town"}], ...}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lathe.contracts import JsonForm, TextForm
from lathe.records import Json, canonical
from lathe.tasks._graph.graph import PARTS
from lathe.tasks._graph.notation import NOTHING
from lathe.tasks._graph.questions import NO, YES

Named = Mapping[str, Sequence[str]]
"""What a schema names for each part of a graph: types of entities, labels of relations, descriptions of hyperedges. None = any."""

LINES = r"""
start: "### Entities:\n" entities "\n\n### Relations:\n" relations "\n\n### Hyperedges:\n" hyperedges
entities: NOTHING | ENTITY ("\n" ENTITY){0,$items}
relations: NOTHING | RELATION ("\n" RELATION){0,$items}
hyperedges: NOTHING | HYPEREDGE ("\n" HYPEREDGE){0,$items}
ENTITY: NUMBER "[" TYPE "] " NAME (" @" DIGITS "-" DIGITS)?
RELATION: NUMBER NAME " --[" LABEL "]--> " NAME
HYPEREDGE: NUMBER ("[" DESCRIPTION "] ")? MEMBER (" + " MEMBER){1,$items}
MEMBER: NAME (" (" ROLE ")")?
NUMBER: DIGITS ". "
DIGITS: /[0-9]{1,9}/
NAME: /[^\s]([^\n]{0,$characters}[^\s])?/
ROLE: /[^()\n]{0,$characters}/
ANY: /[^\[\]\n]{1,$characters}/
"""
QUESTION = r"""
start: YES | NO | NUMBER | LIST
LIST: "[" (TEXT (", " TEXT){0,$items})? "]"
TEXT: "\"" /([^"\\\x00-\x1f]|\\["\\\/bfnrt]|\\u[0-9a-fA-F]{4}){0,$characters}/ "\""
NUMBER: /-?[0-9]{1,9}/
"""


def in_lines(named: Named) -> TextForm:
    """Graphs in the notation of lines, its sections in their order."""
    types, labels, descriptions = (_one_of(named[part]) for part in PARTS)
    terminals = f"NOTHING: {canonical(NOTHING)}\nTYPE: {types}\nLABEL: {labels}\nDESCRIPTION: {descriptions}\n"
    return TextForm(LINES + terminals)


def as_json(named: Named) -> JsonForm:
    """Graphs as JSON, as they are written for a model to learn."""
    text: Json = {"type": "string", "minLength": 1}
    types, labels, descriptions = ({"enum": list(named[part])} if named[part] else text for part in PARTS)
    member = {"anyOf": [text, _object({"entity": text, "role": {"type": "string"}}, ("entity", "role"))]}
    parts = {
        "entities": _object(
            {"text": text, "type": types, "start": {"type": "integer"}, "end": {"type": "integer"}}, ("text", "type")
        ),
        "relations": _object({"head": text, "relation": labels, "tail": text}, ("head", "relation", "tail")),
        "hyperedges": _object(
            {"description": descriptions, "members": {"type": "array", "items": member, "minItems": 2}}, ("members",)
        ),
    }
    return JsonForm(_object({part: {"type": "array", "items": item} for part, item in parts.items()}, PARTS))


def _object(properties: dict[str, Json], required: Sequence[str]) -> dict[str, Json]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def to_question() -> TextForm:
    """Answers to questions: yes, no, a number, or a JSON list of texts."""
    return TextForm(f"{QUESTION}YES: {canonical(YES)}\nNO: {canonical(NO)}\n")


def _one_of(names: Sequence[str]) -> str:
    # Dollars stand for numbers of the form, so that one in a name is written twice.
    return " | ".join(canonical(name).replace("$", "$$") for name in names) or "ANY"
