"""Lathe's own trainer: the engine's exact, resumable step on transformers models with peft adapters."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
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
    from lathe.engine.step import Step
    from lathe.records import TrainJob, TrainResult, TrainSpec, Validation
    from lathe.schedule.steps import StepPlan

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
        from lathe.engine import devices, loop, model, ranks, step
        from lathe.engine.fused import choice
        from lathe.engine.step_in_processes import StepInProcesses, piped
        from lathe.records import Method, TrainResult, TrainSpec
        from lathe.schedule import validating
        from lathe.schedule.steps import course_of
        from lathe.storage import commit_folder
        from lathe.text.tokens import TokenSet

        method, train = Method.model_validate(job.method), TrainSpec.model_validate(job.train)
        out, base_folder = Path(job.out_folder), Path(job.base_folder)
        device = devices.pick_device()
        others = ranks.others()
        count = 1 + others if others else train.processes
        _check_processes(train.processes, others, device.type)
        tokens = TokenSet.load(Path(job.tokens_path))
        plan = course_of(tokens, train.model_copy(update={"processes": count}), job.seed, shared=False)
        devices.reset_peak(device)
        sharing = ranks.helpers() if others else piped(count - 1)
        with devices.threads(_threads(train)), sharing as helpers:

            def chosen(precision: devices.Precision) -> tuple[nn.Module, step.Step, str]:
                net = _ready(job, precision, device)
                return net, *choice.choose(net, sample, precision)

            sample = [tokens.row(row) for row in _sample(plan)]
            precision = devices.pick_precision(train.precision, device)
            in_bf16 = train.precision == "auto" and devices.computes_bf16() and method.kind == "lora"
            net, take, kind = chosen("bf16" if in_bf16 else precision)
            if kind == "fused" and in_bf16:
                precision = "bf16"
            elif in_bf16 and precision != "bf16":
                del net, take  # before the next one is loaded: the memory of one model is enough
                net, take, kind = chosen(precision)
            helpers.build(partial(_helper, job, precision, kind))
            shared = StepInProcesses(take, model.trainable(net), helpers)
            products = "oneDNN" if kind == "fused" and devices.multiplies_by_onednn() else "default"
            computed = {"precision": precision, "step": kind, "processes": count, "products": products}
            measured = None if measure is None else partial(_measured, measure, net, base_folder, out)
            if kind == "fused":  # the only one that computes once what rows begin with alike
                plan = course_of(tokens, plan.train, job.seed, shared=True)
            work = loop.Fit(
                net, tokens, plan, out, job.job_hash, shared, computed, device, measured, asked_elsewhere=shared.signal
            )
            course = loop.fit(work, progress)
            commit_folder(out / "adapter", lambda folder: model.write_result(net, base_folder, folder))
            trainable = sum(part.numel() for part in model.trainable(net).values())
        if course.stop != "done":
            plan = replace(plan, train=plan.train.model_copy(update={"max_steps": course.step}))
        kept = validating.best(course.validations)
        lines = loop.read_metrics(out / "metrics.jsonl")
        first_loss, last_loss = loop.first_and_last(lines)
        return TrainResult(
            inputs=job.job_hash,
            adapter_folder=f"{out.name}/adapter",
            num_steps=course.step,
            num_tokens=plan.num_tokens,
            num_computed=sum(line.get("computed", 0) for line in lines),
            num_supervised=plan.over_run(tokens.supervised_lengths),
            first_loss=first_loss,
            last_loss=last_loss,
            # Each GPU has memory of its own; the processes on a CPU share it.
            peak_bytes=(max if device.type == "cuda" else sum)([course.peak_bytes, *shared.helpers_peak_bytes]),
            train_seconds=course.seconds,
            tokens_per_second=plan.num_tokens / course.seconds if course.seconds else 0.0,
            forecast_seconds=course.forecast_seconds,
            stop=course.stop,
            validations=tuple(course.validations),
            chosen_step=kept.step if kept else course.step if course.validations else None,
            chosen_why=validating.why(course.validations, course.stop, course.step) if course.validations else "",
            device=str(device),
            precision=precision,
            step_kind=kind,
            products=products,
            processes=count,
            trainable_parameters=trainable,
            resumed=course.resumed,
            notes=tuple(course.notes),
        )


def _check_processes(asked: int, others: int, device: str) -> None:
    """asked: what the recipe says; others: ranks beside this one. Raises InputError where what is asked for is not to be had."""
    if others and asked not in (1, 1 + others):
        raise InputError(
            f"the recipe asks for train.processes: {asked}, and torchrun started {1 + others}",
            hint=f"Set train.processes: 1 or {1 + others}, or let torchrun start {asked}.",
        )
    if asked > 1 and not others and device != "cpu":
        raise InputError(
            "train.processes is for CPUs, and this machine trains on a GPU",
            hint="Set train.processes: 1; torchrun starts a process for each GPU.",
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


def _measured(measure: Measure, net: nn.Module, base: Path, out: Path, step: int, told: Told) -> Validation:
    """The weights as they are, written as the result would be and read as every arm is. The folder is gone afterwards; what a
    killed process left of it is swept with other leftovers."""
    from lathe.engine import model
    from lathe.storage import writing

    folder = out / f".step-{step:06d}.{os.getpid()}.tmp"
    try:
        with writing(folder):
            folder.mkdir()
            model.write_result(net, base, folder)
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
