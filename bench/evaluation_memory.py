"""Peak memory of measuring an arm on many items against few: it should not depend on their number.

    python bench/evaluation_memory.py                       100 and 1,000 items, the bundled base, one thread
    python bench/evaluation_memory.py --items 100 1000 10000 --new-tokens 16

Each number of items is measured by the evaluate stage in a process of its own, on a hundred generated extraction rows that come
again and again, so that nothing but their number differs: among more rows of a corpus there are longer ones. Memory is that of the
process and its children, as `peak_bytes` of the report has it; beside it what the operating system counted for the process alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

import lathe
from lathe import plugins
from lathe.evaluate import evaluate
from lathe.records import (
    DataSpec,
    EvalReport,
    EvaluateSpec,
    LockedRecipe,
    Manifest,
    Recipe,
    SideCount,
    TaskSetup,
    TrainSpec,
)
from lathe.runs import RunFolder
from lathe.storage import commit_rows

NANO = Path(lathe.__file__).parent / "assets" / "nano"
ROWS = 100
SHARE = 0.05
"""How far the peak may differ."""


def measure(folder: Path, items: int, new_tokens: int, token_budget: int, threads: int) -> EvalReport:
    """The base's arm on so many rows of the corpus, seed 7."""
    run, corpus, task = (
        RunFolder(folder),
        plugins.load("corpora", "edge_json"),
        plugins.load("tasks", "json_extraction"),
    )
    setup = TaskSetup(schemas=dict(corpus.schemas()), schema_in_prompt=True)
    some = [task.example(row, setup) for row in islice(corpus.rows(7, ROWS), ROWS)]
    test = [some[number % ROWS].model_copy(update={"id": f"row-{number}"}) for number in range(items)]
    rows = {"train": some[:10], "validation": some[:10], "test": test}
    sides = {side: SideCount(rows=len(some), sha256=commit_rows(run.rows(side), some)) for side, some in rows.items()}
    run.commit(run.setup, setup)
    run.commit(run.manifest, Manifest(inputs="data", sources=(), sides=sides))
    recipe = Recipe(
        name="memory",
        base=str(NANO),
        task="json_extraction",
        data=DataSpec(source="lathe:edge_json"),
        train=TrainSpec(threads=threads),
        evaluate=EvaluateSpec(max_new_tokens=new_tokens, token_budget=token_budget),
    )
    return evaluate(
        run,
        LockedRecipe(inputs="recipe", recipe=recipe, base_folder=str(NANO)),
        "base-zero",
        "test",
        "",
        lambda _: None,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--new-tokens", type=int, default=32, help="longest answer (default: 32)")
    parser.add_argument(
        "--token-budget", type=int, default=16384, help="tokens held at once (default: as a recipe has it)"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child is not None:
        report = measure(asked.child, asked.items[0], asked.new_tokens, asked.token_budget, asked.threads)
        alone = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps([report.n, report.peak_bytes, alone, report.seconds]))
        return
    peaks: list[int] = []
    print(f"{'items':>7} {'peak':>9} {'of the process alone':>22} {'seconds':>8}")
    for items in asked.items:
        with tempfile.TemporaryDirectory() as folder:
            limits = [
                "--new-tokens",
                asked.new_tokens,
                "--token-budget",
                asked.token_budget,
                "--threads",
                asked.threads,
            ]
            given = ["--items", items, *limits, "--child", Path(folder, "run")]
            done = subprocess.run(
                [sys.executable, __file__, *map(str, given)], capture_output=True, text=True, check=True
            )
        n, peak, alone, seconds = json.loads(done.stdout.strip().rsplit("\n", 1)[-1])
        peaks.append(peak)
        print(f"{n:>7,} {peak / 1e6:>6,.0f} MB {alone / 1e6:>19,.0f} MB {seconds:>8.1f}")
    differs = peaks[-1] / peaks[0] - 1
    print(f"{asked.items[-1]:,} items against {asked.items[0]:,}: {100 * differs:+.1f} %")
    if abs(differs) > SHARE:
        sys.exit(f"more than {100 * SHARE:.0f} %")


if __name__ == "__main__":
    main()
