"""Seconds and energy from data to a score: what a recipe takes until its tuned model is measured, and whether it got there.

    python bench/time_to_score.py demo --target 0.30
    LATHE_MIRROR=FOLDER python bench/time_to_score.py edgejson-v3 --target 0.50 --set train.epochs=3

Timed: rows read and proved, the plan, training, and the tuned model's answers to the test rows; base and rule are not asked, since
a score does not need them. Training is timed with all that it loads and tries first; its steps, which is what trainers call their
runtime, are shown beside. The target is reached where the lower end of the score's interval is not below it. Energy is what the
processor's own counters (RAPL, Linux) say of the whole machine; where they cannot be read it is not measured. Appends to
bench/results/time_to_score.jsonl.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import recorded
from lathe import plugins
from lathe.pipeline import Run
from lathe.processes import usable_cores
from rules import shown

COUNTERS = Path("/sys/class/powercap")


def joules() -> float | None:
    """What all processor packages have used since some moment; None where nobody counts, or nobody may read."""
    counters = sorted(COUNTERS.glob("intel-rapl:[0-9]*/energy_uj"))
    counters = [path for path in counters if path.parent.name.count(":") == 1]  # packages, and not their parts again
    try:
        return sum(int(path.read_text()) for path in counters) / 1e6 if counters else None
    except OSError:
        return None


def cpu_seconds() -> float:
    """Of this process and of all that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@contextmanager
def timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    seconds[part] = time.monotonic() - begun


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("recipe", help="name of a shipped recipe, or a recipe file")
    arguments.add_argument("--target", type=float, required=True, help="score of the task's primary metric")
    arguments.add_argument("--set", action="append", default=[], dest="sets", help="KEY=VALUE, as lathe run has it")
    asked = arguments.parse_args()

    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        energy, cpu = joules(), cpu_seconds()
        with timed(seconds, "data and plan"):
            run = Run.start(asked.recipe, tuple(asked.sets), root=Path(folder))
            run.go(until="plan")
        with timed(seconds, "training"):
            trained = run.train()
        with timed(seconds, "answers"):
            report = run.evaluate("tuned")
        cpu, after = cpu_seconds() - cpu, joules()
    primary = plugins.load("tasks", run.locked.recipe.task).primary
    score = next(score for score in report.scores if score.metric == primary)
    used = None if energy is None or after is None or after < energy else after - energy  # counters begin again at zero
    reached = score.low is not None and score.low >= asked.target
    line = {
        "recipe": asked.recipe, "sets": asked.sets, "target": asked.target, "reached": reached,
        "metric": primary, "score": score.model_dump(mode="json"), "n": report.n,
        "steps": trained.num_steps, "tokens": trained.num_tokens, "peak_bytes": trained.peak_bytes,
        "seconds": seconds, "of_steps": trained.train_seconds, "cpu_seconds": cpu, "joules": used, **recorded.here(),
    }  # fmt: skip
    recorded.keep("time_to_score", line)
    for part, taken in seconds.items():
        steps = f", of it steps {trained.train_seconds:.1f} s" if part == "training" else ""
        print(f"  {part:<14} {taken:7.1f} s{steps}")
    print(f"  {'in all':<14} {sum(seconds.values()):7.1f} s, {cpu:.1f} s of processor time on {usable_cores()} cores")
    print(f"  {'energy':<14} {'not measured: no counter can be read' if used is None else f'{used / 3600:7.2f} Wh'}")
    print(f"  {primary} {shown(score)} of {report.n}: {'reached' if reached else 'not reached'} {asked.target}")


if __name__ == "__main__":
    main()
