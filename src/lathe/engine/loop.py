"""Training from the first step or from the newest intact checkpoint to the last step.

    outcome = fit(job, progress)

Row order, packs and learning rate of step k are functions of (recipe, seed, k); random numbers are seeded with (seed, k). So a
run that was killed at any moment continues to the same bytes. Running out of memory halves the token budget and repeats the
same step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any, Literal

import torch

from lathe.contracts import Progress, Told
from lathe.engine import checkpoint, metrics
from lathe.engine.devices import Gauges, give_back_memory, out_of_memory, peak_bytes, processor
from lathe.engine.packs import Pack, build_pack
from lathe.engine.signals import stop_requested
from lathe.engine.trained import Trained
from lathe.errors import Diverged, InputError, Interrupted
from lathe.records import Json, Validation
from lathe.schedule import validating
from lathe.schedule.steps import StepPlan
from lathe.storage import writing
from lathe.text.tokens import TokenSet


@dataclass(frozen=True)
class Fit:
    """What the loop needs, loaded and decided."""

    trained: Trained
    """The weights, and the step that forms their gradient."""
    tokens: TokenSet
    plan: StepPlan
    out: Path
    """Folder that gets checkpoints/ and metrics.jsonl."""
    job_hash: str
    computed: Mapping[str, Json] = field(default_factory=dict)
    """How it is formed where several ways are possible: precision, kind of step."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    measure: Callable[[int, Told], Validation] | None = None
    """Measures the weights as they are after so many steps; for `plan.validation_steps`."""
    asked_elsewhere: Callable[[], str | None] = lambda: None
    """The signal that another process of this training got, if any; it stops all."""


@dataclass
class Course:
    """How far training has come; kept in each checkpoint."""

    step: int = 0
    token_budget: int = 0
    seconds: float = 0.0
    """Spent in steps, over all starts."""
    forecast_seconds: float | None = None
    """Seconds of all steps, foretold from the first ones."""
    peak_bytes: int = 0
    """The highest of all starts."""
    resumed: int = 0
    notes: list[str] = field(default_factory=list)
    environment: dict[str, Json] = field(default_factory=dict)
    """What bytes depend on besides the job: torch version, threads, instruction set, precision, kind of step."""
    validations: list[Validation] = field(default_factory=list)
    stop: Literal["done", "early", "collapsed"] = "done"
    """Why training ended, once it has; see `TrainResult.stop`."""

    def state(self) -> dict[str, Json]:
        """As it stands in a checkpoint."""
        return asdict(self) | {"validations": [one.dump() for one in self.validations]}

    @classmethod
    def of(cls, state: Mapping[str, Json]) -> Course:
        """Reads what `state` gave."""
        known = {one.name: state[one.name] for one in fields(cls)}
        return cls(**known | {"validations": [Validation.model_validate(one) for one in state["validations"]]})


