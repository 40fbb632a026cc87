"""A predecessor's recorded shell answers, scored by every metric of the task `bash`, and run beside the right ones in the sandbox.

    python bench/recorded_commands.py cli_tuner_predictions.jsonl

Rows hold instruction, reference_output and predicted_output. The same metrics of the references themselves stand beside. Without a
sandbox nothing is run. Intervals are of Wilson, 95 %; seconds are of the wall clock.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lathe import plugins
from lathe.processes import usable_cores
from lathe.records import TaskSetup
from lathe.sandbox import NoSandbox, prove
from lathe.sandbox.equivalence import Equivalence
from lathe.stats import wilson

SETUP = TaskSetup(fields={"input": "instruction", "target": "reference_output"})


def shown(values: Sequence[float | None]) -> str:
    """`23 of 174  0.132 [0.090, 0.191]`; what was not measured does not count."""
    measured = [value for value in values if value is not None]
    right, n = sum(measured), len(measured)
    low, high = wilson(right, n, 0.95) if n else (0.0, 1.0)
    return f"{right:>4.0f} of {n:<4} {right / max(n, 1):.3f} [{low:.3f}, {high:.3f}]"


def equivalence(pairs: Sequence[tuple[str, str]]) -> None:
    """Prints how many answers do what the reference does."""
    try:
        judge = Equivalence(prove(), time.time())
    except NoSandbox as reason:
        print(f"executed_equivalence     not measured: {reason.message}")
        return
    began = time.perf_counter()
    with ThreadPoolExecutor(usable_cores()) as executor:
        found = list(executor.map(lambda pair: judge.of(*pair), pairs))
    seconds = time.perf_counter() - began
    print(f"{'executed_equivalence':<24} {shown([one.value for one in found])}   {seconds:.0f} s")
    print(f"    {dict(Counter(one.why for one in found).most_common())}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("answers", type=Path)
    rows = [json.loads(line) for line in parser.parse_args().answers.read_text().split("\n") if line]
    task = plugins.load("tasks", "bash")
    examples = [task.example(row, SETUP) for row in rows]
    said = [task.score(one, row["predicted_output"], SETUP).values for one, row in zip(examples, rows, strict=True)]
    gold = [task.score(one, one.completion, SETUP).values for one in examples]
    print(f"{len(rows)} answers{'':<17} the answers                        the references")
    for metric in task.metrics:
        print(
            f"{metric.name:<24} {shown([one[metric.name] for one in said])}  {shown([one[metric.name] for one in gold])}"
        )
    equivalence(
        [
            (str(one.target), str(task.value(row["predicted_output"], one, SETUP) or ""))
            for one, row in zip(examples, rows, strict=True)
        ]
    )


if __name__ == "__main__":
    main()
