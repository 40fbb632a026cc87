"""Kills a whole run wherever it changes a file, or lets its disk fail there, and looks at what the same command then ends with.

    python bench/kill_sweep.py                          # every point; 25 minutes of two idle cores
    python bench/kill_sweep.py --sample 40 --seed 1     # so many of them, drawn by the seed

A point is one of these, for a run from data to report whose base is a tiny model:

    call      SIGKILL before a call that changes files under the run's root (open for writing, write, sync, truncate, rename,
              remove, mkdir), and amid each write, when half of it is done; whoever makes the call (file_calls.py)
    moment    SIGKILL at a moment of the training drawn by the seed, every third time once more while the command continues; of two
              processes every second one strikes the helper, of two ranks both are struck, as torchrun would end them
    EIO       a call fails once
    ENOSPC    a call that needs room fails, and so do all that follow, as on a disk that stays full

After a kill the newest checkpoint is the one that stood before; the same command ends with the files of the undisturbed run
(adapter, answers, scores, decision, shipped files; times aside), with every example in every step as there, and leaves nothing
half-done.
A failing disk ends the command with exit code 74 and words, not with a traceback. Each point is checked to have struck.
Prints the points that did not hold and a table, and appends what came of all of them to bench/results/kill_sweep.jsonl; exits 1
where one did not hold.
"""

from __future__ import annotations

import argparse
import errno
import math
import multiprocessing
import random
import re
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import recorded
from file_calls import MAKES_ROOM, Call, Fate, missing
from forked_command import UNDISTURBED, Ended
from killed_runs import ALL_WEIGHTS, BY_THE_CLOCK, TWO_PROCESSES, Case, Job, Yard
from lathe.processes import usable_cores

Kinds = Counter[tuple[str, str]]
"""Points by job and kind."""
MOMENTS = 100
"""Of a training."""
ATTEMPTS = 5
"""Of a point that does not come to pass: a moment after the end, a call that the clock did not ask for."""
EARLIER = 0.7
"""Factor from one attempt to the next: where the machine has become faster, the drawn moment comes too late."""
FAILS = frozenset({"open", "create", "write", "truncate", "sync", "rename", "new folder"})
"""Kinds of calls that a failing disk fails. What stays when a removal fails is swept by the next start."""


@dataclass(frozen=True)
class Point:
    """One disturbance of a job's run."""

    job: str
    kind: str
    fate: Fate = UNDISTURBED
    moments: tuple[tuple[float, str], ...] = ()
    """Shares of the undisturbed run's seconds, and who is killed then: the `run` or its `helper`."""

    @property
    def words(self) -> str:
        where = " ".join(f"{share:.2f} of the run ({victim})" for share, victim in self.moments)
        call = self.fate.at
        at = f"{self.fate.way} {call.name} {call.path} #{call.times}" if call is not None else where
        return f"{self.job}: {self.kind} {at}"


@dataclass(frozen=True)
class Held:
    """What came of a point: empty where it held."""

    point: Point
    wrong: str
    came: bool
    """False for a call that only the clock asks for and that did not come again."""
    cpu_seconds: float


# ------------------------------------------------------------------------------------------ which points there are


def points(job: Job, moments: int, seed: int) -> list[Point]:
    """All of a job. moments: how many of those there are."""
    calls = job.ended.calls
    return [
        *(Point(job.name, "call", Fate("kill before", call)) for call in calls),
        *(Point(job.name, "call", Fate("kill amid", call)) for call in calls if call.name == "write"),
        *(Point(job.name, "EIO", Fate("fail once", call, errno.EIO)) for call in calls if call.kind in FAILS),
        *(
            Point(job.name, "ENOSPC", Fate("fail from", call, errno.ENOSPC))
            for call in calls
            if call.kind in MAKES_ROOM
        ),
        *_moments(job, moments, seed),
    ]


def _moments(job: Job, count: int, seed: int) -> Iterator[Point]:
    draw = random.Random(f"{job.name} {seed}")
    for number in range(count):
        victims = ("helper", "run") if number % 2 else ("run", "helper")
        twice = 2 if number % 3 == 0 else 1
        yield Point(job.name, "moment", moments=tuple((draw.random(), victim) for victim in victims[:twice]))


# ------------------------------------------------------------------------------------------ one point


def take(yard: Yard, job: Job, point: Point, name: str, until: float) -> Held | None:
    """Disturbs a run and lets the same command end it; None where it is too late to begin."""
    if time.monotonic() > until:
        return None
    used = 0.0
    for attempt in range(ATTEMPTS):
        case = yard.case(job, f"{name}-{attempt}")
        wrong, seconds = _by_moments(case, point, EARLIER**attempt) if point.moments else _by_call(case, point)
        used += seconds
        if wrong is not None:
            break
    if wrong == "":
        shutil.rmtree(case.folder)
    call = point.fate.at
    if wrong is None and call is not None and BY_THE_CLOCK.search(call.path):
        return Held(point, "", came=False, cpu_seconds=used)
    return Held(point, "it never came to pass" if wrong is None else wrong, came=True, cpu_seconds=used)


def _by_call(case: Case, point: Point) -> tuple[str | None, float]:
    """What is wrong, None where the fate struck nowhere; and CPU seconds."""
    ended = case.command(point.fate)
    used = ended.cpu_seconds
    call = ended.fired
    if call is None:
        return None, used
    if ended.killed:
        wrong = case.not_kept(ended)
    elif point.kind == "EIO" and ended.code == case.job.ended.code and _made_good(call):
        wrong = case.difference(ended)
    elif ended.code != 74 or "Traceback" in ended.said or "error: could not write" not in ended.said:
        wrong = f"ended with {ended.code}, not with 74 and words: {ended.said[-400:]}"
    else:
        wrong = case.not_kept(ended)
    again = case.command()
    return "; ".join(filter(None, [wrong, case.difference(again), case.lost()])), used + again.cpu_seconds


