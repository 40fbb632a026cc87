"""`lathe check`: what is wrong with a set of rows, before anything is trained on it.

    check_file([Path("my.jsonl")]).headline    ->  "64 of 298 answers are cut off; 1 mock answer; 107 more stopped mid-sentence"
    check_run(run, locked)                     the same for the prepared rows of a recipe, with its base, task and invariants

Every row is looked at for itself (answers cut, mock, refused; secrets), all rows together (leaks, contradictions,
near-duplicates), and every row's tokens (loss mask, lengths). On a sample it is measured how far rules without a model get, and
which labels look wrong. No torch is needed. A row of 600 bytes takes about half a millisecond of a core; all share many rows.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from lathe import plugins
from lathe.contracts import Progress, silent
from lathe.data.baselines import suspects
from lathe.data.baselines.learnability import Right, kind_of, measure, same_text
from lathe.data.baselines.rules import Item, Rule
from lathe.data.baselines.task_rules import as_rule, right_by, usual_rules
from lathe.data.conversations.conversation import Conversation, Turn
from lathe.data.conversations.masks import MaskProof
from lathe.data.conversations.row_files import FileRows, Reading, find
from lathe.data.duplicates.earlier import EarlierRows
from lathe.data.findings.answers import WRITTEN
from lathe.data.findings.census import LEAST_ROWS, Census, Stand
from lathe.data.findings.single_rows import Seen, SingleRows, Terms
from lathe.data.findings.tally import Tally, note_suspects, ordered
from lathe.data.lookers import Asked, lookers
from lathe.errors import DataError
from lathe.records import DataFinding, Example, Json, LockedRecipe, RejectedRow, Side, TaskSetup, label_texts
from lathe.records.check import AnswerKind, CheckedFile, CheckReport, Learnability, MaskedRow
from lathe.records.data import Suspect
from lathe.runs import RunFolder
from lathe.storage import each_row
from lathe.text.coloured import coloured
from lathe.workers import Workers

BUNDLED = "lathe:nano"
SAMPLE = 4000
"""Rows on which rules are learned: a score to about one percent, in a few seconds."""
JSON_SAMPLE = 1000
"""The same for JSON answers, whose rules take milliseconds a row."""
CHUNK = 256
"""Rows that are looked at at once."""
SOLVED = 0.9
USUAL_LENGTH = 1024
HEADLINES = 3


@dataclass(frozen=True)
class Looking:
    """What a check is to know besides the rows.

    max_tokens: length at which rows would be cut; None = the base's context. rules: invariants by the schema that their answers
    have, `*` for all. schemas: JSON Schemas by the name that rows use. labels: all that there may be; None = not declared.
    sample: rows that rules without a model learn from; None = all. show: how many rows to give back token by token. processes: how
    many may look at rows; None = as many as there are cores. against: earlier runs whose training rows may be among these.
    """

    max_tokens: int | None = None
    rules: Mapping[str, Sequence[str]] = field(default_factory=dict)
    schemas: Mapping[str, Json] = field(default_factory=dict)
    labels: Sequence[str] | None = None
    sample: int | None = SAMPLE
    show: int = 0
    processes: int | None = None
    against: Sequence[Path] = ()


def labels_in(schemas: Mapping[str, Json]) -> list[str] | None:
    """The labels that schemas declare as a set (`{"enum": [...]}`, a file that is a JSON list of labels); None where none does."""
    sets = [schema["enum"] for schema in schemas.values() if isinstance(schema, dict) and schema.keys() == {"enum"}]
    return label_texts([label for labels in sets for label in labels]) if sets else None


def check_file(
    given: str | Path | Sequence[str | Path],
    *,
    tokenizer_folder: Path | None = None,
    reading: Reading | None = None,
    looking: Looking | None = None,
    progress: Progress = silent,
) -> CheckReport:
    """Checks one file, a folder, or several files, with no recipe. The names of several may say train, validation and test.

    tokenizer_folder: a base whose tokenizer and template are meant; the bundled one counts where it is None. Raises DataError where
    a file as a whole cannot be read, its layout is not known, or no row can be used; InputError for a folder without a tokenizer.
    """
    start = time.monotonic()
    found, passed_over = find([Path(one) for one in ([given] if isinstance(given, str | Path) else given)])
    notes = [one.said() for one in passed_over]
    checking = Checking(tokenizer_folder or bundled(), looking or Looking(), progress)
    with checking:
        for one in found:
            rows = FileRows(one, reading)
            for item in rows:
                if isinstance(item, RejectedRow):
                    checking.reject(item)
                else:
                    checking.add(item[1], one.side, str(one.path), item[0])
            checking.files.append(rows.record())
            notes += [rows.note()] if rows.note() else []
        if not any(file.rows for file in checking.files):
            raise DataError("no row can be used", file=str(found[0].path), hint=checking.first_rejection)
        name, long_rows = (str(tokenizer_folder), "cut_elsewhere") if tokenizer_folder else (BUNDLED, "long_row")
        return checking.report(name, start, notes=notes, long_rows=long_rows)


def check_run(run: RunFolder, locked: LockedRecipe, *, show: int = 0, progress: Progress = silent) -> CheckReport:
    """Checks the prepared rows of a run with the base's own tokenizer, the recipe's invariants and the task's own rules."""
    start = time.monotonic()
    recipe = locked.recipe
    against = tuple(map(Path, recipe.data.against))
    looking = Looking(max_tokens=recipe.train.max_tokens, rules=recipe.data.invariants, show=show, against=against)
    checking = Checking(Path(locked.base_folder), looking, progress)
    task, setup = plugins.load("tasks", recipe.task), run.load(run.setup, TaskSetup)
    sides: tuple[Side, ...] = ("train", "validation", "test")
    with checking:
        for side in sides:
            number = 0
            for number, example in enumerate(each_row(run.rows(side), Example), start=1):
                row = replace(conversation_of(example), judged=task.meaning(example))
                checking.add(row, side, run.rows(side).name, number)
            checking.files.append(CheckedFile(name=run.rows(side).name, side=side, read=number, rows=number))
        rules = tuple(as_rule(task, one, setup) for one in task.baselines)
        return checking.report(recipe.base, start, rules=rules, right=right_by(task, setup))


