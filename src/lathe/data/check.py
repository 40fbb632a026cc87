"""`lathe check FILE`: what is wrong with a file of rows, before there is a recipe, a configuration or a model.

    report = check_file(Path("my.jsonl"))
    report.headline     "64 of 298 answers are cut off; 1 mock answer"

Reads one file, a folder, or several files whose names say train, validation and test; tells the layout; looks at every row for itself,
at all rows together (duplicates, leaks, contradictions), at every row's tokens, and on a sample at what a rule without a model learns.
10,000 rows of 700 bytes take about 20 s on two cores, most of it on the sample.
"""

from __future__ import annotations

import heapq
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lathe import plugins
from lathe.contracts import Progress
from lathe.data import overlaps, quality, suspects, tables
from lathe.data.answers import WRITTEN, Values, group_of, look
from lathe.data.conversation import Conversation, answer_example, identity_of
from lathe.data.formats import LOOKED_AT, Layout, detect
from lathe.data.learnability import Item, Labelled, Rule, kind_of, measure, text_of
from lathe.data.masks import MaskProof, coloured
from lathe.data.near import Sets, pairs, shingles
from lathe.data.read import Placed, read_file
from lathe.data.readers import convert
from lathe.data.secrets import redacted
from lathe.data.split import normalised
from lathe.data.spool import hash64
from lathe.data.tally import Tally, ordered
from lathe.errors import DataError
from lathe.files import row_files
from lathe.records import DataFinding, Json, RejectedRow, Row, Side, TaskSetup
from lathe.records.check import AnswerKind, CheckedFile, CheckReport, Learnability, Lengths, MaskedRow, Suspect
from lathe.text.render import Encoded, encode_all
from lathe.text.tokenizer import Tokenizer, load

SAMPLE = 4000
"""Rows on which rules are learned: enough for a score to about one percent, and a few seconds."""
LEAST_TO_LEARN = 30
MOST_SUSPECTS = 50
MOST_LABELS = 2000
BATCH = 256
SURE_MARGIN = -0.15
"""A label is called suspect where another one's score is higher by so much; on clean BANKING77 about 2 % of rows are."""
SOLVED = 0.9
SIDES: dict[Side, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "eval"),
    "test": ("test", "testing", "heldout", "holdout"),
}
NO_PROGRESS: Progress = lambda event: None  # noqa: E731


@dataclass
class _Sample:
    """The rows with the smallest hashes: the same ones in whatever order they come."""

    most: int
    heap: list[tuple[int, int, Item]] = field(default_factory=list)

    def offer(self, hashed: int, row: int, item: Item) -> None:
        entry = (-hashed, -row, item)
        if len(self.heap) < self.most:
            heapq.heappush(self.heap, entry)
        elif entry[:2] > self.heap[0][:2]:
            heapq.heapreplace(self.heap, entry)

    def rows(self) -> tuple[list[int], list[Item]]:
        """Row numbers and items, in the order of the file."""
        inside = sorted(self.heap, key=lambda entry: -entry[1])
        return [-row for _, row, _ in inside], [item for _, _, item in inside]


@dataclass
class _Gathered:
    """What is kept while rows stream by: a few numbers a row, and the sample."""

    sets: Sets
    sample: _Sample
    tally: Tally = field(default_factory=Tally)
    values: Values = field(default_factory=Values)
    inputs: array[int] = field(default_factory=lambda: array("Q"))
    targets: array[int] = field(default_factory=lambda: array("Q"))
    file_of: array[int] = field(default_factory=lambda: array("i"))
    line_of: array[int] = field(default_factory=lambda: array("q"))
    answers: Counter[str] | None = field(default_factory=Counter)
    files: list[CheckedFile] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    sides: list[Side | None] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def place(self, row: int) -> str:
        return f"{self.names[self.file_of[row]]}:{self.line_of[row]}"

    def add(self, conversation: Conversation, file: int, line: int) -> None:
        row = len(self.inputs)
        asked, answer = normalised(conversation.input), conversation.completion
        self.inputs.append(hash64(asked or normalised(answer)))
        self.targets.append(hash64(answer))
        self.file_of.append(file)
        self.line_of.append(line)
        self.sets.add(shingles(asked or normalised(answer)))
        self.values.add(row, conversation)
        if self.answers is not None:
            self.answers[answer] += 1
            if len(self.answers) > MOST_LABELS:
                self.answers = None
        if len(conversation.turns) > 1:
            target = answer if conversation.target is None else conversation.target
            self.sample.offer(self.inputs[row], row, Item(conversation.input, target, group_of(conversation)))
        for id, detail in look(conversation):
            self.tally.note(id, self.place(row), detail)


