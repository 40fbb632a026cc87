"""What the rules without a model score: on the generated corpus, or on your own rows.

    python bench/rule_parser.py                                  lathe:edge_json, 2,000 rows to learn from, 1,000 to judge
    python bench/rule_parser.py ROWS.jsonl --schemas FOLDER --fields '{"input": "prompt", "target": "expected_output"}'

Own rows are judged in five folds, each by a rule that learnt from the other four, and once by a rule that learnt from none.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from lathe import plugins
from lathe.contracts import Baseline, Task
from lathe.errors import TaskMismatch
from lathe.records import Example, TaskSetup

FOLDS = 5
METRICS = ("json_exact", "field_f1")


def judged(
    task: Task, rule: Baseline, learn: Sequence[Example], judge: Sequence[Example], setup: TaskSetup
) -> list[tuple]:
    """(example, json_exact, field_f1) of each example under a rule that learnt from `learn`."""
    answer = rule.fit(learn, setup)
    found = []
    for example in judge:
        values = task.score(example, answer(example), setup).values
        found.append((example, *(values[name] for name in METRICS)))
    return found


def show(title: str, found: Sequence[tuple], slices: Sequence[str], seconds: float) -> None:
    """Prints means over all items and over each slice."""
    print(f"\n{title} ({seconds:.1f} s)")
    groups: dict[tuple[str, str], list[tuple]] = defaultdict(list)
    for item in found:
        groups["all", ""].append(item)
        for name in slices:
            groups[name, item[0].meta[name]].append(item)
    for (name, value), items in groups.items():
        exact, f1 = (sum(item[column] for item in items) / len(items) for column in (1, 2))
        right = sum(item[1] == 1 for item in items)
        print(f"  {name:>10} {value:<24} json_exact {exact:6.1%} ({right}/{len(items)})   field_f1 {f1:.3f}")


def generated(task: Task) -> None:
    """Rules on the corpus."""
    corpus = plugins.load("corpora", "edge_json")
    setup = TaskSetup(schemas=dict(corpus.schemas()))
    rows = [task.example(row, setup) for row in corpus.rows(0, 3000)]
    for rule in task.baselines:
        start = time.perf_counter()
        found = judged(task, rule, rows[:2000], rows[2000:], setup)
        show(f"{rule.name} on lathe:edge_json", found, ("style", "complexity"), time.perf_counter() - start)


def own(task: Task, file: Path, schemas: Path | None, fields: dict[str, str]) -> None:
    """Rules on a file of rows."""
    known = {path.stem: json.loads(path.read_text()) for path in sorted(schemas.rglob("*.json"))} if schemas else {}
    setup = TaskSetup(schemas=known, fields=fields)
    rows, refused = [], []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        try:
            rows.append(task.example(json.loads(line), setup))
        except (TaskMismatch, ValueError) as error:
            refused.append(f"line {number}: {error}")
    print(f"{len(rows)} rows, {len(refused)} refused", *refused[:5], sep="\n  ")
    for rule in task.baselines:
        start = time.perf_counter()
        found = []
        for fold in range(FOLDS):
            learn = [row for number, row in enumerate(rows) if number % FOLDS != fold]
            found += judged(task, rule, learn, rows[fold::FOLDS], setup)
        show(f"{rule.name}, learnt from the other folds", found, ("complexity", "schema"), time.perf_counter() - start)
    start = time.perf_counter()
    found = judged(task, task.baselines[0], [], rows, setup)
    show(f"{task.baselines[0].name}, learnt from nothing", found, ("complexity", "schema"), time.perf_counter() - start)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("rows", nargs="?", type=Path, help="JSON Lines file of own rows")
    arguments.add_argument("--schemas", type=Path, help="folder of JSON Schemas, each named as rows name it")
    arguments.add_argument(
        "--fields", type=json.loads, default={}, help="JSON: the file's column for each field of the task"
    )
    given = arguments.parse_args()
    task = plugins.load("tasks", "json_extraction")
    if given.rows is None:
        generated(task)
    else:
        own(task, given.rows, given.schemas, given.fields)


if __name__ == "__main__":
    main()