def bundled() -> Path:
    """The folder of the bundled base, whose tokenizer counts where no other is given."""
    return Path(__file__).parents[1] / "assets" / "nano"


def conversation_of(example: Example) -> Conversation:
    """A prepared example as a conversation of the same turns."""
    # Answers of a prompt are not learned: only the completion is.
    turns = [Turn(message.role, message.content, trained=message.role != "assistant") for message in example.messages]
    return Conversation(
        turns=(*turns, Turn("assistant", example.completion)), target=example.target, id=example.id, meta=example.meta,
        asked=example.input,
    )  # fmt: skip


@dataclass
class Chunk:
    """Rows on their way, where each stands, and those in between that cannot be used."""

    rows: list[Conversation] = field(default_factory=list)
    stands: list[Stand] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)


class Checking:
    """One check while it goes on. Rows are looked at in chunks: here, or by processes beside this one where there are many."""

    def __init__(self, tokenizer: Path, looking: Looking, progress: Progress) -> None:
        """tokenizer: folder of the base."""
        terms = Terms(tokenizer, looking.max_tokens, looking.rules, looking.schemas, looking.sample)
        self.census = Census(looking.sample)
        self.files: list[CheckedFile] = []
        self.first_rejection: str | None = None
        self._looking, self._progress = looking, progress
        own = SingleRows(terms)
        self._lookers: Workers[Asked, Seen, Chunk] = lookers(terms, own, looking.processes)
        self._tok = own.tok
        self._proof = MaskProof(self._tok, looking.max_tokens)
        self._shown: list[MaskedRow] = []
        self._chunk = Chunk()

    def __enter__(self) -> Checking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lookers.close()
        self.census.close()

    def add(self, conversation: Conversation, side: Side | None, file: str, line: int) -> None:
        """Takes one row."""
        self._chunk.rows.append(conversation)
        self._chunk.stands.append(Stand(side, file, line))
        if len(self._chunk.rows) == CHUNK:
            self._look()

    def reject(self, row: RejectedRow) -> None:
        """Counts one row that cannot be used."""
        self.first_rejection = self.first_rejection or f"The first reason, in line {row.line}: {row.reason}"
        self._chunk.rejected.append(row)

    def _look(self) -> None:
        """Has the rows that wait looked at, and takes what was seen of those before them."""
        rows, chunk, self._chunk = self._chunk.rows, replace(self._chunk, rows=[]), Chunk()
        for seen, taken in self._lookers.hand((rows, self._looking.show - len(self._shown)), chunk):
            self._take(seen, taken)

    def _take(self, seen: Seen, chunk: Chunk) -> None:
        for rejected in chunk.rejected:
            self.census.tally.note("rejected_row", f"{rejected.file}:{rejected.line}", rejected.reason)
        first = self.census.add(seen, chunk.stands)
        for row, mask in seen.masks:
            place = self.census.place(first + row)
            if isinstance(mask, str):
                self.census.tally.note("rejected_row", place, mask)
            else:
                self._proof.add(mask, place)
        for row, tokens in seen.tokens[: self._looking.show - len(self._shown)]:
            self._shown.append(coloured(self._tok, tokens, self.census.place(first + row)))
        self._progress({"stage": "check", "done": len(self.census), "total": 0, "unit": "rows"})

    def report(
        self,
        tokenizer: str,
        start: float,
        *,
        rules: Sequence[Rule] = (),
        right: Right = same_text,
        notes: Sequence[str] = (),
        long_rows: str | None = None,
    ) -> CheckReport:
        """Everything that was found.

        tokenizer: how it is called. start: monotonic seconds at the beginning. rules: those that a task declares. right: which
        answers it takes for right. long_rows: the finding that rows longer than other trainers allow are noted under; None = Lathe
        itself trains on them.
        """
        self._look()
        for seen, chunk in self._lookers.rest():
            self._take(seen, chunk)
        census, looking = self.census, self._looking
        numbers, items = census.sample.rows()
        kind: AnswerKind = kind_of([item.answer for item in items]) if items else "text"
        if kind == "json" and looking.sample is not None:
            numbers, items = census.sample.rows(JSON_SAMPLE)
        census.note_overlaps(kind)
        if looking.against:
            with contextlib.closing(EarlierRows(looking.against)) as earlier:
                census.note_earlier(earlier)
        census.note_answers(kind, looking.labels)
        learnability, ranked = self._learn(
            numbers, items, rules or usual_rules(kind, [item.answer for item in items]), right
        )
        lengths = self._proof.lengths(tokenizer)
        if long_rows is not None and (count := lengths.longer_than[str(USUAL_LENGTH)]):
            census.tally.note(long_rows, f"the longest row has {lengths.longest:,} tokens", count=count)
        tallied = [one for one in census.tally.findings(len(census)) if kind != "label" or one.id not in WRITTEN]
        found = [*tallied, *self._proof.findings(), *([rule_finding(learnability)] if learnability else [])]
        findings = ordered(found)
        return CheckReport(
            headline=headline(census.tally, findings, len(census)),
            files=tuple(self.files),
            findings=findings,
            kind=kind,
            lengths=lengths,
            learnability=learnability,
            suspects=ranked,
            shown=tuple(self._shown),
            notes=(*notes, *sampled(learnability)),
            seconds=time.monotonic() - start,
        )

    def _learn(
        self, numbers: list[int], items: list[Item], rules: Sequence[Rule], right: Right
    ) -> tuple[Learnability | None, tuple[Suspect, ...]]:
        """Scores of rules without a model on the sample, and the labels that they doubt, worst first; none on too few rows."""
        if len(items) < LEAST_ROWS:
            return None, ()
        self._progress({"stage": "check", "done": 0, "total": len(items), "unit": "rows", "part": "rules"})
        learnability, model = measure(items, rules, sampled_from=len(self.census), right=right)
        places = [self.census.place(row) for row in numbers]
        found = suspects.doubted(places, items, model) if model is not None else ()
        note_suspects(self.census.tally, found)
        self._progress({"stage": "check", "done": len(items), "total": len(items), "unit": "rows", "part": "rules"})
        return learnability, found


