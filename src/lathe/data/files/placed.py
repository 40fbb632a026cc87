"""A row with the place it came from: what every reader gives, row after row."""

from __future__ import annotations

from dataclasses import dataclass

from lathe.data.files.json_line import LineFault
from lathe.records import RejectedRow, Row


@dataclass(frozen=True)
class Placed:
    """A row with the place it came from. line: 1-based; for a generated corpus, the number of the row.

    system: what a conversation's system turn says; it stands before the task's own prompt.
    """

    file: str
    line: int
    row: Row
    system: str = ""


def rejected(file: str, line: int, fault: LineFault) -> RejectedRow:
    """The record of a row that cannot be used."""
    return RejectedRow(file=file, line=line, column=fault.column, reason=fault.reason, hint=fault.hint)
