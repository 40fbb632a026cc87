"""Lathe's own trainer: the engine's exact, resumable step on transformers models with peft adapters."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lathe import processes
from lathe.contracts import Ability, Measure, Progress, Told, Trainer, Validates
from lathe.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from lathe.engine.devices import Precision
    from lathe.engine.loop import Course, Fit
    from lathe.engine.step import Step
    from lathe.engine.trained import Trained
    from lathe.records import TrainJob, TrainResult, TrainSpec, Validation
    from lathe.schedule.steps import StepPlan
    from lathe.text.render import Encoded

_SAMPLE_TOKENS = 512
PACKAGES = ("torch", "transformers", "peft", "safetensors")


class Native(Trainer, Validates):
    shares_steps = True

    def ability(self) -> Ability:
        return Ability.with_packages(*PACKAGES)

    def train(self, job: TrainJob, progress: Progress) -> TrainResult:
        return self._train(job, None, progress)

    def train_validated(self, job: TrainJob, measure: Measure, progress: Progress) -> TrainResult:
        return self._train(job, measure, progress)

    def _train(self, job: TrainJob, measure: Measure | None, progress: Progress) -> TrainResult:
        # Here and not above, so that finding the trainer and asking for its ability stay cheap.
        from lathe.engine import devices, loop, ranks
        from lathe.engine.fused import choice
        from lathe.records import TrainSpec
        from lathe.schedule.steps import course_of
        from lathe.storage import commit_folder
        from lathe.text.tokens import TokenSet

        train = TrainSpec.model_validate(job.train)
        out, base_folder = Path(job.out_folder), Path(job.base_folder)
        device = devices.pick_device()
        others = ranks.others()
        _check_processes(train, others)
        count = sharing(train, others, device.type)
        tokens = TokenSet.load(Path(job.tokens_path))
        plan = course_of(tokens, train.model_copy(update={"processes": count}), job.seed, shared=False)
        devices.reset_peak(device)
        sample = [tokens.row(row) for row in _sample(plan)]
        ready = _in_shards(job, device) if train.shard else _whole(job, sample, device, count)
        with devices.threads(_threads(train)), ready as held:
            computed = {
                "precision": held.precision, "step": held.kind, "processes": count, "products": held.products
            }  # fmt: skip
            measured = None if measure is None else partial(_measured, measure, held.trained, base_folder, out)
            if choice.is_fused(held.kind):  # the only one that computes once what rows begin with alike
                plan = course_of(tokens, plan.train, job.seed, shared=True)
            work = loop.Fit(
                held.trained, tokens, plan, out, job.job_hash, computed, device, measured, asked_elsewhere=held.signal
            )
            course = loop.fit(work, progress)
            commit_folder(out / "adapter", lambda folder: held.trained.write(base_folder, folder))
            peaks = [course.peak_bytes, *held.others_peak_bytes()]
        return _result(held, work, course, peaks)


@dataclass(frozen=True)
class _Held:
    """What is trained, and how its gradient is formed. kind: of step; signal, others_peak_bytes: of the other processes."""

    trained: Trained
    precision: Precision
    kind: str
    products: str
    num_parameters: int
    signal: Callable[[], str | None]
    others_peak_bytes: Callable[[], list[int]]
    notes: Sequence[str] = ()
    """What a person should know of how this was chosen."""


def _result(held: _Held, work: Fit, course: Course, peaks: Sequence[int]) -> TrainResult:
    """What a training that ended says of itself. peaks: bytes of this process and of each other one."""
    from lathe.engine import metrics
    from lathe.records import TrainResult
    from lathe.schedule import validating

    plan = work.plan
    if course.stop != "done":
        plan = replace(plan, train=plan.train.model_copy(update={"max_steps": course.step}))
    kept = validating.best(course.validations)
    lines = metrics.read(work.out / "metrics.jsonl")
    first_loss, last_loss = metrics.first_and_last(lines)
    return TrainResult(
        inputs=work.job_hash,
        adapter_folder=f"{work.out.name}/adapter",
        num_steps=course.step,
        num_tokens=plan.num_tokens,
        num_computed=sum(line.get("computed", 0) for line in lines),
        num_supervised=plan.over_run(work.tokens.supervised_lengths),
        first_loss=first_loss,
        last_loss=last_loss,
        # Each GPU has memory of its own; the processes on a CPU share it.
        peak_bytes=(max if work.device.type == "cuda" else sum)(peaks),
        train_seconds=course.seconds,
        tokens_per_second=plan.num_tokens / course.seconds if course.seconds else 0.0,
        forecast_seconds=course.forecast_seconds,
        stop=course.stop,
        validations=tuple(course.validations),
        chosen_step=kept.step if kept else course.step if course.validations else None,
        chosen_why=validating.why(course.validations, course.stop, course.step) if course.validations else "",
        device=str(work.device),
        precision=held.precision,
        step_kind=held.kind,
        products=held.products,
        processes=plan.train.processes,
        trainable_parameters=held.num_parameters,
        resumed=course.resumed,
        notes=(*held.notes, *course.notes),
    )


@contextlib.contextmanager
def _whole(job: TrainJob, sample: Sequence[Encoded], device: torch.device, count: int) -> Iterator[_Held]:
    """All that is trained in this process; others help with its steps. sample: rows that decide which step it is."""
    from lathe.engine import devices, model, ranks
    from lathe.engine.fused import choice
    from lathe.engine.step_in_processes import StepInProcesses, piped
    from lathe.engine.trained import Whole
    from lathe.records import Method, TrainSpec

    method, train = Method.model_validate(job.method), TrainSpec.model_validate(job.train)

    def chosen(precision: Precision) -> tuple[nn.Module, Step, str]:
        net = _ready(job, precision, device)
        return net, *choice.choose(net, sample, precision)

    with ranks.helpers() if ranks.others() else piped(count - 1) as helpers:
        precision = devices.pick_precision(train.precision, device)
        on_cpu = device.type == "cpu"
        in_bf16 = on_cpu and train.precision == "auto" and devices.computes_bf16() and not method.quantised
        net, take, kind = chosen("bf16" if in_bf16 else precision)
        notes = []
        if choice.is_fused(kind) and in_bf16:
            precision = "bf16"
        elif in_bf16 and precision != "bf16":
            del net, take  # before the next one is loaded: the memory of one model is enough
            _, _, why = kind.partition(": ")
            net, take, kind = chosen(precision)
            if choice.is_fused(kind):
                notes.append(f"computed in {precision}, which takes longer: in bf16 {why}")
        helpers.build(partial(_helper, job, precision, kind))
        shared = StepInProcesses(take, model.trainable(net), helpers)
        yield _Held(
            Whole(net, shared, train),
            precision,
            kind,
            "oneDNN" if choice.is_fused(kind) and devices.multiplies_by_onednn() else "default",
            sum(part.numel() for part in model.trainable(net).values()),
            shared.signal,
            lambda: shared.helpers_peak_bytes,
            notes,
        )


@contextlib.contextmanager
def _in_shards(job: TrainJob, device: torch.device) -> Iterator[_Held]:
    """All that is trained in parts, one in each rank. This one reads the base, on the CPU, and forgets it once it is dealt out."""
    import torch

    from lathe.engine import devices, ranks
    from lathe.engine.shards import Shape, Sharded, Shards
    from lathe.records import TrainSpec

    train = TrainSpec.model_validate(job.train)
    precision = devices.pick_precision(train.precision, device)
    base = _ready(job, precision, torch.device("cpu"))
    shape = Shape.of(base, train, precision)
    with ranks.together(Shards, shape, _threads(train)) as together:
        sharded = Sharded(together, shape)
        sharded.begin(base)
        del base
        yield _Held(
            sharded,
            precision,
            "reference: weights lie in shards over the ranks",
            "default",
            sum(held.numel() for held in sharded.tensors().values()),
            sharded.signal,
            lambda: sharded.others_peak_bytes,
        )


def sharing(train: TrainSpec, others: int, device: str) -> int:
    """Processes that share a step: torchrun's ranks, else those of the recipe on a CPU, and one on a GPU; a step has the same
    rows."""
    if others:
        return 1 + others
    return train.processes if device == "cpu" else 1


def _check_processes(train: TrainSpec, others: int) -> None:
    """others: ranks beside this one. Raises InputError where what the recipe asks for is not to be had."""
    asked = train.processes
    if train.shard and not others:
        raise InputError(
            "train.shard lays weights in parts over the processes that torchrun starts, and it started none",
            hint="Start it with torchrun --nproc-per-node N -m lathe, or set train.shard: false.",
        )
    if others and asked not in (1, 1 + others):
        raise InputError(
            f"the recipe asks for train.processes: {asked}, and torchrun started {1 + others}",
            hint=f"Set train.processes: 1 or {1 + others}, or let torchrun start {asked}.",
        )


def _threads(train: TrainSpec) -> int:
    """CPU threads of this process, which has the machine together with those that share its steps."""
    rank = processes.rank(os.environ)
    return max(1, (train.threads or processes.usable_cores()) // (rank.count_here if rank else train.processes))


def _ready(job: TrainJob, precision: Precision, device: torch.device) -> nn.Module:
    """The job's base with what is to be trained."""
    from lathe.engine import model
    from lathe.engine.step import ATTENTION, register_attention
    from lathe.records import Method, TrainSpec

    register_attention()
    method, train = Method.model_validate(job.method), TrainSpec.model_validate(job.train)
    return model.load_for_training(
        Path(job.base_folder), method, job.seed, precision, device, attention=ATTENTION, recompute=train.recompute
    )


def _measured(measure: Measure, trained: Trained, base: Path, out: Path, step: int, told: Told) -> Validation:
    """The weights as they are, written as the result would be and read as every arm is. The folder is gone afterwards; what a
    killed process left of it is swept with other leftovers."""
    from lathe.storage import writing

    folder = out / f".step-{step:06d}.{os.getpid()}.tmp"
    try:
        with writing(folder):
            folder.mkdir()
            trained.write(base, folder)
        return measure(folder, step, told)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _helper(job: TrainJob, precision: Precision, kind: str) -> tuple[Step, dict[str, nn.Parameter]]:
    """What a helper process trains with: the kind of step that the first process has chosen."""
    import torch

    from lathe.engine import model
    from lathe.engine.devices import pick_device
    from lathe.engine.fused.choice import step_of
    from lathe.records import TrainSpec

    torch.set_num_threads(_threads(TrainSpec.model_validate(job.train)))
    net = _ready(job, precision, pick_device())
    return step_of(net, kind, precision), model.trainable(net)


def _sample(plan: StepPlan) -> list[int]:
    """Rows of the first step that hold the two steps against each other: a few, for the check should cost little."""
    return plan.packs(0, _SAMPLE_TOKENS)[0]


TRAINER = Native()
