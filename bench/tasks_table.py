"""Each corpus and task in one table: trivial rule, base and tuned model on the same test rows, with what it took.

    python bench/tasks_table.py runs/*              every finished run among these folders, one line of Markdown each

Everything is read from the records of the runs; nothing is measured again. The rule is the best of the task on validation rows.
Intervals are those of the reports, at the confidence of the recipe. Minutes are of the optimiser steps; peak memory is of training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lathe import plugins
from lathe.records import Decision, EvalReport, LockedRecipe, Manifest, TrainResult
from lathe.report import figures
from lathe.runs import RunFolder

HEAD = (
    "task",
    "rows from",
    "train",
    "test",
    "metric",
    "rule",
    "base",
    "base, few-shot",
    "tuned",
    "minutes",
    "peak",
    "verdict",
)
ARMS = ("rule", "base-zero", "base-few", "tuned")


def scored(run: RunFolder, arm: str, metric: str) -> str:
    """`0.40 [0.33, 0.46]`, and which rule it is; a dash where the run has no such arm."""
    if not run.eval_report(arm).is_file():
        return "–"
    report = run.load(run.eval_report(arm), EvalReport)
    score = report.score(metric)
    value = figures.NOT_MEASURED if score is None else f"{figures.score(score.value)} {figures.bounds(score)}".rstrip()
    return f"{value} ({report.chosen})" if report.chosen else value


def line(run: RunFolder) -> list[str]:
    """The cells of one run."""
    recipe = run.load(run.lock_record, LockedRecipe).recipe
    sides = run.load(run.manifest, Manifest).sides
    trained, decision = run.load(run.train_result, TrainResult), run.load(run.decision, Decision)
    metric = plugins.load("tasks", recipe.task).primary
    return [
        recipe.task,
        Path(recipe.data.source or recipe.data.train or "").name,
        figures.count(sides["train"].rows),
        figures.count(sides["test"].rows),
        metric,
        *(scored(run, arm, metric) for arm in ARMS),
        f"{trained.train_seconds / 60:.1f}",
        figures.size(trained.peak_bytes),
        decision.verdict,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders; those without a decision are passed over")
    runs = [run for path in parser.parse_args().runs if (run := RunFolder(path)).decision.is_file()]
    for cells in (HEAD, ["---"] * len(HEAD), *map(line, runs)):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
