"""Files of rows as people have them: one, several or a folder; each read as conversations, with what became of every row counted.

files = find(Path("data/"))                       [Found("data/train.jsonl", side="train"), ...]
rows = FileRows(files[0])
for item in rows: ...                             (line, Conversation) or RejectedRow
rows.record()                                     CheckedFile(format="alpaca", read=302, left_out=4, rows=298, ...)
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lathe.data.conversations.conversation import Conversation
from lathe.data.conversations.formats import LOOKED_AT, Layout, detect, texts_alone
from lathe.data.conversations.readers import convert
from lathe.data.files import tables
from lathe.data.files.placed import Placed
from lathe.data.files.read import read_file
from lathe.errors import DataError
from lathe.files import row_files, stem_of
from lathe.records import Json, RejectedRow, Row, Side, label_text
from lathe.records.check import CheckedFile

SIDE_WORDS: dict[Side, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "eval"),
    "test": ("test", "testing", "heldout", "holdout"),
}
SUCCESS = "success"


@dataclass(frozen=True)
class Found:
    """A file, and the side that its name says where others say another."""

    path: Path
    side: Side | None = None


DESCRIBES = "a .json file beside files of rows describes them more often than not (a run reads it as rows)"
OTHERS_HAVE_SIDES = "others are named for sides"


@dataclass(frozen=True)
class PassedOver:
    """Files of a folder that are not read, and why."""

    why: str
    files: Sequence[Path]

    def said(self) -> str:
        """For a person."""
        return f"left out, for {self.why}: {', '.join(file.name for file in self.files)}"


@dataclass(frozen=True)
class Reading:
    """How rows are read, where a person said so.

    mapping: part -> column; None = told by the columns. where: column (dotted) -> value that a row must have; None = an interaction
    must not have failed. system: system prompt by the role of the agent.
    """

    mapping: Mapping[str, str] | None = None
    where: Mapping[str, str] | None = None
    system: Mapping[str, str] | None = None


def find(given: Sequence[Path]) -> tuple[list[Found], list[PassedOver]]:
    """The files to read, and those of a folder that are not.

    Sides are told only where the names say at least two different ones. Raises DataError for a folder without rows.
    """
    read = [inside(path) for path in given]
    files = [file for rows, _ in read for file in rows]
    passed_over = [PassedOver(DESCRIBES, some) for _, some in read if some]
    sides = [side_named(file.name) for file in files]
    if len({side for side in sides if side is not None}) < 2:
        return [Found(file) for file in files], passed_over
    from_folder = len(given) == 1
    found = [Found(file, side) for file, side in zip(files, sides) if side is not None or not from_folder]
    others = [file for file, side in zip(files, sides) if side is None and from_folder]
    return found, [*passed_over, *([PassedOver(OTHERS_HAVE_SIDES, others)] if others else [])]


def inside(path: Path) -> tuple[list[Path], list[Path]]:
    """The file itself, or those of a folder that a run reads, each pair of files once; and those that are passed over."""
    if tables.is_table(path) or not path.is_dir():
        return [path], []
    found = row_files(path)
    rows = [one for one in found if not stem_of(one).endswith(".json")]
    return (rows, [one for one in found if one not in rows]) if rows else (found, [])


def side_named(name: str) -> Side | None:
    """The side that a file's name says: `val.jsonl`, `my-test-set.csv`, `train-00000-of-00002.parquet`."""
    words = re.split(r"[\W_\d]+", name.lower())
    return next((side for side, known in SIDE_WORDS.items() if any(word in words for word in known)), None)


class FileRows:
    """The rows of one file, read once."""

    def __init__(self, found: Found, reading: Reading | None = None) -> None:
        self._found = found
        self._reading = reading or Reading()
        self._layout: Layout | None = None
        self.unread: tuple[str, ...] = ()
        """columns beside texts that are read alone"""
        self._read = self._rejected = self.left_out = self._rows = 0

    def __iter__(self) -> Iterator[tuple[int, Conversation] | RejectedRow]:
        """(line, conversation) of each row that can be used, RejectedRow of each that cannot.

        Raises DataError where the file as a whole cannot be read or its layout is not known.
        """
        path = self._found.path
        items = tables.rows(path) if tables.is_table(path) else read_file(path)
        for item in self._after_detection(items):
            self._read += 1
            if isinstance(item, RejectedRow):
                self._rejected += 1
                yield item
            elif not self._wanted(item.row):
                self.left_out += 1
            else:
                yield self._converted(item)

    def _after_detection(self, items: Iterator[Placed | RejectedRow]) -> Iterator[Placed | RejectedRow]:
        """All items, once the layout is told by the first rows."""
        first: list[Placed | RejectedRow] = []
        rows: list[Placed] = []
        for item in items:
            first.append(item)
            rows += [item] if isinstance(item, Placed) else []
            if len(rows) == LOOKED_AT:
                break
        if rows:
            try:
                self._layout = detect([item.row for item in rows], self._reading.mapping)
                self.unread = self._layout.unread([item.row for item in rows])
            except DataError as error:
                raise DataError(error.message, file=rows[0].file, line=rows[0].line, hint=error.hint) from error
        return itertools.chain(first, items)

    def _wanted(self, row: Row) -> bool:
        if self._reading.where is not None:
            return has_values(row, self._reading.where)
        failed = self._layout is not None and self._layout.name == "interaction"
        return not failed or text_at(row, f"{self._known.columns['execution']}.status") in ("", SUCCESS)

    def _converted(self, item: Placed) -> tuple[int, Conversation] | RejectedRow:
        try:
            conversation = convert(item.row, self._known, self._reading.system)
        except DataError as error:
            self._rejected += 1
            return RejectedRow(file=item.file, line=item.line, reason=error.message, hint=error.hint)
        self._rows += 1
        return item.line, conversation

    @property
    def _known(self) -> Layout:
        assert self._layout is not None, "a row was read, so its layout was told"
        return self._layout

    def note(self) -> str:
        """That texts are read alone and other columns are not, with what to do; empty where all is read."""
        if not self.unread:
            return ""
        name, columns = self._found.path.name, ", ".join(self.unread)
        return f"{name}: rows are read as texts alone, without {columns}. {texts_alone(self._known, self.unread)}"

    def record(self) -> CheckedFile:
        """What became of the rows read so far."""
        return CheckedFile(
            name=str(self._found.path),
            side=self._found.side,
            format=self._layout.name if self._layout else None,
            said=self._layout.said() if self._layout else "",
            mapping=dict(self._layout.columns) if self._layout else {},
            read=self._read,
            rejected=self._rejected,
            left_out=self.left_out,
            rows=self._rows,
        )


def has_values(row: Row, where: Mapping[str, str]) -> bool:
    """Whether a row has all of these values at their columns."""
    return all(text_at(row, column) == value for column, value in where.items())


def text_at(row: Json, column: str) -> str:
    """The text, number or truth value at a dotted column as text; empty where there is none. 1.0 is 1: tables write it so."""
    for step in column.split("."):
        row = row.get(step) if isinstance(row, dict) else None
    text = label_text(row)
    return str(row) if text is None and isinstance(row, float) else text or ""
