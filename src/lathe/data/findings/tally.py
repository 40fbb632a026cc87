"""Counting what is wrong, row by row, and saying it at the end: one table of all findings, gravest first.

tally.note("answer_cut", "rows.jsonl:17", "a code fence is opened and never closed")
tally.findings(rows=298)   ->  [DataFinding(id="answer_cut", level="error", message="64 of 298 answers are cut off", ...)]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lathe.records import DataFinding
from lathe.records.data import Suspect

SHOWN = 10
SURE_MARGIN = -0.15
"""A label is called suspect where another one's score is higher by so much: on clean BANKING77 about 2 % of rows."""
LEVELS = ("error", "warning", "info")


@dataclass(frozen=True)
class Said:
    """How a finding is said. short: for the headline, where remarks do not go; {n} is its count, {rows} of how many."""

    level: Literal["error", "warning", "info"]
    short: str
    message: str
    hint: str


FINDINGS: dict[str, Said] = {
    "test_in_train": Said(
        "error",
        "{n} of {rows} test rows are in train",
        "{n} of {rows} test prompts stand in train as well",
        "A score on them measures memory. Split by the text of the prompt, as `data: {source: FILE}` does.",
    ),
    "validation_in_train": Said(
        "error",
        "{n} of {rows} validation rows are in train",
        "{n} of {rows} validation prompts stand in train as well",
        "What is chosen on them is chosen on training rows. Split by the text of the prompt.",
    ),
    "answer_cut": Said(
        "error",
        "{n} of {rows} answers are cut off",
        "{n} of {rows} answers stop in the middle: an unclosed code block or JSON",
        "They teach the model to stop there. Raise max_tokens where they were made, or take them out.",
    ),
    "rejected_row": Said(
        "error",
        "{n} row{s} cannot be read",
        "{n} row{s} cannot be read",
        "Mend them, or allow them with data.max_rejected.",
    ),
    "prompt_empty": Said(
        "error",
        "{n} prompt{s} with nothing asked",
        "{n} of {rows} prompts are empty",
        "Take them out, or add what is asked.",
    ),
    "answer_not_json": Said(
        "error",
        "{n} answer{s} that should be JSON",
        "{n} of {rows} answers are no JSON object or list, while nearly all others are",
        "Mend them: one strict JSON value and nothing else.",
    ),
    "answer_empty": Said(
        "error",
        "{n} of {rows} answers are empty",
        "{n} of {rows} answers are empty",
        "Take them out, or add the answers.",
    ),
    "invariant": Said(
        "error",
        "{n} of {rows} answers break their own rules",
        "{n} of {rows} answers break a declared rule",
        "Mend the answers, or the rule.",
    ),
    "schema_invalid": Said(
        "error",
        "{n} of {rows} answers do not fit their schema",
        "{n} of {rows} answers do not fit their JSON Schema",
        "Mend the answers, or the schema.",
    ),
    "label_unknown": Said(
        "error",
        "{n} row{s} with a label that is not declared",
        "{n} of {rows} rows have a label that is not declared",
        "Mend the labels, or declare them.",
    ),
    "secret": Said(
        "error",
        "{n} row{s} with secrets",
        "{n} of {rows} rows hold a key or a password",
        "Revoke them and take them out; a model learns them by heart.",
    ),
    "command_dangerous": Said(
        "warning",
        "{n} dangerous command{s}",
        "{n} of {rows} answers are shell commands that destroy or betray",
        "A model writes what it was shown. Take them out, or keep them knowing it; `lathe risk` judges one by itself.",
    ),
    "answer_mock": Said(
        "error",
        "{n} mock answer{s}",
        "{n} of {rows} answers only stand in for one",
        "Take them out.",
    ),
    "label_conflict": Said(
        "error",
        "{n} prompt{s} with different answers",
        "{n} prompt{s} with different answers",
        "At most one of them can be right; mend the rows.",
    ),
    "test_near_train": Said(
        "warning",
        "{n} more test row{s} nearly in train",
        "{n} of {rows} test prompts are nearly equal to one in train (word 5-grams overlap by 0.7 or more)",
        "Take their like out of train; `lathe prepare` does, and lists them.",
    ),
    "validation_near_train": Said(
        "warning",
        "{n} more validation row{s} nearly in train",
        "{n} of {rows} validation prompts are nearly equal to one in train (word 5-grams overlap by 0.7 or more)",
        "Take their like out of train; `lathe prepare` does, and lists them.",
    ),
    "seen_before": Said(
        "warning",
        "{n} of {rows} rows trained an earlier run",
        "{n} of {rows} prompts that are held out, or may be, stand in the training rows of an earlier run, equal or nearly so",
        "A model that grew out of that run knows their answers. As `data.against` in a recipe, they do not count for the verdict.",
    ),
    "test_in_validation": Said(
        "warning",
        "{n} test row{s} in validation too",
        "{n} of {rows} test prompts stand in validation as well",
        "What is chosen on validation then knows them; take them out of one file.",
    ),
    "cut_elsewhere": Said(
        "warning",
        "{n} of {rows} answers would be cut at 1,024 tokens",
        "{n} of {rows} rows are longer than 1,024 tokens, where TRL and others cut unless told otherwise",
        "Lathe never cuts unless told to; elsewhere set the sequence length.",
    ),
    "suspect_label": Said(
        "warning",
        "{n} label{s} to look at",
        "{n} of {rows} labels look wrong to a linear model that did not see the row",
        "Read them, the worst first.",
    ),
    "label_variant": Said(
        "warning",
        "{n} label{s} spelled in two ways",
        "{n} labels look like another spelling of a frequent one",
        "Write each label in one way.",
    ),
    "answer_constant": Said(
        "warning",
        "one answer makes up {n} of {rows} rows",
        "one answer makes up {n} of {rows} rows",
        "A model learns to say it always; balance the rows.",
    ),
    "answer_unfinished": Said(
        "warning",
        "{n} more stopped mid-sentence",
        "{n} of {rows} answers stop in the middle of a sentence",
        "They were probably cut at a token limit.",
    ),
    "answer_clarifying": Said(
        "warning",
        "{n} answer{s} asking back",
        "{n} of {rows} answers ask for information instead of answering",
        "They teach asking back; take them out unless that is wanted.",
    ),
    "answer_refusal": Said(
        "warning",
        "{n} refusal{s}",
        "{n} of {rows} answers refuse to answer",
        "They teach refusing; take them out unless that is wanted.",
    ),
    "placeholder": Said(
        "warning",
        "{n} placeholder{s}",
        "{n} of {rows} answers hold a placeholder that nobody filled in",
        "Fill them in, or take the rows out.",
    ),
    "value_not_in_input": Said(
        "warning",
        "{n} answer{s} with values that their text lacks",
        "{n} of {rows} answers hold a value that their text lacks, in a field that nearly all others have from the text",
        "Unless it follows from the text by a rule, nobody could know it: mend text or answer.",
    ),
    "personal_data": Said(
        "warning",
        "{n} row{s} with personal data",
        "{n} of {rows} rows hold mail addresses, phone, card or account numbers",
        "Keep them only if you may: they can be read out of a model.",
    ),
    "long_row": Said(
        "info",
        "",
        "{n} of {rows} rows are longer than 1,024 tokens, where TRL and others cut unless told otherwise",
        "Counted with the bundled tokenizer, which makes more tokens than most; name your base to count with its own.",
    ),
    "several_answers": Said(
        "warning",
        "{n} row{s} with several right answers",
        "{n} of {rows} rows give several right answers: the first is trained, and another one counts as wrong",
        "Write a row for each, or keep the one that a model should give.",
    ),
    "earlier_answers": Said(
        "info",
        "",
        "{n} of {rows} conversations have several answers: a run trains the last of each, and the others are its prompt",
        "To train each, write a row for every answer, up to it; keep a conversation on one side then, by data.train and data.test.",
    ),
    "answer_conflict": Said(
        "info",
        "",
        "{n} prompt{s} with different written answers",
        "Fine for open questions; wrong where there is one right answer.",
    ),
    "repeated_row": Said(
        "info",
        "",
        "{n} of {rows} rows repeat another row of their side, prompt and answer",
        "They weigh more in training; in a test set they make intervals look narrower than they are.",
    ),
    "near_duplicate": Said(
        "info",
        "",
        "{n} of {rows} prompts are nearly equal to another one (word 5-grams overlap by 0.7 or more)",
        "Lathe takes their like out of train where a split would part them.",
    ),
}
"""Every finding of this stage by id, from the gravest to the least within its level."""