# ------------------------------------------------------------------------------------------ the verb


def check_file(
    path: Path | Sequence[Path],
    *,
    tokenizer_folder: Path | None = None,
    max_tokens: int | None = None,
    mapping: Mapping[str, str] | None = None,
    where: Mapping[str, str] | None = None,
    system: Mapping[str, str] | None = None,
    labels: Sequence[str] | None = None,
    sample: int | None = SAMPLE,
    show: int = 0,
    progress: Progress = NO_PROGRESS,
) -> CheckReport:
    """Checks one file, a folder, or several files.

    tokenizer_folder: a base whose tokenizer and template count tokens; the bundled lathe:nano otherwise. max_tokens: length at which
    rows would be cut; None = the base's context. mapping: part -> column, where the columns do not tell the layout. where: column
    (dotted) -> value that a row must have; None = interactions that succeeded. system: system prompt by agent. labels: all that there
    may be. sample: rows that rules are learned from; None = all. show: rows to give back token by token.

    Raises DataError where a file as a whole cannot be read or its layout is unknown, InputError for a folder without a tokenizer.
    """
    start = time.monotonic()
    tok = load(tokenizer_folder if tokenizer_folder is not None else bundled())
    proof = MaskProof(tok, max_tokens)
    gathered = _Gathered(Sets(), _Sample(sample if sample is not None else 1 << 62))
    shown: list[MaskedRow] = []
    try:
        gathered.names, gathered.sides, notes = named(path)
        gathered.notes += notes
        batch: list[tuple[Conversation, str]] = []
        for number, name in enumerate(gathered.names):
            for line, conversation in _conversations(gathered, number, Path(name), mapping, where, system):
                gathered.add(conversation, number, line)
                batch.append((conversation, gathered.place(len(gathered.inputs) - 1)))
                if len(batch) >= BATCH:
                    _tokenise(tok, proof, batch, shown, show)
                    progress({"stage": "check", "done": len(gathered.inputs), "total": 0, "unit": "rows"})
        _tokenise(tok, proof, batch, shown, show)
        return _report(
            gathered,
            proof,
            shown,
            labels,
            "lathe:nano" if tokenizer_folder is None else tokenizer_folder.name,
            start,
            progress,
        )
    finally:
        gathered.sets.close()


def bundled() -> Path:
    """The folder of the bundled base, whose tokenizer counts where no other is given."""
    return Path(__file__).parents[1] / "assets" / "nano"


def named(path: Path | Sequence[Path]) -> tuple[list[str], list[Side | None], list[str]]:
    """Names of the files, the side that each name says (None for all where they do not say different ones), and remarks.

    In a folder that holds files named for sides only those are read.
    """
    given = [path] if isinstance(path, Path) else list(path)
    files = [file for one in given for file in _files(one)]
    sides = [side_named(file) for file in files]
    told = {side for side in sides if side is not None}
    if len(told) < 2:
        return [str(file) for file in files], [None] * len(files), []
    notes = []
    if len(given) == 1:
        left = [file.name for file, side in zip(files, sides) if side is None]
        notes = [f"read the files named for a side; left out {', '.join(left)}"] if left else []
        files, sides = [file for file, side in zip(files, sides) if side], [side for side in sides if side]
    return [str(file) for file in files], sides, notes


def _files(path: Path) -> list[Path]:
    if not path.is_dir() or tables.is_table(path):
        return [path]
    inside = sorted(one for one in path.iterdir() if tables.is_table(one))
    folders_or_tables = [one for one in inside if tables.partner(one) is None or tables.partner(one)[0] == one]  # type: ignore[index]
    if folders_or_tables:
        return folders_or_tables
    rows = row_files(path)
    # A JSON file beside files of rows describes them more often than not.
    return [one for one in rows if one.suffix != ".json"] or rows


def side_named(path: Path) -> Side | None:
    """The side that a file's name says."""
    words = path.name.lower().replace("-", " ").replace("_", " ").replace(".", " ").split()
    return next((side for side, names in SIDES.items() if any(name in words for name in names)), None)


