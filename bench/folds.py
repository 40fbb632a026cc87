"""k-fold measurement of a recipe: every row is judged once, by a model that was trained on the other folds.

    LATHE_MIRROR=FOLDER python bench/folds.py edgejson-v3 --out /tmp/folds
    python bench/folds.py my-recipe.yaml --out /tmp/folds --folds 5 --only 0 1      # some folds now, the others later

For recipes whose source is one JSONL file. A row's fold is the hash of its input, so that the same text never stands on both sides;
rows that are near to a judged one leave the training rows, as in any run. Validation rows are set aside only where `train.validate`
asks for them. Each fold is an ordinary run under --out, so a repeated command goes on where it stopped, and prints the pooled
scores of all folds that are there. The base is not measured: that costs as much again and says the same each time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lathe import plugins, stats
from lathe.evaluate import aggregate
from lathe.pipeline import Run
from lathe.records import EvalReport, TrainResult
from lathe.resolve import find_recipe, read_recipe
from rules import shown

ARMS = ("tuned", "rule")


def fold_of(text: str, folds: int) -> int:
    """By the words of the text alone."""
    return int.from_bytes(hashlib.sha256(" ".join(text.split()).encode()).digest()[:8], "big") % folds


def fold_recipe(recipe: Mapping[str, Any], lines: Sequence[str], column: str, fold: int, folds: int, out: Path) -> Path:
    """Writes the two files of a fold and the recipe that reads them; gives back the recipe's path."""
    folder = out / f"fold-{fold}-of-{folds}"
    folder.mkdir(parents=True, exist_ok=True)
    judged = [fold_of(json.loads(line)[column], folds) == fold for line in lines]
    for name, wanted in (("train", False), ("test", True)):
        kept = [line for line, here in zip(lines, judged, strict=True) if here is wanted]
        (folder / f"{name}.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    data = {key: value for key, value in recipe["data"].items() if key not in ("source", "split", "rows", "seed")}
    path = folder / "recipe.yaml"
    written = {**recipe, "data": {**data, "train": "train.jsonl", "test": "test.jsonl"}}
    if "every" not in recipe.get("train", {}).get("validate", {}):
        written["data"]["split"] = {"validation": 0.0}  # nothing is chosen, so that all other rows are trained on
    path.write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")
    return path


def against_rule(reports: Mapping[str, Sequence[EvalReport]], metric: str) -> str:
    """The tuned model and the rule, row by row: wins, losses, and the interval of the difference (Tango 1998)."""
    values = {
        arm: {item.id: item.values[metric] for one in found for item in one.items} for arm, found in reports.items()
    }
    both = [(values["tuned"][row] or 0.0, values["rule"][row] or 0.0) for row in values["tuned"]]
    wins, losses = sum(a > b for a, b in both), sum(a < b for a, b in both)
    low, high = stats.tango(wins, losses, len(both), 0.95)
    return (
        f"{metric}: of {len(both)} rows the tuned model alone has {wins} right, the rule alone {losses}: "
        f"{(wins - losses) / len(both):+.3f} [{low:+.3f}, {high:+.3f}], McNemar's p = {stats.mcnemar(wins, losses):.3f}"
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("recipe", help="name of a shipped recipe, or a recipe file")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the runs")
    arguments.add_argument("--folds", type=int, default=5)
    arguments.add_argument("--only", type=int, nargs="+", help="these folds, counted from 0")
    arguments.add_argument("--set", action="append", default=[], dest="sets", help="KEY=VALUE, as lathe run has it")
    given = arguments.parse_args()

    locked = Run.start(given.recipe, tuple(given.sets), root=given.out / "whole", weights=False).locked
    recipe = read_recipe(find_recipe(given.recipe), tuple(given.sets)).model_dump(
        mode="json", by_alias=True, exclude_unset=True
    )
    (source,) = (Path(file.path) for file in locked.data_files if file.path.endswith(".jsonl"))
    lines = [line for line in source.read_text(encoding="utf-8").splitlines() if line.strip()]
    task = plugins.load("tasks", locked.recipe.task)
    column = locked.recipe.data.fields.get("input", "input")
    reports: dict[str, list[EvalReport]] = {arm: [] for arm in ARMS}
    trained: list[TrainResult] = []
    for fold in given.only or range(given.folds):
        path = fold_recipe(recipe, lines, column, fold, given.folds, given.out)
        run = Run.start(path, root=path.parent / "runs")
        run.go(until="plan")
        trained.append(run.train())
        for arm in ARMS:
            report = run.evaluate(arm)
            reports[arm].append(report)
            primary = next(score for score in report.scores if score.metric == task.primary)
            print(f"fold {fold}  {arm:<6} {task.primary} {shown(primary)}, n = {report.n}", flush=True)
    print(f"\nall folds of {given.recipe}, {sum(report.n for report in reports['tuned'])} rows")
    for arm, found in reports.items():
        items = [item for report in found for item in report.items]
        for metric in task.metrics:
            print(f"  {arm:<6} {metric.name:<30} {shown(aggregate.metric_score(metric, items, 0.95))}")
        primary = [metric for metric in task.metrics if metric.name == task.primary]
        for key, groups in aggregate.slices(primary, task.slices, items, 0.95).items():
            for value, scores in groups.items():
                print(f"  {arm:<6} {key} {value}: {shown(scores[0])}, n = {scores[0].n}")
    print(f"  {against_rule(reports, task.primary)}")
    minutes = sum(result.train_seconds for result in trained) / 60
    print(f"  training {minutes:.1f} min in all; peak {max(result.peak_bytes for result in trained) / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