def _made_good(call: Call) -> bool:
    """Whether a run may go on after such a call failed once: a heartbeat may be lost, and Python copies a file itself where the
    kernel's copy fails at its beginning."""
    return "/.progress." in call.path or call.name == "sendfile"


def _by_moments(case: Case, point: Point, scale: float) -> tuple[str | None, float]:
    used = 0.0
    for number, (share, victim) in enumerate(point.moments):
        ended = case.command(kill=(scale * share * case.job.ended.seconds, victim))
        used += ended.cpu_seconds
        wrong = _not_struck_down(ended, victim, case)
        if number == 0 and wrong is None:
            return None, used
        if wrong:
            return wrong, used
    again = case.command()
    return "; ".join(filter(None, [case.difference(again), case.lost()])), used + again.cpu_seconds


def _not_struck_down(ended: Ended, victim: str, case: Case) -> str | None:
    """What is wrong with a command after a kill at some moment; None where it had ended before."""
    if ended.killed:
        return ""
    if ended.code == case.job.ended.code:
        return None
    if (
        victim == "helper"
        and "Traceback" not in ended.said
        and re.search("process of the training|of this training", ended.said)
    ):
        return ""
    return f"ended with {ended.code}: {ended.said[-400:]}"


# ------------------------------------------------------------------------------------------ all points


def sweep(
    asked: Sequence[Point], jobs: dict[str, Job], yard: Yard, at_once: int, until: float
) -> Iterator[Held | None]:
    """Takes the points, several at once; what came of each as it is known. until: None for those that were not begun by then."""
    with ProcessPoolExecutor(at_once, multiprocessing.get_context("fork")) as pool:
        yield from pool.map(
            take,
            [yard] * len(asked),
            [jobs[point.job] for point in asked],
            asked,
            [f"point-{number}" for number in range(len(asked))],
            [until] * len(asked),
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sample", type=int, help="take so many points, drawn by the seed, instead of all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=("call", "moment", "EIO", "ENOSPC"), help="points of one kind only")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="begin no point after so many; the rest are counted"
    )
    parser.add_argument("--at-once", type=int, default=usable_cores(), help="points taken at the same time")
    asked = parser.parse_args()
    problem = missing()
    if problem is not None:
        print(f"not measured: {problem}")
        return 69
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kill-sweep-") as folder:
        yard = Yard(Path(folder))
        # One that is done only to settle: libraries say something the first time, and that is a line more in the journal.
        yard.settle(yard.job("settling", after="rule", until="train"))
        # In parts, so that a point late in the run does not pay for all that comes before it.
        parts = [
            (yard.job("beginning", until="doctor"), 0),
            (yard.job("data, baselines", after="doctor", until="rule"), 0),
            (yard.job("training", after="rule", until="train"), MOMENTS),
            (yard.job("two processes", TWO_PROCESSES, after="rule", until="train"), MOMENTS),
            (yard.job("all weights by two", ALL_WEIGHTS | TWO_PROCESSES, after="rule", until="train"), MOMENTS),
            (yard.job("two ranks", after="rule", until="train", ranks=2), MOMENTS),
            (yard.job("answers, report", after="train"), 0),
        ]
        jobs = {job.name: job for job, _ in parts}
        chosen = [point for job, moments in parts for point in points(job, moments, asked.seed)]
        chosen = [point for point in chosen if asked.kind in (None, point.kind)]
        # In an order drawn by the seed, so that what was taken when the time is up is a fair sample of all.
        chosen = random.Random(asked.seed).sample(chosen, min(asked.sample or len(chosen), len(chosen)))
        for job in jobs.values():
            print(
                f"{job.name:18} {len(job.ended.calls):4} calls, {job.ended.cpu_seconds:.2f} CPU seconds undisturbed",
                flush=True,
            )
        print(f"{len(chosen)} points", flush=True)
        held: list[Held] = []
        for result in sweep(chosen, jobs, yard, asked.at_once, began + 60 * asked.minutes):
            if result is None:
                continue
            held.append(result)
            if result.wrong:
                print(f"NOT HELD {result.point.words}: {result.wrong}", flush=True)
            if len(held) % 100 == 0:
                print(f"{len(held)} of {len(chosen)} after {time.monotonic() - began:.0f} s", flush=True)
    if len(held) < len(chosen):
        print(f"time was up: {len(chosen) - len(held)} points were not taken")
    seconds = time.monotonic() - began
    total = Counter((one.point.job, one.point.kind) for one in held if one.came)
    good = Counter((one.point.job, one.point.kind) for one in held if one.came and not one.wrong)
    _table(held, total, good, seconds)
    if asked.sample is None and asked.kind is None:
        counts = {f"{job}, {kind}": [good[job, kind], number] for (job, kind), number in sorted(total.items())}
        left = len(chosen) - len(held)
        recorded.keep("kill_sweep", {"held": counts, "not_taken": left, "seconds": seconds, **recorded.here()})
    return 0 if good == total else 1


def _table(held: Sequence[Held], total: Kinds, good: Kinds, seconds: float) -> None:
    for (job, kind), number in sorted(total.items()):
        print(f"{job:18} {kind:7} {good[job, kind]:5} of {number:5}")
    absent = sum(not one.came for one in held)
    if absent:
        print(f"{absent} calls that only the clock asks for did not come again")
    used = sum(one.cpu_seconds for one in held)
    whole = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{seconds:.0f} s; {used:.0f} CPU seconds in commands, {whole.ru_utime + whole.ru_stime:.0f} in all")
    print(f"held {sum(good.values())} of {sum(total.values())}")


if __name__ == "__main__":
    sys.exit(main())