def fit(work: Fit, progress: Progress) -> Course:
    """Trains `work.trained` in place; where it is measured on the way, it ends with the best weights.

    Raises Diverged, Interrupted, StorageError, or InputError where a row exceeds the memory.
    """
    with writing(work.out):
        work.out.mkdir(parents=True, exist_ok=True)
    checkpoints = work.out / "checkpoints"
    trained, train = work.trained, work.plan.train
    course = _resume(work, checkpoints)
    gauges = Gauges(work.device)

    def keep() -> None:
        course.peak_bytes = max(course.peak_bytes, peak_bytes(work.device))
        state = checkpoint.Checkpoint(course.step, trained.tensors(), course.state(), _best_step(course))
        checkpoint.save(checkpoints, state, work.job_hash, train.keep_checkpoints, trained.whole)

    early: list[tuple[int, float]] = []
    with metrics.opened(work.out / "metrics.jsonl", course.step) as lines, stop_requested() as asked_here:

        def stop_asked() -> str | None:
            return asked_here() or work.asked_elsewhere()

        def pause() -> None:
            """What is due between two steps: a validation, a checkpoint, the end where a signal asks for it."""
            if _is_due(work, course) and not stop_asked():
                _validate(work, course, lines, stop_asked, progress)
            ended = course.stop != "done" or (course.step == work.plan.num_steps and not _is_due(work, course))
            signal = stop_asked()
            if signal or ended or course.step in {*work.plan.checkpoint_steps, *work.plan.validation_steps}:
                keep()
            if signal and not ended:
                raise Interrupted(
                    f"stopped by {signal} after step {course.step} of {work.plan.num_steps}",
                    hint="The same command continues.",
                )

        if _is_due(work, course):  # a signal came between a step and its validation
            pause()
        while course.step < work.plan.num_steps and course.stop == "done":
            line = _take_step(work, course)
            early.append((line["tokens"], line["seconds"]))
            if course.forecast_seconds is None:
                left = metrics.remaining_seconds(early, work.plan, course.step)
                course.forecast_seconds = None if left is None else course.seconds + left
            metrics.write(lines, line | gauges.read())
            progress(_where(work, course) | line | _measured(course))
            pause()
    _put_best(work, course, checkpoints)
    return course


def _take_step(work: Fit, course: Course) -> dict[str, Any]:
    """Moves the weights by the next step and says what is to be noted of it. Raises Diverged, InputError."""
    begun = time.monotonic()
    supervised_N, rows = work.tokens.supervised_lengths, work.plan.examples(course.step)
    loss, computed = _step_gradients(work, course, int(supervised_N[rows].sum()))
    clip_norm = work.plan.train.clip_norm
    norm = work.trained.clip(math.inf if clip_norm is None else clip_norm)
    if not (math.isfinite(loss) and math.isfinite(norm)):
        ids = [work.tokens.example_ids[row] for row in rows]
        raise diverged(course.step + 1, loss, norm, ids, kept="the weights before this step are kept")
    work.trained.move(work.plan.learning_rate(course.step))
    course.step += 1
    seconds = time.monotonic() - begun
    course.seconds += seconds
    line = metrics.step_line(work.plan, supervised_N, course.step, loss, norm, seconds)
    return line | {"token_budget": course.token_budget, "computed": computed}


class _Asked(Exception):
    """A signal asks for the end while rows are answered."""


def _is_due(work: Fit, course: Course) -> bool:
    """Whether the weights are to be measured now."""
    return course.step in work.plan.validation_steps and not any(one.step == course.step for one in course.validations)


def _validate(
    work: Fit, course: Course, lines: IO[bytes], stop_asked: Callable[[], str | None], progress: Progress
) -> None:
    """Measures the weights as they are, and whether that ends training. A signal breaks it off: then nothing is noted, and the same
    validation is due again."""

    def told(done: int, total: int) -> None:
        if stop_asked():
            raise _Asked
        progress(_where(work, course) | {"validating": f"{done} of {total}"} | _measured(course))

    if work.measure is None:
        raise ValueError("train.validate asks for validations, and nothing was given that measures")
    give_back_memory()  # of the steps, for a second base that answers; and of that one, for the steps
    try:
        found = work.measure(course.step, told)
    except _Asked:
        return
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise InputError(
            f"memory ran out while validation rows were answered after step {course.step}",
            hint="Lower evaluate.token_budget, or leave train.validate out; the same command then trains anew.",
        ) from error
    give_back_memory()
    found = found.model_copy(update={"collapse": validating.collapse(course.validations, found)})
    if found.collapse:
        course.notes.append(f"step {course.step}: the answers collapsed: {found.collapse}")
    course.validations.append(found)
    if course.step < work.plan.num_steps:
        course.stop = validating.ending(course.validations, work.plan.train.validate_) or "done"
    metrics.write(lines, {"step": course.step, "validation": found.dump()})
    progress(_where(work, course) | _measured(course))


