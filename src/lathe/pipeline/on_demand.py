"""What is measured of a run on demand, beside its chain: an endpoint, a probe, answers held to their form, general ability, doubts.

    found = on_demand.probe(run, locked, "labels", Files(), None, progress)        -> {"tuned": EvalReport, "base-zero": EvalReport}

No stage waits for any of it, no gate rests on it and no look is counted. Each holds the run while it works, and a finished run is
sealed again with what it added; one that adds to what a report tells has the report written anew. `regrade` asks no model: it
scores again what is there, and decides again.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lathe import decide, evaluate, plugins, report, train, verify
from lathe.contracts import Endpoint, Model, Progress
from lathe.data.findings.secrets import redacted
from lathe.engine.harness import Tasks
from lathe.errors import InputError
from lathe.evaluate import probes
from lathe.pipeline.stages import stage_hashes
from lathe.records import Decision, EvalReport, FormEffect, GeneralCheck, LockedRecipe, ReportRecord
from lathe.records.results import Doubts
from lathe.runs import RunFolder, stage_inputs
from lathe.safe_text import typed

MODELS = ("tuned", "base-zero")


def endpoint_arm(endpoint: Endpoint) -> str:
    """The arm's name, which is a folder's too: `endpoint-qwen3-8b`."""
    return f"endpoint-{re.sub(r'[^A-Za-z0-9.]+', '-', endpoint.model).strip('-.') or 'model'}"


def evaluate_endpoint(run: RunFolder, locked: LockedRecipe, endpoint: Endpoint, progress: Progress) -> EvalReport:
    """A model behind an endpoint as one more arm, on the test rows."""
    arm, base = endpoint_arm(endpoint), stage_hashes(locked)["base-zero"]
    inputs = stage_inputs({"base-zero": base, "endpoint": [endpoint.url, endpoint.model]})
    model = Model(Path(locked.base_folder), endpoint=endpoint)
    with run.lock():
        done = run.done(run.eval_report(arm), EvalReport, inputs)
        if done is not None:
            return done
        with _added(run):
            return evaluate.evaluate(run, locked, arm, "test", inputs, progress, runtime="openai", model=model)


def probe(
    run: RunFolder,
    locked: LockedRecipe,
    name: str,
    files: probes.Files,
    judge: probes.Judge | None,
    progress: Progress,
) -> dict[str, EvalReport]:
    """One of the probes on every arm that was measured and that it is for."""
    arms = _measured(run, probes.PROBES[name].arms, "arm")
    with run.lock(), _added(run):
        return {arm: probes.probe(run, locked, name, arm, progress, files, judge) for arm in arms}


def constrain(run: RunFolder, locked: LockedRecipe, progress: Progress) -> FormEffect:
    """The measured models with each answer held to its form, each beside what it wrote freely."""
    arms = _measured(run, MODELS, "model")
    task = plugins.load("tasks", locked.recipe.task)
    metrics = [task.primary, *(one.name for one in task.metrics if one.name != task.primary)]
    listener = run.beating(progress)
    with run.lock(), _told_anew(run, locked):
        pairs = [
            (
                run.load(run.eval_report(arm), EvalReport),
                evaluate.evaluate_constrained(run, locked, arm, listener),
            )
            for arm in arms
        ]
        found = decide.form_effect(pairs, metrics, locked.recipe.evaluate.confidence)
        run.commit(run.form_effect, found)
    return found


def general(run: RunFolder, locked: LockedRecipe, tasks: Tasks, progress: Progress) -> GeneralCheck:
    """Base and tuned model on tasks that they were not tuned for."""
    missing = [arm for arm in ("base-zero", "tuned") if not run.eval_report(arm).is_file()]
    if missing:
        raise InputError(
            f"{run.path} has not measured {' and '.join(missing)}", hint=f"lathe evaluate {typed(run.path)}"
        )
    listener = run.beating(progress)
    with run.lock(), _added(run):
        base, tuned = (evaluate.evaluate_general(run, locked, arm, tasks, listener) for arm in ("base-zero", "tuned"))
        found = decide.general_check(base, tuned, locked.recipe.evaluate.confidence)
        run.commit(run.general, found)
    return found


def doubt(run: RunFolder, locked: LockedRecipe, progress: Progress) -> Doubts:
    """The training rows whose answers the tuned model itself finds hardest."""
    inputs = stage_hashes(locked)["train"]
    with run.lock():
        done = run.done(run.doubts, Doubts, inputs)
        if done is not None:
            return done
        with _told_anew(run, locked):
            return train.doubt(run, locked, inputs, redacted, run.beating(progress))


def regrade(run: RunFolder, locked: LockedRecipe) -> dict[str, EvalReport]:
    """The kept answers by the scorer of today, and the decision from them where there is one."""
    answered = run.answered()
    if not answered:
        raise InputError(f"{run.path} has no answers to score", hint=f"lathe evaluate {typed(run.path)}")
    scores = [run.eval_report(arm, side) for arm, side in answered]
    with run.lock(), _told_anew(run, locked, but=[*scores, run.decision, run.form_effect]):
        found = {}
        for arm, side in answered:
            inputs = run.load(run.eval_report(arm, side), EvalReport).inputs
            scored = evaluate.regrade(run, locked, arm, side, inputs)
            if side == "test":
                found[arm] = scored
        run.form_effect.unlink(missing_ok=True)
        if run.decision.is_file():
            decided = run.load(run.decision, Decision)
            decide.decide(run, locked, decided.inputs, decided.looks)
    return found


def _measured(run: RunFolder, arms: Sequence[str], kind: str) -> list[str]:
    """Those of the arms that were measured. Raises InputError where none was."""
    measured = [arm for arm in arms if run.eval_report(arm).is_file()]
    if not measured:
        raise InputError(f"{run.path} has no measured {kind}", hint=f"lathe evaluate {typed(run.path)}")
    return measured


@contextlib.contextmanager
def _told_anew(run: RunFolder, locked: LockedRecipe, but: Sequence[Path] = ()) -> Iterator[None]:
    """The block adds something that the report tells: one that stands is written anew after it. but: as `_added` takes it."""
    with _added(run, (*run.told, *but)):
        yield
        if run.report_record.is_file():
            inputs = run.load(run.report_record, ReportRecord).inputs
            report.report(run, locked, inputs)


@contextlib.contextmanager
def _added(run: RunFolder, but: Sequence[Path] = ()) -> Iterator[None]:
    """The block adds something to a run: a finished one is sealed again with it.

    but: files that may have been changed, since the block writes them anew. Raises InputError where any other file was.
    """
    finished = run.digests.is_file()
    verify.refuse_changed(run, but=but)
    run.digests.unlink(missing_ok=True)
    try:
        yield
    finally:
        if finished:
            verify.seal(run)
