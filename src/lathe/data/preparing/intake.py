"""Rows become examples, one after the other: understood by the task, sided by their text, held against the declared invariants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lathe import invariants, plugins
from lathe.contracts import Progress, Task
from lathe.data.baselines.rules import Item
from lathe.data.baselines.sample import Sample
from lathe.data.files.placed import Placed
from lathe.data.findings.tally import FINDINGS
from lathe.data.preparing import source
from lathe.data.preparing.origin_rows import OriginRows
from lathe.data.preparing.split import normalised
from lathe.data.preparing.spool import Spool, hash64
from lathe.errors import DataError, InputError, TaskMismatch
from lathe.records import DataFinding, DataSpec, Example, LockedRecipe, Message, RejectedRow, Row, Source, TaskSetup

SHOWN = 10
SHOWN_FAULTS = 20
"""Without a tolerance, reading ends at so many unusable rows."""
PROGRESS_EVERY = 500
SAMPLE = 4000
"""Rows on which wrong labels are looked for: a few seconds."""


@dataclass
class Intake:
    """What has been read so far, and what was noticed about single rows."""

    spool: Spool
    task: Task
    setup: TaskSetup
    rules: invariants.Invariants
    max_rejected: float
    """share of rows that may be unusable"""
    sample: Sample = field(default_factory=lambda: Sample(SAMPLE))
    """rows by which labels are judged"""
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
        rows = OriginRows(origin, data, limit, self.reads)
        for item in rows:
            count += 1
            unusable = self.take(item, origin) if isinstance(item, Placed) else item
            if unusable is not None:
                self.reject(unusable, mismatch=isinstance(item, Placed))
            if (before + count) % PROGRESS_EVERY == 0:
                total = data.rows if origin.path is None and not data.where else 0
                progress({"stage": "prepare", "done": before + count, "total": total, "unit": "rows"})
        self.earlier_answers += rows.earlier_answers
        self.several_answers += rows.several_answers
        found = {"num_rows": count, "layout": rows.layout, "left_out": rows.left_out}
        self.sources.append(origin.source.model_copy(update=found))
        return count

    def reads(self, row: Row) -> bool:
        """Whether the task reads a row as it stands."""
        try:
            self.task.example(row, self.setup)
        except TaskMismatch:
            return False
        return True

    def take(self, placed: Placed, origin: source.Origin) -> RejectedRow | None:
        """Spools one row as an example; gives it back as rejected where it does not fit the task."""
        try:
            example = plugins.held(self.task, self.task.example(placed.row, self.setup), Example)
        except TaskMismatch as mismatch:
            return RejectedRow(file=placed.file, line=placed.line, reason=mismatch.message, hint=mismatch.hint)
        if placed.system and all(message.role != "system" for message in example.messages):
            told = Message(role="system", content=placed.system)
            example = example.model_copy(update={"messages": (told, *example.messages)})
        text = normalised(example.input)
        answer = example.completion if example.target is None else example.target
        self.sample.offer(hash64(text), len(self.spool), Item(example.input, answer))
        self.spool.add(example, origin.side_of(text), text, len(self.sources), placed.line)
        if self.rules:
            self.hold(example, placed)
        return None

    def hold(self, example: Example, placed: Placed) -> None:
        """Notes the invariants that a right answer breaks."""
        broken = invariants.broken(self.rules, example.meta.get("schema", ""), example.target)
        self.num_breaches += bool(broken)
        if broken and len(self.breaches) < SHOWN:
            self.breaches.append(f"{placed.file}:{placed.line}: {'; '.join(broken)}")

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
