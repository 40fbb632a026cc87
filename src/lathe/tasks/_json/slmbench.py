r"""SLM-Bench's own scorers for EdgeJSON, flaws included, so that its published numbers can be set beside ours.

Source: CycleCore-Technologies/slmbench, scripts/eval.py. Its flaws, kept: where the whole text is no JSON, a regular
expression that knows one inner level of braces picks an object, so that deeper answers followed by text give an inner
object or nothing; `True == 1`; only top-level keys count as fields; "schema compliance" compares types with the gold
answer and never looks at the schema.
"""

from __future__ import annotations

import json
import re

from lathe.records import Json

_ONE_INNER_LEVEL = re.compile(r"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")


def extract(text: str) -> Json:
    """The whole text as JSON, else the first match of the expression that is JSON, else None."""
    for candidate in (text.strip(), *_ONE_INNER_LEVEL.findall(text)):
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    return None


def json_exact(gold: Json, said: Json) -> float:
    """Python's `==`."""
    try:
        return float(said is not None and said == gold)
    except RecursionError:
        return 0.0


def field_f1(gold: dict[str, Json], said: Json) -> float:
    """F1 over top-level keys; a nested value is right as a whole or not at all."""
    if not isinstance(said, dict):
        return 0.0
    if not gold and not said:
        return 1.0
    num_correct = sum(1 for key in gold if key in said and json_exact({"": gold[key]}, {"": said[key]}))
    if not num_correct:
        return 0.0
    precision, recall = num_correct / len(said), num_correct / len(gold)
    return 2 * precision * recall / (precision + recall)


def schema_compliance(gold: dict[str, Json], said: Json) -> float:
    """1 where a non-empty object has all top-level keys of the gold answer with values of the same type (int and float are one)."""
    if not isinstance(said, dict) or not said:
        return 0.0
    return float(all(key in said and _same_type(value, said[key]) for key, value in gold.items()))


def _same_type(gold: Json, said: Json) -> bool:
    numbers = (int, float)
    return type(gold) is type(said) or (type(gold) in numbers and type(said) in numbers)
