"""Executed equivalence: does the answer do what the right command does?"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from lathe.contracts import Metric
from lathe.evaluate.answers import first_answers
from lathe.evaluate.probes.measured import Asked, Measured, items
from lathe.processes import usable_cores
from lathe.records import DataFinding, ProbedItem, digest
from lathe.sandbox import NoSandbox, prove
from lathe.sandbox.equivalence import VERSION, Equivalence
from lathe.storage import appending, read_rows

METRICS = (
    Metric(
        "executed_equivalence",
        "1 where the answer, run in a sandbox, prints the same as the right command and leaves the same files, in each of up to "
        "three folders in which the right command does something. 0 also where the answer is no valid command, or of risk level 3 "
        "or more and therefore not run. Not measured where the right command is not run for its risk, does nothing in any of the "
        "folders or something else each time, or where there is no sandbox.",
        "proportion",
    ),
)
MEASURED = ("same", "other output", "other files", "answer not run", "answer not valid")


def execute(asked: Asked) -> Measured:
    """Runs what was not run before. Raises InputError where the arm has no answers."""
    pairs = _pairs(asked)
    path = asked.run.predictions(asked.arm, "execute")
    known = {row.key: row for row in read_rows(path, ProbedItem)} if path.is_file() else {}
    left = {key: pair for key, pair in pairs.values() if key not in known}
    if left:
        try:
            equivalence = Equivalence(prove(), time.time())
        except NoSandbox as reason:
            return Measured(items(asked.examples, {}, METRICS), [_no_sandbox(reason)])
        with appending(path) as append:
            for row in _run(equivalence, left):
                append(row)
                known[row.key] = row
                asked.tell("execute", len(known), len({key for key, _ in pairs.values()}))
    found = {id: known[key].model_copy(update={"id": id}) for id, (key, _) in pairs.items()}
    return Measured(items(asked.examples, found, METRICS), _findings(list(found.values())))


def _pairs(asked: Asked) -> dict[str, tuple[str, tuple[str, str]]]:
    """Of each item: a key of what has to be run, the right command and the answer's."""
    predictions = first_answers(asked.run.predictions(asked.arm))
    pairs = {}
    for example in asked.examples:
        text = predictions[example.id].text if example.id in predictions else ""
        pair = str(example.target), str(asked.task.value(text, example, asked.rows.setup) or "")
        pairs[example.id] = digest([VERSION, *pair]), pair
    return pairs


def _run(equivalence: Equivalence, left: dict[str, tuple[str, str]]) -> Iterator[ProbedItem]:
    """One result a key, as they come; the threads only wait for processes."""
    executor = ThreadPoolExecutor(max_workers=usable_cores())
    try:
        running = {executor.submit(equivalence.of, *pair): key for key, pair in left.items()}
        for done in as_completed(running):
            judged = done.result()
            values = {METRICS[0].name: judged.value}
            yield ProbedItem(key=running[done], values=values, reason="" if judged.why == "same" else judged.why)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _no_sandbox(reason: NoSandbox) -> DataFinding:
    return DataFinding(
        id="no_sandbox", level="warning", message=f"no command was run: {reason.message}", hint=reason.hint
    )  # fmt: skip


def _findings(found: Sequence[ProbedItem]) -> list[DataFinding]:
    """How many items show nothing, by reason, and how many answers were too dangerous to run."""
    reasons = Counter(row.reason for row in found if row.reason)
    not_measured = {reason: count for reason, count in reasons.most_common() if reason not in MEASURED}
    findings = []
    if not_measured:
        told = ", ".join(f"{reason} {count:,}" for reason, count in not_measured.items())
        count = sum(not_measured.values())
        message = f"{count:,} of {len(found):,} items show nothing: {told}"
        findings.append(DataFinding(id="not_measured", level="info", message=message, count=count))
    if count := reasons.get("answer not run", 0):
        message = f"{count:,} answers are of risk level 3 or more, or cannot be analysed: not run, counted as wrong"
        findings.append(DataFinding(id="not_run", level="warning", message=message, count=count))
    return findings
