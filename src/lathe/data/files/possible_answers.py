"""Questions and their possible answers in two files, joined by id: the layout of BFCL (`NAME.json`, `possible_answer/NAME.json`).

{"id": "simple_0", "question": ...}   +   {"id": "simple_0", "ground_truth": [...]}     ->  one row with both
"""

from __future__ import annotations

from collections.abc import Iterator

from lathe.data.files.json_line import LineFault
from lathe.data.files.placed import Placed, rejected
from lathe.records import Json, RejectedRow

Items = Iterator[Placed | RejectedRow]


def joined(questions: Items, answers: Items, answer_file: str) -> Items:
    """Each question with its `ground_truth`. One that has none is rejected: that nothing is to be done has to be said."""
    known: dict[Json, Json] = {}
    for item in answers:
        if isinstance(item, RejectedRow):
            yield item
        elif isinstance(item.row.get("id"), str | int) and "ground_truth" in item.row:
            known[item.row["id"]] = item.row["ground_truth"]
    for item in questions:
        if isinstance(item, RejectedRow):
            yield item
            continue
        identity = item.row.get("id")
        if not isinstance(identity, str | int) or identity not in known:
            hint = "Take the question out, or write its answer; [] where nothing is to be called."
            yield rejected(item.file, item.line, LineFault(f"{answer_file} has no answer to {identity!r}", None, hint))
        else:
            yield Placed(item.file, item.line, {**item.row, "ground_truth": known[identity]}, item.system)