# ------------------------------------------------------------------------------------------ reading


def _conversations(
    gathered: _Gathered, number: int, path: Path, mapping: Mapping[str, str] | None, where: Mapping[str, str] | None,
    system: Mapping[str, str] | None,
) -> Iterator[tuple[int, Conversation]]:  # fmt: skip
    """(line, conversation) of every row of a file that can be used; the file's counts are kept."""
    found = tables.rows(path) if tables.is_table(path) else read_file(path)
    layout: Layout | None = None
    read = rejected = left_out = used = 0
    for item, layout in _with_layout(found, mapping, str(path)):
        read += 1
        if isinstance(item, RejectedRow):
            rejected += 1
            gathered.tally.note("rejected_row", f"{item.file}:{item.line}", item.reason)
            continue
        if layout is None or not wanted(item.row, layout, where):
            left_out += 1
            continue
        try:
            conversation = convert(item.row, layout, system)
        except DataError as error:
            rejected += 1
            gathered.tally.note("rejected_row", f"{item.file}:{item.line}", error.message)
            continue
        used += 1
        yield item.line, conversation
    gathered.files.append(
        CheckedFile(
            name=str(path),
            side=gathered.sides[number],
            format=layout.name if layout else None,
            said=layout.said() if layout else "",
            mapping=dict(layout.columns) if layout else {},
            read=read,
            rejected=rejected,
            left_out=left_out,
            rows=used,
        )
    )


def _with_layout(
    items: Iterator[Placed | RejectedRow], mapping: Mapping[str, str] | None, file: str
) -> Iterator[tuple[Placed | RejectedRow, Layout | None]]:
    """Every item with the layout that the first rows of the file tell."""
    first: list[Placed | RejectedRow] = []
    for item in items:
        first.append(item)
        if sum(isinstance(one, Placed) for one in first) >= LOOKED_AT:
            break
    rows = [item.row for item in first if isinstance(item, Placed)]
    layout = None
    if rows:
        try:
            layout = detect(rows, mapping)
        except DataError as error:
            line = next(item.line for item in first if isinstance(item, Placed))
            raise DataError(error.message, file=file, line=line, hint=error.hint) from error
    yield from ((item, layout) for item in first)
    yield from ((item, layout) for item in items)


def wanted(row: Row, layout: Layout, where: Mapping[str, str] | None) -> bool:
    """Whether a row meets the conditions. None: an interaction must not have failed, everything else is wanted."""
    conditions = (
        where
        if where is not None
        else {f"{layout.columns['execution']}.status": "success"}
        if layout.name == "interaction"
        else {}
    )
    return all(_at(row, column) in (value, None if where is None else value) for column, value in conditions.items())


def _at(row: Json, column: str) -> Json:
    for step in column.split("."):
        row = row.get(step) if isinstance(row, dict) else None
    return row if row is None or isinstance(row, str) else text_of(row)


# ------------------------------------------------------------------------------------------ tokens


def _tokenise(
    tok: Tokenizer, proof: MaskProof, batch: list[tuple[Conversation, str]], shown: list[MaskedRow], show: int
) -> None:
    """Proves a batch of rows and empties it."""
    examples, places = [], []
    for conversation, place in batch:
        for before, answer in conversation.answers() if len(conversation.turns) > 1 else ():
            examples.append(answer_example(before, answer, identity_of(conversation), conversation))
            places.append(place)
    encoded = encode_all(tok, examples) if examples else []
    for conversation, place in batch:
        if len(conversation.turns) == 1:
            encoded.append(plain_text(tok, conversation.completion))
            places.append(place)
    proof.add(encoded, places)
    for row, place in list(zip(encoded, places))[: max(0, show - len(shown))]:
        shown.append(coloured(tok, row, place))
    batch.clear()


def plain_text(tok: Tokenizer, text: str) -> Encoded:
    """A text without a prompt: every token but the first carries loss, the end token too."""
    ids = np.asarray([*tok.encode(text), tok.eos_id], dtype=np.int32)
    supervised = np.ones(len(ids), dtype=np.bool_)
    supervised[:1] = False
    return Encoded(ids, supervised, 0)


# ------------------------------------------------------------------------------------------ all rows together


