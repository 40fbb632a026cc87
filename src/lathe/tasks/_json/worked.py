"""Answers to one row, and the scores that they must get: right, nearly right, and wrong in each way that has its own reason."""

from __future__ import annotations

from lathe.contracts import Worked
from lathe.records import Json
from lathe.tasks._json.metrics import METRICS

WORKED_SCHEMA: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Ticket",
    "type": "object",
    "properties": {
        "code": {"type": "string"},
        "seats": {"type": "integer"},
        "paid": {"type": "boolean"},
        "price": {"type": "number", "x-tolerance": 0.01},
        "guests": {
            "type": "array",
            "x-unordered": True,
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
                "required": ["name"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["code", "seats", "paid", "guests"],
    "additionalProperties": False,
}
_ROW = {
    "id": "worked",
    "input": "Ticket K7, paid: one seat at $12.50 for Ada (36) and Bo.",
    "target": {
        "code": "K7",
        "seats": 1,
        "paid": True,
        "price": 12.5,
        "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}],
    },
    "schema_id": "ticket",
    "complexity": "medium",
    "style": "prose",
}
_NAMES = tuple(metric.name for metric in METRICS)


def _worked(answer: str, why: str, *scores: float) -> Worked:
    return Worked(_ROW, answer, dict(zip(_NAMES, scores, strict=True)), why)


WORKED = (
    _worked(
        '{"code": "K7", "seats": 1, "paid": true, "price": 12.5, "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}',
        "right", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    ),
    _worked(
        '{"price": 12.50, "seats": 1.0, "guests": [{"age": 36, "name": "Ada"}, {"name": "Bo"}], "paid": true, "code": "K7"}',
        "keys in another order, numbers written otherwise", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    ),
    _worked(
        '```json\n{"code": "K7", "seats": 1, "paid": true, "price": 12.5,\n'
        ' "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}\n```\nAnything else?',
        "right, fenced and followed by text", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    ),
    _worked(
        '{"code": "K7", "seats": true, "paid": 1, "price": 12.5, "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}',
        "true is not 1 and 1 is not true; for SLM-Bench's exact match they are", 0, 10 / 14, 0, 1, 4 / 6, 5 / 9, 0, 1, 1, 0, 5 / 7,
    ),
    _worked(
        '{"code": "K7", "seats": "1", "paid": true, "price": 12.5, "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}',
        "wrong type", 0, 12 / 14, 0, 1, 5 / 6, (6 / 7 + 4 / 5 + 1) / 3, 0, 0, 0.8, 0, 6 / 7,
    ),
    _worked(
        '{"code": "K7", "seats": 1, "price": 12.5, "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}',
        "missing field: `paid`", 0, 12 / 13, 0, 1, 5 / 6, 2 / 3, 0, 0, 8 / 9, 0, 6 / 7,
    ),
    _worked(
        '{"code": "K7", "seats": 1, "paid": true, "price": 12.5, "note": "", '
        '"guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}',
        "extra field: `note`", 0, 14 / 15, 0, 1, 1, (6 / 7 + 1 + 1) / 3, 0, 0, 10 / 11, 1, 7 / 8,
    ),
    _worked(
        '{"code": "K7", "seats": 1, "paid": true, "price": 12.5, "guests": [{"name": "Bo"}]}',
        "a list item is missing; the one that is there counts",
        0, 10 / 12, 1, 1, 7 / 9, (4 / 5 + 4 / 5 + 1) / 3, 0, 0, 0.8, 1, 5 / 7,
    ),
    _worked(
        '{"code": "K7", "seats": 1, "paid": true, "price": 12.5, "guests": [{"name": "Bo"}, {"name": "Ada", "age": 36}]}',
        "list items in another order, which the schema leaves free", 0, 1, 1, 1, 1, 1, 1, 0, 0.8, 1, 1,
    ),
    _worked(
        '{"code": "K1", "seats": 1, "paid": true, "price": 12.5, "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}',
        "wrong value", 0, 12 / 14, 1, 1, 5 / 6, 8 / 9, 0, 0, 0.8, 1, 6.5 / 7,
    ),
    _worked(
        '{"code": "K7", "seats": 1, "paid": true, "price": 12.505, "guests": [{"name": "Ada", "age": 36}, {"name": "Bo"}]}',
        "wrong value, within what the schema tolerates", 0, 12 / 14, 1, 1, 5 / 6, (1 + 2 / 3 + 1) / 3, 1, 0, 0.8, 1, 6 / 7,
    ),
    _worked(
        '{"code": "K7", "seats": 1, "paid": true, "price": 12.5, "guests": [{"name": "Ada", "age": 36}, {"na',
        "cut off: an inner object of a broken answer is not the answer; SLM-Bench takes it for one",
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ),
    _worked("The ticket is K7.", "no JSON", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    _worked('{"code": "K7", "code": "K8"}', "repeated key: it means two things", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
)  # fmt: skip
