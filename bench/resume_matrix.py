"""Kills a training at eight moments with each of ten features, repeats the command, and compares the bytes that it ends with.

    python bench/resume_matrix.py

Moments: before the first step; after it; in the middle of a step, before its last pack; in the middle of an epoch; a step before
its end, at its end, a step after it; after the last step. Features: see FEATURES; each is proved to be at work in the undisturbed
run.
Prints the table and appends that of all features to bench/results/resume_matrix.jsonl; exits 1 where one of the 80 cells differs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import recorded
from killed_runs import ALL_WEIGHTS, TWO_PROCESSES, Case, Job, Yard
from lathe.engine.fused.choice import is_fused
from lathe.processes import usable_cores
from lathe.records import TrainResult

PACKED = {"train.token_budget": 400}


@dataclass(frozen=True)
class Feature:
    """changes: what makes a recipe have it. at_work: whether a job's undisturbed run shows it. needs: a package."""

    changes: Mapping[str, Any]
    at_work: Callable[[Job, TrainResult, Job], bool]
    """Of the job, its result, and the job without the feature."""
    needs: str | None = None


def _rows_in_packs(job: Job) -> float:
    return sum(len(taken.rows) for taken in job.ledger) / sum(taken.packs for taken in job.ledger)


FEATURES = {
    "dropout": Feature({"method.dropout": 0.2}, lambda job, _, plain: _losses(job) != _losses(plain)),
    "packing": Feature(PACKED, lambda job, *_: _rows_in_packs(job) > 4),
    "prefix sharing": Feature(
        {**PACKED, "train.group_by_prefix": True}, lambda job, *_: all(taken.shared for taken in job.ledger)
    ),
    "accumulation": Feature({"train.token_budget": 80}, lambda job, *_: all(taken.packs > 1 for taken in job.ledger)),
    "evaluation between": Feature({"train.validate.every": 2}, lambda _, result, __: len(result.validations) == 5),
    "early stop": Feature(
        {"train.epochs": 5, "train.validate.every": 1, "train.validate.patience": 4},
        lambda job, result, _: result.stop == "early" and len(job.ledger) > _epoch(job) + 1,
    ),
    "QLoRA": Feature({"method.kind": "qlora"}, lambda _, result, __: "quantised" in result.step_kind, "bitsandbytes"),
    "two processes": Feature(TWO_PROCESSES, lambda _, result, __: result.processes == 2),
    "all weights": Feature(ALL_WEIGHTS, lambda job, result, _: _is_whole(job) and is_fused(result.step_kind)),
    "all weights by two": Feature(
        ALL_WEIGHTS | TWO_PROCESSES, lambda job, result, _: _is_whole(job) and result.processes == 2
    ),
}


def _is_whole(job: Job) -> bool:
    """Whether the training ends with a model and not with an adapter."""
    return "train/adapter/model.safetensors" in job.outcome


def _losses(job: Job) -> str:
    return job.outcome["train/metrics.jsonl"]


def moments(job: Job) -> dict[str, tuple[int, int | None]]:
    """Step, counted from 1, and the pack before which it happens; None = when the step is done."""
    last = job.ledger[-1].step
    epoch = _epoch(job)
    middle = epoch // 2 + 1
    return {
        "0": (1, 1),
        "1": (1, None),
        "in a step": (middle, job.ledger[middle - 1].packs),
        "in an epoch": (middle, None),
        "its end - 1": (epoch - 1, None),
        "its end": (epoch, None),
        "its end + 1": (epoch + 1, None),
        "last": (last, None),
    }


def _epoch(job: Job) -> int:
    """Steps until every row was seen."""
    every = {row for taken in job.ledger for row in taken.rows}
    seen: set[str] = set()
    for taken in job.ledger:
        seen.update(taken.rows)
        if seen == every:
            return taken.step
    return 0


def cell(yard: Yard, job: Job, moment: tuple[int, int | None], name: str) -> str:
    """What differs after a kill at this moment; empty where nothing does."""
    case: Case = yard.case(job, name)
    if not case.command(moment=moment).killed:
        return "it was not killed"
    return "; ".join(filter(None, [case.difference(case.command()), case.lost()]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--feature", choices=FEATURES, action="append", help="these alone; may be given again")
    parser.add_argument("--at-once", type=int, default=usable_cores(), help="cells taken at the same time")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="resume-matrix-") as folder:
        yard = Yard(Path(folder))
        plain = yard.job("plain", after="rule", until="train")
        jobs: dict[str, Job] = {}
        for name, feature in FEATURES.items():
            if asked.feature and name not in asked.feature:
                continue
            if feature.needs is not None and find_spec(feature.needs) is None:
                print(f"{name}: not measured, {feature.needs} is not installed")
                continue
            if feature.needs is not None:
                import_module(feature.needs)
            if not jobs:
                yard.settle(plain)
            jobs[name] = job = yard.job(name, feature.changes, after="rule", until="train")
            run = Case(job, job.folder.parent / "undisturbed").run
            if not feature.at_work(job, run.load(run.train_result, TrainResult), plain):
                raise SystemExit(f"{name} is not at work in its job, so that its cells would prove nothing")
        asked_for = [(name, moment) for name, job in jobs.items() for moment in moments(job)]
        with ProcessPoolExecutor(asked.at_once, multiprocessing.get_context("fork")) as pool:
            found = pool.map(
                cell,
                [yard] * len(asked_for),
                [jobs[name] for name, _ in asked_for],
                [moments(jobs[name])[moment] for name, moment in asked_for],
                [moment for _, moment in asked_for],
            )
            wrong = dict(zip(asked_for, found, strict=True))
    names = list(dict.fromkeys(moment for _, moment in asked_for))
    print(f"{'':20}" + "".join(f"{name:>13}" for name in names))
    for feature_name in jobs:
        marks = ["DIFFERS" if wrong[feature_name, moment] else "same" for moment in names]
        print(f"{feature_name:20}" + "".join(f"{mark:>13}" for mark in marks))
    if not asked.feature:
        same = {name: sum(not wrong[name, moment] for moment in names) for name in jobs}
        recorded.keep("resume_matrix", {"moments": len(names), "same": same, **recorded.here()})
    for (feature_name, moment), words in wrong.items():
        if words:
            print(f"{feature_name}, killed at {moment}: {words}")
    same = sum(not words for words in wrong.values())
    print(f"{time.monotonic() - began:.0f} s")
    print(f"same {same} of {len(FEATURES) * 8}")
    return 0 if same == len(FEATURES) * 8 or (asked.feature and same == len(wrong)) else 1


if __name__ == "__main__":
    sys.exit(main())