def _report(
    gathered: _Gathered,
    proof: MaskProof,
    shown: list[MaskedRow],
    labels: Sequence[str] | None,
    tokenizer: str,
    start: float,
    progress: Progress,
) -> CheckReport:
    rows = len(gathered.inputs)
    if rows == 0:
        raise DataError(
            "no row can be used", file=gathered.names[0] if gathered.names else None, hint=_first_reason(gathered)
        )
    numbers, items = gathered.sample.rows()
    kind: AnswerKind = kind_of([item.answer for item in items]) if items else "text"
    _note_overlaps(gathered, kind)
    _note_answers(gathered, kind, labels)
    learnability, ranked = _learn(gathered, numbers, items, progress) if len(items) >= LEAST_TO_LEARN else (None, ())
    lengths = proof.lengths(tokenizer)
    found = [*gathered.tally.findings(rows), *proof.findings(), *_length_findings(gathered, lengths, proof)]
    if kind == "label":
        found = [finding for finding in found if finding.id not in WRITTEN]
    if learnability is not None:
        found.append(_rule_finding(learnability))
    findings = ordered(found)
    return CheckReport(
        headline=headline(gathered, findings, rows),
        files=tuple(gathered.files),
        findings=findings,
        kind=kind,
        lengths=lengths,
        learnability=learnability,
        suspects=ranked,
        shown=tuple(shown),
        notes=tuple(gathered.notes),
        seconds=time.monotonic() - start,
    )


def _first_reason(gathered: _Gathered) -> str | None:
    examples = [example for finding in gathered.tally.findings(0) for example in finding.examples]
    return examples[0] if examples else None


def headline(gathered: _Gathered, findings: Iterable[DataFinding], rows: int) -> str:
    """The three gravest findings in a line, or that there are none."""
    grave = [gathered.tally.short(finding, rows) for finding in findings if finding.level != "info"]
    return "; ".join(grave[:3]) if grave else f"{rows:,} rows, nothing found that must be mended"


def _note_overlaps(gathered: _Gathered, kind: AnswerKind) -> None:
    """Leaks, repeats, contradictions and near-duplicates."""
    inputs, targets = np.frombuffer(gathered.inputs, np.uint64), np.frombuffer(gathered.targets, np.uint64)
    side = [gathered.sides[file] for file in gathered.file_of]
    groups = overlaps.equal(inputs)
    tally, place = gathered.tally, gathered.place
    leaks = overlaps.in_train(groups, side)
    for name, found in leaks.items():
        tally.note_all(
            f"{name}_in_train",
            (f"{place(row)} = {place(first)}" for row, (first, _) in sorted(found.items())),
            side.count(name),
        )
    for row, (first, _) in overlaps.repeated(groups, targets, side).items():
        tally.note("repeated_row", f"{place(row)} = {place(first)}")
    for group in overlaps.conflicting(groups, targets):
        tally.note(
            "answer_conflict" if kind == "text" else "label_conflict", ", ".join(place(int(row)) for row in group[:4])
        )
    train = np.array([one == "train" for one in side], dtype=np.bool_)
    if train.any():
        for name, known in leaks.items():
            mask = np.array([one == name for one in side], dtype=np.bool_)
            near = [(a, b, overlap) for a, b, overlap in pairs(gathered.sets, mask, train) if a not in known]
            tally.note_all(
                f"{name}_near_train",
                (f"{place(a)} ~ {place(b)} ({overlap:.2f})" for a, b, overlap in near),
                side.count(name),
            )
    else:
        everything = np.ones(len(inputs), dtype=np.bool_)
        near = [
            (a, b, overlap) for a, b, overlap in pairs(gathered.sets, everything, everything) if inputs[a] != inputs[b]
        ]
        tally.note_all(
            "near_duplicate", (f"{place(a)} ~ {place(b)} ({overlap:.2f})" for a, b, overlap in near), len(inputs)
        )