# ------------------------------------------------------------------------------------------ words


def rule_finding(learnability: Learnability) -> DataFinding:
    """The score to beat, as a remark; a warning where a rule already solves the task."""
    best = learnability.best()
    assert best is not None, "every kind of answer has a rule"
    solved = best.exact >= SOLVED
    fields = f", {best.fields:.1%} of fields" if best.fields is not None else ""
    return DataFinding(
        id="trivial_rule",
        level="warning" if solved else "info",
        message=f"the score to beat without a model: {best.name}, {best.exact:.1%} right{fields} ({best.n:,} rows)",
        hint="A rule already solves this; a model has to be worth its cost."
        if solved
        else "A tuned model must beat it; the default gate holds it to that.",
        count=best.n,
    )


def sampled(learnability: Learnability | None) -> tuple[str, ...]:
    """The remark that rules saw only a part of the rows, where they did."""
    if learnability is None or learnability.rows == learnability.sampled_from:
        return ()
    return (
        f"rules were learned on {learnability.rows:,} of {learnability.sampled_from:,} rows, chosen by their content",
    )


def headline(tally: Tally, findings: Sequence[DataFinding], rows: int) -> str:
    """The gravest findings in a line that can be retold, or that there are none."""
    grave = [tally.short(finding, rows) for finding in findings if finding.level != "info"]
    counted = f"{rows:,} row{'' if rows == 1 else 's'}"
    return "; ".join(grave[:HEADLINES]) if grave else f"{counted}, nothing found that must be mended"
