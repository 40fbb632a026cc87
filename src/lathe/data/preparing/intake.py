"""Rows become examples, one after the other: understood by the task, sided by their text, held against the declared invariants."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from lathe.contracts import Progress
from lathe.data.files.placed import Placed
from lathe.data.findings.tally import FINDINGS
from lathe.data.preparing import source
from lathe.data.preparing.origin_rows import OriginRows
from lathe.data.preparing.spool import Spool
from lathe.data.preparing.understanding import AT_ONCE, Lot, Understanding
from lathe.errors import DataError, InputError, TaskMismatch
from lathe.records import DataFinding, DataSpec, LockedRecipe, RejectedRow, Source
from lathe.workers import Workers

SHOWN = 10
SHOWN_FAULTS = 20
"""Without a tolerance, reading ends at so many unusable rows."""
Items = Sequence[Placed | RejectedRow]
"""Rows as they were read."""


@dataclass
class Intake:
    """What has been read so far, and what was noticed about single rows."""

    spool: Spool
    own: Understanding
    """what understands rows in this process"""
    beside: Workers[Sequence[Placed], Lot, Items]
    """and who else does"""
    max_rejected: float
    """share of rows that may be unusable"""
    sources: list[Source] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    """places and rules of the first answers that break an invariant"""
    num_breaches: int = 0
    earlier_answers: int = 0
    """conversations of which answers before the last are not trained"""
    several_answers: int = 0
    """rows of which other right answers are not known any more"""
    by_where: bool = False
    """whether the recipe says which rows are meant"""
    begins_with_mismatch: bool = False
    """whether the first unusable row did not fit the task, rather than could not be read"""

    def read(self, locked: LockedRecipe, progress: Progress, taught: source.Taught | None = None) -> None:
        """Reads everything that the recipe names. taught: the rows of its teacher, where it has one.

        Raises DataError or TaskMismatch for more unusable rows than are allowed.
        """
        data = locked.recipe.data
        self.by_where = bool(data.where)
        done = limited = 0
        for origin in source.origins(locked, taught):
            left = None if data.limit is None or not origin.limited else data.limit - limited
            count = self.read_origin(origin, data, left, done, progress)
            done += count
            limited += count if origin.limited else 0
        if len(self.rejected) > self.max_rejected * done:
            raise too_many(self.rejected, mismatch=self.begins_with_mismatch, cut_short=False)
        progress({"stage": "prepare", "done": done, "total": done, "unit": "rows"})

    def read_origin(
        self, origin: source.Origin, data: DataSpec, limit: int | None, before: int, progress: Progress
    ) -> int:
        """Reads one file or corpus; returns the number of its rows. before: rows of earlier ones."""
        count = 0
        total = data.rows if origin.path is None and not data.where else 0
        rows = OriginRows(origin, data, limit, self.own.reads)
        for lot, items in self.lots(rows):
            self.take(lot, items, origin)
            count += len(items)
            progress({"stage": "prepare", "done": before + count, "total": total, "unit": "rows"})
        self.earlier_answers += rows.earlier_answers
        self.several_answers += rows.several_answers
        found = {"num_rows": count, "layout": rows.layout, "left_out": rows.left_out}
        self.sources.append(origin.source.model_copy(update=found))
        return count

    def lots(self, rows: Iterable[Placed | RejectedRow]) -> Iterator[tuple[Lot, Items]]:
        """Rows as they were read, lot by lot, each with what those that could be read were understood as."""
        rows = iter(rows)
        while items := list(itertools.islice(rows, AT_ONCE)):
            yield from self.beside.hand([item for item in items if isinstance(item, Placed)], items)
        yield from self.beside.rest()

    def take(self, lot: Lot, items: Items, origin: source.Origin) -> None:
        """Spools the rows of a lot; those that are none of the task's are rejected, as those that could not be read."""
        understood = iter(lot.rows)
        for item in items:
            row = next(understood) if isinstance(item, Placed) else item
            if isinstance(row, RejectedRow):
                self.reject(row, mismatch=isinstance(item, Placed))
                continue
            self.spool.add(row, origin.side_of(row.text), len(self.sources), item.line)
            if row.breach:
                self.note_breach(f"{item.file}:{item.line}: {row.breach}")
        self.spool.add_shingles(lot)

    def note_breach(self, breach: str) -> None:
        """Takes note of invariants that a right answer breaks."""
        self.num_breaches += 1
        if len(self.breaches) < SHOWN:
            self.breaches.append(breach)

    def reject(self, row: RejectedRow, *, mismatch: bool) -> None:
        """Takes note of an unusable row. Raises once there are enough of them to say so."""
        if not self.rejected:
            self.begins_with_mismatch = mismatch
        self.rejected.append(row)
        if self.max_rejected == 0.0 and len(self.rejected) >= SHOWN_FAULTS:
            raise too_many(self.rejected, mismatch=self.begins_with_mismatch, cut_short=True)

    def findings(self) -> tuple[DataFinding, ...]:
        """What a person should know about single rows and their sources."""
        found = (
            rejected_finding(self.rejected),
            breach_finding(self.breaches, self.num_breaches),
            *layout_findings(self.sources),
            left_out_finding(self.sources, "by data.where" if self.by_where else "as interactions that failed"),
            earlier_answers_finding(self.earlier_answers),
            several_answers_finding(self.several_answers, len(self.spool)),
            id_finding(self.spool.repeated_ids, self.spool.num_repeated_ids),
            licence_finding(self.sources),
        )
        return tuple(finding for finding in found if finding is not None)