def _note_answers(gathered: _Gathered, kind: AnswerKind, labels: Sequence[str] | None) -> None:
    """What the answers show together: odd values, labels that are one, one answer for all."""
    tally, place, answers = gathered.tally, gathered.place, gathered.answers
    for row, fields in gathered.values.odd().items():
        tally.note("value_not_in_input", place(row), ", ".join(fields[:5]))
    if answers is None:
        return
    if kind == "label":
        for rare, frequent in quality.label_variants(answers):
            tally.note(
                "label_variant", f"{rare!r} ({answers[rare]} rows)", f"perhaps {frequent!r} ({answers[frequent]} rows)"
            )
        for label, count in (quality.unknown_labels(answers, labels) if labels is not None else {}).items():
            tally.note("label_unknown", repr(label), f"{count} rows", count)
    (top, count), total = answers.most_common(1)[0], answers.total()
    if count > 0.5 * total and total >= LEAST_TO_LEARN:
        tally.note("answer_constant", repr(redacted(top)[:60]), count=count)


def _length_findings(gathered: _Gathered, lengths: Lengths, proof: MaskProof) -> list[DataFinding]:
    long = lengths.longer_than.get("1024", 0)
    if not long or (proof.max_tokens is not None and proof.max_tokens <= 1024):
        return []
    tally = Tally()
    tally.note("longer_than_usual", f"the longest row has {lengths.longest:,} tokens", count=long)
    return tally.findings(lengths.rows)


# ------------------------------------------------------------------------------------------ what a rule learns


def _learn(
    gathered: _Gathered, numbers: list[int], items: list[Item], progress: Progress
) -> tuple[Learnability, tuple[Suspect, ...]]:
    """Scores of rules without a model on the sample, and the labels that they doubt."""
    progress({"stage": "check", "done": 0, "total": len(items), "unit": "rows learned from"})
    if len(items) < len(gathered.inputs):
        gathered.notes.append(
            f"rules were learned on {len(items):,} of {len(gathered.inputs):,} rows, chosen by their content"
        )
    rules = task_rules() if kind_of([item.answer for item in items]) == "json" else ()
    learnability, model = measure(items, rules, sampled_from=len(gathered.inputs))
    found = _suspects(gathered, numbers, items, model) if model is not None else ()
    for suspect in found:
        if suspect.margin <= SURE_MARGIN:
            gathered.tally.note("suspect_label", suspect.place, f"{suspect.given!r}, perhaps {suspect.likelier!r}")
    progress({"stage": "check", "done": len(items), "total": len(items), "unit": "rows learned from"})
    return learnability, found


def _suspects(gathered: _Gathered, numbers: list[int], items: list[Item], model: Labelled) -> tuple[Suspect, ...]:
    margin, likelier = suspects.margins(model.scores_NL, model.label_N)
    return tuple(
        Suspect(
            place=gathered.place(numbers[row]),
            text=redacted(items[row].input)[:200],
            given=model.labels[model.label_N[row]],
            likelier=model.labels[likelier[row]],
            margin=float(margin[row]),
        )
        for row in suspects.suspicious(model.scores_NL, model.label_N, MOST_SUSPECTS)
    )


def task_rules() -> tuple[Rule, ...]:
    """The rules that the task of JSON extraction declares, for rows without a recipe and without schemas."""
    task, setup = plugins.load("tasks", "json_extraction"), TaskSetup()

    def as_rule(fit: object, name: str, definition: str) -> Rule:
        def learned(train: Sequence[Item]):  # type: ignore[no-untyped-def]
            examples = [
                task.example({"input": item.input, "target": item.answer, "schema_id": item.group}, setup)
                for item in train
            ]
            apply = fit(examples, setup)  # type: ignore[operator]

            def answer(item: Item) -> Json:
                import json

                try:
                    return json.loads(
                        apply(task.example({"input": item.input, "target": {}, "schema_id": item.group}, setup))
                    )
                except ValueError:
                    return None

            return answer

        return Rule(name, definition, learned)

    return tuple(as_rule(one.fit, one.name, one.definition) for one in task.baselines if one.name != "majority")


def _rule_finding(learnability: Learnability) -> DataFinding:
    """The score to beat, as a remark; a warning where a rule already solves the task."""
    best = learnability.best()
    assert best is not None, "every kind of answer has a rule"
    fields = f", {best.fields:.1%} of fields" if best.fields is not None else ""
    solved = best.exact >= SOLVED
    return DataFinding(
        id="trivial_rule",
        level="warning" if solved else "info",
        message=f"the score to beat: {best.name} gets {best.exact:.1%} right{fields} without a model ({learnability.rows:,} rows, {learnability.folds} folds)",
        hint="A rule already solves this; a model has to be worth its cost."
        if solved
        else "A tuned model must beat this.",
        count=best.n,
    )
