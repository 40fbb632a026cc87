"""Texts and their answers in two files, line by line: the layout of NL2Bash (`open.nl`, `open.cm`).

list up to ten files   |   ls | head -n 10     ->  {"input": "list up to ten files", "target": "ls | head -n 10"}
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from lathe.data.files.json_line import LineFault, text_of
from lathe.data.files.json_rows import Lines
from lathe.data.files.placed import Placed, rejected
from lathe.errors import DataError
from lathe.records import RejectedRow


def pair_rows(texts: Lines, answers: Lines, file: str, answer_file: str) -> Iterator[Placed | RejectedRow]:
    """Rows with `input` and `target`, placed by their line; a line that is blank in both files is passed over.

    Raises DataError where one file has more lines than the other: then no answer is sure to be its text's.
    """
    number = 0
    for one, other in zip_longest(texts, answers):
        if one is None or other is None:
            longer = f"the longer one goes on with line {number + 1}"
            hint = "Both need one line for each row: mend the files, or take them from their source anew."
            raise DataError(f"{answer_file} has not as many lines: {longer}", file=file, line=number + 1, hint=hint)
        number = one[0]
        try:
            text, answer = (text_of(line).strip() for _, line in (one, other))
        except LineFault as fault:
            yield rejected(file, number, fault)
            continue
        if text and answer:
            yield Placed(file, number, {"input": text, "target": answer})
        elif text or answer:
            missing = f"the line is empty in {answer_file}" if text else "the line is empty"
            yield rejected(file, number, LineFault(missing, None, "Give both, or take the line out of both files."))