def too_many(rejected: list[RejectedRow], *, mismatch: bool, cut_short: bool) -> InputError:
    """One error for all rows that cannot be used: the first in full, the others by their lines."""
    first, others = rejected[0], rejected[1:]
    message = first.reason
    if others:
        lines = ", ".join(str(row.line) for row in others[:5]) + (" ..." if len(others) > 5 else "")
        count = f"at least {len(others)}" if cut_short else str(len(others))
        rows, noun = ("rows", "lines") if len(others) > 1 else ("row", "line")
        message += f"; {count} more {rows} cannot be used either ({noun} {lines})"
    if mismatch:
        return TaskMismatch(f"{first.file}:{first.line}: {message}", hint=first.hint)
    return DataError(message, file=first.file, line=first.line, column=first.column, hint=first.hint)


def rejected_finding(rejected: Sequence[RejectedRow]) -> DataFinding | None:
    """Rows that could not be used, and were allowed."""
    if not rejected:
        return None
    return DataFinding(
        id="rejected_row",
        level="warning",
        message=f"{len(rejected)} rows could not be used",
        hint="They are listed in data/rejected.jsonl.",
        examples=tuple(f"{row.file}:{row.line}: {row.reason}" for row in rejected[:SHOWN]),
        count=len(rejected),
    )


def breach_finding(shown: Sequence[str], count: int) -> DataFinding | None:
    """Right answers that break a rule which the recipe says they keep."""
    if not count:
        return None
    message = f"{count} answers break a rule that the recipe declares"
    hint = "Mend the answers, or the rule."
    return DataFinding(id="invariant", level="error", message=message, hint=hint, examples=tuple(shown), count=count)


def id_finding(repeated: Sequence[str], count: int) -> DataFinding | None:
    """Ids that more than one row has."""
    if not count:
        return None
    message = f"{count} rows have the id of an earlier row; a number was put behind theirs"
    return DataFinding(id="repeated_id", level="info", message=message, examples=tuple(repeated[:SHOWN]), count=count)


def layout_findings(sources: Sequence[Source]) -> Iterator[DataFinding]:
    """How rows were read that are not in the task's own words."""
    for layout in dict.fromkeys(one.layout for one in sources if one.layout is not None):
        names = tuple(one.name for one in sources if one.layout == layout)
        message = f"rows read as {layout}"
        yield DataFinding(id="layout", level="info", message=message, examples=names[:SHOWN], count=len(names))


def left_out_finding(sources: Sequence[Source], how: str) -> DataFinding | None:
    """How many rows of which sources were left out."""
    left_out = [one for one in sources if one.left_out]
    if not left_out:
        return None
    count = sum(one.left_out for one in left_out)
    shown = tuple(f"{one.name}: {one.left_out:,}" for one in left_out[:SHOWN])
    message = f"{count:,} rows were left out {how}"
    return DataFinding(id="left_out", level="info", message=message, examples=shown, count=count)


def earlier_answers_finding(count: int) -> DataFinding | None:
    """How many conversations have answers that are not trained."""
    if not count:
        return None
    return DataFinding(
        id="earlier_answers",
        level="info",
        message=f"of {count:,} conversations with several answers the last one is trained; the others are its prompt",
        hint=FINDINGS["earlier_answers"].hint,
        count=count,
    )


def several_answers_finding(count: int, rows: int) -> DataFinding | None:
    """How many rows give more right answers than one."""
    if not count:
        return None
    said = FINDINGS["several_answers"]
    message = said.message.format(n=f"{count:,}", rows=f"{rows:,}")
    return DataFinding(id="several_answers", level=said.level, message=message, hint=said.hint, count=count)


def licence_finding(sources: Sequence[Source]) -> DataFinding | None:
    """Sources whose licence nobody stated."""
    unstated = tuple(source.name for source in sources if source.licence is None)
    if not unstated:
        return None
    message = f"{len(unstated)} of {len(sources)} sources state no licence: fine for training, not for publishing"
    return DataFinding(
        id="licence_unstated", level="info", message=message, examples=unstated[:SHOWN], count=len(unstated)
    )