def _where(work: Fit, course: Course) -> dict[str, Any]:
    """How far training is, as a listener is told."""
    return {"stage": "train", "done": course.step, "total": work.plan.num_steps, "unit": "step"}


def _measured(course: Course) -> dict[str, Any]:
    """The last validation and the best one, as a listener is told; empty before the first."""
    if not course.validations:
        return {}
    last, top = course.validations[-1].score, validating.best(course.validations)
    best = {"best": top.score.value, "best_step": top.step} if top is not None else {}
    return {"metric": last.metric, "value": last.value, **best}


def _best_step(course: Course) -> int | None:
    """The step whose weights are the best so far; None where nothing was measured."""
    top = validating.best(course.validations)
    return top.step if top is not None else None


def _put_best(work: Fit, course: Course, checkpoints: Path) -> None:
    """Puts the best weights in place, where they are not those of the last step."""
    step = _best_step(course)
    if step is not None and step != course.step:
        work.trained.put(checkpoint.of_step(checkpoints, step, work.job_hash).tensors)


def diverged(step: int, loss: float, norm: float, example_ids: Sequence[str], *, kept: str) -> Diverged:
    """What a step without a finite loss or gradient ends with. example_ids: of its rows; kept: what is left of the training."""
    return Diverged(
        f"step {step}: loss {loss:g}, gradient norm {norm:g}; {kept}",
        hint="Lower train.learning_rate (a third of it is a good next try), or look at the rows of this step: "
        + ", ".join(example_ids[:8]),
    )


def _step_gradients(work: Fit, course: Course, supervised: int) -> tuple[float, int]:
    """The gradient of step `course.step` in `.grad`; its loss, and how many tokens were computed.

    Halves `course.token_budget` for as long as memory runs out.
    """
    while True:
        packs = work.plan.packs(course.step, course.token_budget)
        torch.manual_seed((work.plan.seed * 2**32 + course.step) % 2**63)
        try:
            sizes: list[int] = []
            return work.trained.gradients(_built(work, packs, sizes), supervised), sum(sizes)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            work.trained.forget()
            if all(len(pack) == 1 for pack in packs):
                longest = int(work.plan.lengths_N[work.plan.examples(course.step)].max())
                raise InputError(
                    f"memory ran out in step {course.step + 1} with one row at a time; its longest row has {longest} tokens",
                    hint="Set train.max_tokens below that with train.truncate: true, or use a smaller base.",
                ) from error
            course.notes.append(
                f"step {course.step + 1}: memory ran out, token budget halved to {course.token_budget // 2}"
            )
        # Outside the except block, so that the traceback no longer holds the failed step's activations.
        course.token_budget //= 2
        if work.device.type == "cuda":
            torch.cuda.empty_cache()


def _built(work: Fit, packs: Sequence[Sequence[int]], sizes: list[int]) -> Iterator[Pack]:
    """Packs of these rows, one after the other. sizes: gets the tokens of each."""
    for rows in packs:
        pack = build_pack([work.tokens.row(row) for row in rows], work.device, shared=work.plan.shared)
        sizes.append(pack.bounds[-1])
        yield pack


def _resume(work: Fit, checkpoints: Path) -> Course:
    """The course of the newest intact checkpoint, its tensors put in place; a fresh one where there is none."""
    search = checkpoint.newest(checkpoints, work.job_hash)
    here = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cpu": processor(),
        **work.computed,
    }
    if search.checkpoint is None:
        course = Course(token_budget=work.plan.train.token_budget, environment=here)
    else:
        work.trained.put(search.checkpoint.tensors)
        course = Course.of(search.checkpoint.state)
        course.resumed += 1
        for key, value in here.items():
            if course.environment.get(key) != value:
                course.notes.append(
                    f"continued at step {course.step} with {key} {value} instead of {course.environment.get(key)}: "
                    "the result is as good, but not bit-identical"
                )
        course.environment = here
    course.notes.extend(f"checkpoint passed over: {reason}" for reason in search.skipped)
    return course