class Tally:
    """Counts findings and keeps the first places of each."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}
        self._of: dict[str, int] = {}

    def note(self, id: str, place: str, detail: str = "", count: int = 1) -> None:
        """Counts one row for a finding; the first ten are kept with what is said about them."""
        self._counts[id] += count
        shown = self._examples.setdefault(id, [])
        if len(shown) < SHOWN:
            shown.append(f"{place}: {detail}" if detail else place)

    def note_all(self, id: str, places: Iterable[str], of: int) -> None:
        """Counts many rows for a finding, of so many that could have it."""
        for place in places:
            self.note(id, place)
        self._of[id] = of

    def count(self, id: str) -> int:
        """Rows noted for a finding so far."""
        return self._counts[id]

    def findings(self, rows: int) -> list[DataFinding]:
        """All findings with their counts. rows: how many were looked at, where a finding was not given its own number."""
        return [
            DataFinding(
                id=id,
                level=said.level,
                message=_filled(said.message, self._counts[id], self._of.get(id, rows)),
                hint=said.hint,
                examples=tuple(self._examples.get(id, ())),
                count=self._counts[id],
            )
            for id, said in FINDINGS.items()
            if self._counts[id]
        ]

    def short(self, finding: DataFinding, rows: int) -> str:
        """A finding in a few words, for the headline."""
        said = FINDINGS.get(finding.id)
        return _filled(said.short, finding.count, self._of.get(finding.id, rows)) if said else finding.message


def note_suspects(tally: Tally, suspects: Iterable[Suspect]) -> None:
    """Notes the labels that surely look wrong."""
    for suspect in suspects:
        if suspect.margin <= SURE_MARGIN:
            tally.note("suspect_label", suspect.place, f"{suspect.given!r}, perhaps {suspect.likelier!r}")


def ordered(findings: Iterable[DataFinding]) -> tuple[DataFinding, ...]:
    """Findings by gravity: errors, warnings, remarks; within a level in the order of the table, those of other stages last."""
    rank = {id: place for place, id in enumerate(FINDINGS)}
    return tuple(sorted(findings, key=lambda one: (LEVELS.index(one.level), rank.get(one.id, len(rank)))))


def _filled(text: str, count: int, rows: int) -> str:
    return text.format(n=f"{count:,}", rows=f"{rows:,}", s="" if count == 1 else "s")
