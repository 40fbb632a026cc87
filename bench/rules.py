"""What rules without a model reach on the test rows of a recipe: every one that its task declares, not only the best.

    python bench/rules.py edge-intent edge-calls                   shipped recipes by name, or recipe files
    LATHE_MIRROR=FOLDER python bench/rules.py intent-banking77
    python bench/rules.py edge-intent --set data.rows=2000

The rows are prepared as the recipe says, so that no test row, and nothing near to one, is learnt from.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from lathe import plugins
from lathe.contracts import Baseline
from lathe.evaluate import aggregate
from lathe.pipeline import Run
from lathe.records import Example, Prediction, Score, TaskSetup
from lathe.runs import RunFolder
from lathe.storage import read_rows


def shown(score: Score) -> str:
    """`0.84 [0.82, 0.86]`"""
    if score.value is None:
        return "not measured"
    return f"{score.value:.3f}" + (f" [{score.low:.3f}, {score.high:.3f}]" if score.low is not None else "")


def measure(task_name: str, rule: Baseline, run: RunFolder) -> None:
    """Prints the metrics of one rule."""
    task, setup = plugins.load("tasks", task_name), run.load(run.setup, TaskSetup)
    train, test = (read_rows(run.rows(side), Example) for side in ("train", "test"))
    start = time.perf_counter()
    answer = rule.fit(train, setup)
    said = [Prediction(id=one.id, text=answer(one), finish="stop") for one in test]
    seconds = time.perf_counter() - start
    scored = aggregate.items(task, setup, test, said)
    print(f"  {rule.name} ({len(train):,} to learn from, {len(test):,} judged, {seconds:.1f} s)")
    for metric in task.metrics:
        print(f"    {metric.name:<24} {shown(aggregate.metric_score(metric, scored, 0.95))}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("recipes", nargs="+", help="names of shipped recipes, or recipe files")
    arguments.add_argument("--set", action="append", default=[], dest="sets", help="KEY=VALUE, as lathe run has it")
    given = arguments.parse_args()
    for recipe in given.recipes:
        with tempfile.TemporaryDirectory() as root:
            run = Run.start(recipe, tuple(given.sets), root=Path(root))
            run.go(until="prepare")
            name = run.locked.recipe.task
            print(f"{recipe}: {name}")
            for rule in plugins.load("tasks", name).baselines:
                measure(name, rule, run.folder)


if __name__ == "__main__":
    main()
