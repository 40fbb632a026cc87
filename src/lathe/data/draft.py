"""`lathe new FILE`: a recipe for a file of rows, with every choice explained and what was found about the rows written into it.

new_recipe(Path("orders.jsonl"))   ->  orders.yaml, which `lathe run orders.yaml` takes as it is
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from lathe import plugins
from lathe.contracts import Progress
from lathe.data.check import check_file, silent
from lathe.errors import InputError
from lathe.records.check import AnswerKind, CheckedFile, CheckReport
from lathe.runs import commit_text

TASK: dict[AnswerKind, str] = {"json": "json_extraction", "label": "intent", "text": "chat"}
"""The task for each kind of answer."""
COLUMNS = {
    "prompt-completion": ("prompt", "completion"),
    "question-answer": ("question", "answer"),
    "text-label": ("text", "label"),
}
"""Layouts of which a task can read the columns by themselves: the part that is asked, the part that is answered."""
FIELDS = {"json_extraction": ("input", "target")}
"""What tasks call the two."""
FEW_ROWS, MANY_ROWS = 500, 5000
LEAST_BUDGET = 4096
SHOWN = 5


def new_recipe(file: Path, out: Path | None = None, progress: Progress = silent) -> Path:
    """Checks a file of rows and writes a recipe for it; by default beside it, under its name. Returns the recipe's path.

    Raises DataError as `check_file` does; InputError where a recipe stands there already, or no task reads such rows.
    """
    path = out if out is not None else file.with_name(f"{stem_of(file)}.yaml")
    if path.exists():
        raise InputError(f"{path} is there already", hint="Name another file with --out, or move that one away.")
    report = check_file(file, progress=progress)
    commit_text(path, draft(report, os.path.relpath(file, path.parent), stem_of(file)))
    return path


def stem_of(file: Path) -> str:
    """The name of a run for a file: letters, digits, dot, dash, underscore."""
    stem = file.name.removesuffix(".gz").rsplit(".", 1)[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:60] or "rows"


def draft(report: CheckReport, source: str, name: str) -> str:
    """The text of a recipe for one checked file. source: the file, relative to where the recipe will stand."""
    (file,) = report.files
    task = task_for(report)
    lengths, rows = report.lengths, file.rows
    assert lengths is not None, "every check counts tokens"
    budget = -(-max(LEAST_BUDGET, lengths.longest) // 1024) * 1024
    epochs = 6 if rows < FEW_ROWS else 3 if rows < MANY_ROWS else 1
    found = [f"#   {finding.level}: {finding.message}" for finding in report.findings[:SHOWN]]
    schema = schema_lines(report)
    return "\n".join(
        [
            f"# {name}: a first recipe for {source}, written by `lathe new`. Run it with: lathe run {name}.yaml --smoke",
            "#",
            f"# The rows: {rows:,} of {file.read:,}, read as {file.said}.",
            f"# Their tokens ({lengths.tokenizer}): {lengths.median:,} in the middle, {lengths.longest:,} at most, "
            f"{lengths.supervised_share():.0%} of them answers.",
            *(
                ["# What lathe check found in them:", *found]
                if found
                else ["# lathe check found nothing that must be mended."]
            ),
            "",
            f"name: {name}",
            "base: lathe:nano                 # the bundled small model; or a Hub id, or a folder of safetensors",
            f"task: {task:<27}# what a right answer is",
            "",
            "data:",
            f"  source: {json.dumps(source)}",
            *fields_line(file, task),
            "  split:                         # a row's side is the hash of its own text, for ever",
            "    validation: 0.1              # chooses the base's prompt",
            "    test: 0.2                    # only the final measurement sees these",
            *schema,
            "",
            "method: {kind: lora, rank: 16, alpha: 32}",
            "",
            "train:",
            f"  epochs: {epochs:<23}# passes over the training rows",
            "  examples_per_step: 16          # what one optimiser step learns from",
            "  learning_rate: 1.0e-3          # right for the bundled base; larger ones take 1e-4 to 3e-4",
            f"  token_budget: {budget:<17}# most tokens computed at once; the longest row fits",
            "",
            "# Conditions for deploy, declared before training. Two stand by default: better than the base, better than the rule.",
            "gates: []",
            "",
            "ship: [adapter, merged]",
            "",
        ]
    )


def task_for(report: CheckReport) -> str:
    """The task that reads such rows. Raises InputError where there is none."""
    file, known = report.files[0], plugins.names("tasks")
    task = TASK[report.kind or "text"]
    if task not in known:
        raise InputError(
            f"the answers are {'labels' if report.kind == 'label' else 'written text'}, for which this Lathe has no task",
            hint=f"The tasks are: {', '.join(known)}. `lathe check` works on such rows all the same.",
        )
    if file.format not in COLUMNS:
        raise InputError(
            f"{file.name} is laid out as {file.said}; a recipe reads rows with one column asked and one answered",
            hint='Write {"prompt": ..., "completion": ...} on each line.',
        )
    return task


def fields_line(file: CheckedFile, task: str) -> list[str]:
    """The columns by the task's names, where they differ."""
    asked, answered = COLUMNS[str(file.format)]
    names = dict(zip(FIELDS.get(task, (asked, answered)), (file.mapping[asked], file.mapping[answered])))
    if all(field == column for field, column in names.items()):
        return []
    written = ", ".join(f"{field}: {json.dumps(column)}" for field, column in names.items())
    return [f"  fields: {{{written}}}   # the file's columns, by the task's names"]


def schema_lines(report: CheckReport) -> list[str]:
    """For JSON answers: where their schemas would be named."""
    if report.kind != "json":
        return []
    return [
        "",
        "# JSON Schemas of the answers, if you have them: they are shown to the model and the answers are held against them.",
        "# schema: {from: schemas/, key: schema_id, in_prompt: true}",
    ]
