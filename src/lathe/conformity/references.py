"""What a JSON Schema refers to by `$ref` within itself."""

from __future__ import annotations

from lathe.records import Json


def resolve(document: Json, reference: str) -> Json:
    """The part of a document that a `#/a/b` reference names; None where it names nothing in there (JSON Pointer, RFC 6901)."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    part = document
    for step in reference[1:].split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(part, dict) and step in part:
            part = part[step]
        elif isinstance(part, list) and step.isdigit() and int(step) < len(part):
            part = part[int(step)]
        else:
            return None
    return part
