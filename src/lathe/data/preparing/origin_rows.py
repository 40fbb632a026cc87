"""The rows of one origin, as rows that a task reads: nobody has to rename a column.

    {"conversations": [{"from": "human", "value": "Order 17?"}, {"from": "gpt", "value": "{...}"}]}
    ->  {"input": "Order 17?", "target": {...}, "messages": [{"role": "user", "content": "Order 17?"}]}

Rows that the task reads as they are stay so; others are told by their columns (lathe.data.conversations.formats). A mapping in
`data.fields` always wins; a column `system` is the system prompt of its row in every layout that has one. Of a conversation with
several answers the last one that is to be learned counts, the turns before it are its prompt: each answer as a row of its own would
put parts of one conversation on different sides of the split.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from lathe.data.conversations.conversation import Conversation, structured
from lathe.data.conversations.formats import LOOKED_AT, Layout, detect, without_names
from lathe.data.conversations.row_files import FileRows, Found, Reading, has_values
from lathe.data.files import tables
from lathe.data.files.placed import Placed
from lathe.data.files.read import read_file
from lathe.data.preparing.source import CORPUS_PREFIX, Origin
from lathe.errors import DataError
from lathe.files import is_tabular
from lathe.made_rows import made_rows
from lathe.records import DataSpec, Json, RejectedRow, Row

Items = Iterator[Placed | RejectedRow]
SYSTEM = "system"
"""The column of a row's system prompt, unless `data.fields` names another."""


class OriginRows:
    """The rows of one file or corpus, read once; what became of them is known afterwards."""

    def __init__(self, origin: Origin, data: DataSpec, limit: int | None, reads: Callable[[Row], bool]) -> None:
        """limit: most rows to give; None = all. reads: whether the task reads a row as it stands."""
        self._origin, self._data, self._limit, self._reads = origin, data, limit, reads
        self.layout: str | None = None
        """how conversations were read; None = rows are the task's own"""
        self.left_out = 0
        self.earlier_answers = 0
        """conversations with answers before the one that is trained"""
        self.several_answers = 0
        """rows with several right answers, of which the first is trained"""

    def __iter__(self) -> Items:
        """Raises DataError where a file changes while it is read."""
        path = self._origin.path
        if path is None:
            yield from itertools.islice(self._kept(self._generated()), self._limit)
            return
        before = stamp(path)
        layout = self._told(path)
        self.layout = layout.said() if layout is not None else None
        yield from itertools.islice(
            self._kept(self._with_system(read(path))) if layout is None else self._conversations(path), self._limit
        )
        if stamp(path) != before:
            raise DataError("the file changed while it was read", file=str(path), hint="Run the same command again.")

    def _generated(self) -> Items:
        name = self._origin.source.name
        rows = made_rows(name.removeprefix(CORPUS_PREFIX), self._data.seed, self._data.rows)
        for number, row in enumerate(rows, start=1):
            yield Placed(name, number, row)

    def _told(self, path: Path) -> Layout | None:
        """The layout of the first rows; None where the task reads one of them as it is, or no layout is known.

        Raises DataError where the first row stands in place of the columns' names.
        """
        placed = [item for item in itertools.islice(read(path), LOOKED_AT) if isinstance(item, Placed)]
        first = [item.row for item in placed]
        by_columns = bool(first) and not self._data.fields and not any(map(self._reads, first))
        layout = conversational(first) if by_columns else None
        if by_columns and layout is None and (headless := without_names(first)):
            raise DataError(headless.message, file=placed[0].file, line=placed[0].line, hint=headless.hint)
        if self._data.system and (layout is None or layout.name != "interaction"):
            raise DataError(
                "data.system gives prompts by the role of an agent, and these rows are no log of interactions",
                file=str(path),
                hint="Take data.system out; a conversation's own system turn is kept.",
            )
        return layout

    def _with_system(self, items: Items) -> Items:
        for item in items:
            yield with_system(item, self._data.fields) if isinstance(item, Placed) else item

    def _kept(self, items: Items) -> Items:
        for item in items:
            if isinstance(item, Placed) and not has_values(item.row, self._data.where):
                self.left_out += 1
            else:
                yield item

    def _conversations(self, path: Path) -> Items:
        rows = FileRows(Found(path), Reading(where=self._data.where or None, system=self._data.system))
        for item in rows:
            self.left_out = rows.left_out
            if isinstance(item, RejectedRow):
                yield item
                continue
            self.earlier_answers += item[1].has_earlier_answers()
            self.several_answers += item[1].several
            yield placed(str(path), *item)
        self.left_out = rows.left_out


def read(path: Path) -> Items:
    """The rows of a file as they are."""
    return tables.rows(path) if is_tabular(path) else read_file(path)


def with_system(item: Placed, fields: Mapping[str, str]) -> Placed:
    """A row in a task's own words with the system prompt that it brings, as rows of the layouts have it."""
    column = fields.get(SYSTEM, SYSTEM)
    taken = column in (used for name, used in fields.items() if name != SYSTEM)
    said = item.row.get(column)
    return replace(item, system=said) if isinstance(said, str) and said.strip() and not taken else item


def conversational(rows: list[Row]) -> Layout | None:
    """The layout of rows that hold a prompt and an answer in columns that are known; None for others."""
    try:
        layout = detect(rows)
    except DataError:
        return None
    return None if layout.name == "text" and not layout.markup else layout


def placed(file: str, line: int, conversation: Conversation) -> Placed | RejectedRow:
    """A conversation as a row of the words that tasks know: input, target, messages, tools, and its other short columns."""
    learned = up_to_answer(conversation)
    if learned is None:
        reason = "no answer of the row is to be learned: all have the weight 0"
        return RejectedRow(
            file=file, line=line, reason=reason, hint="Take the row out, or give an answer the weight 1."
        )
    system = "\n\n".join(turn.text() for turn in learned.turns[:-1] if turn.role == "system")
    row: Row = {
        **learned.meta,
        **({"id": learned.id} if learned.id is not None else {}),
        "input": learned.input,
        "target": answer_of(learned),
        "messages": [{"role": turn.role, "content": turn.text()} for turn in learned.turns[:-1]],
        **({"tools": list(learned.tools)} if learned.tools else {}),
    }
    return Placed(file, line, row, system)


def answer_of(conversation: Conversation) -> Json:
    """The answer as a value: the calls of tools, the JSON value that it is, or its text."""
    if conversation.turns[-1].tool_calls:
        return list(conversation.turns[-1].tool_calls)
    return conversation.completion if conversation.target is None else conversation.target


def up_to_answer(conversation: Conversation) -> Conversation | None:
    """The conversation up to the last answer that is to be learned; None where there is none."""
    turns = conversation.turns
    last = max((place for place, turn in enumerate(turns) if turn.role == "assistant" and turn.trained), default=None)
    if last is None or last == len(turns) - 1:
        return conversation if last is not None else None
    target = None if turns[last].tool_calls else structured(turns[last].content)
    return replace(conversation, turns=turns[: last + 1], target=target)


def stamp(path: Path) -> tuple[int, int]:
    """What changes when a file is written: its size and the time of its last change, in nanoseconds."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns
