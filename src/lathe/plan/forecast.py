"""The forecast of a run as a pure function of what was read: parameters, steps, memory, time and what is wrong. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from lathe.errors import InputError
from lathe.gpus import Gpu
from lathe.plan import cost, findings, fused_attention, fused_step, memory, pack_work
from lathe.plan.answering import Answerer, Answers, longest_answer
from lathe.plan.architecture import Shapes, shapes
from lathe.plan.heaviest_pack import with_heaviest_pack
from lathe.plan.parameters import HEAD, adapted, count
from lathe.plan.setting import Setting, StepKind
from lathe.records import (
    Interval,
    MachineProbe,
    Method,
    Parameters,
    Plan,
    RateSource,
    Recipe,
    Schedule,
    ValidationPlan,
)
from lathe.schedule.steps import StepPlan, course_of
from lathe.text.tokens import TokenSet

PADDED_ROWS = 8
"""Rows of a batch in the padded comparison: the default of the trainers of transformers and TRL."""
MOST_STEPS = 500_000
"""Steps that a plan lays out one by one: about half a minute for steps of one row, measured on one core."""
FROM_SETTING = (
    "pack_tokens", "pack_supervised", "pack_weights", "pack_batch", "kernels", "row_lengths", "sample_tokens",
    "sample_supervised", "compiled", "has_avx512", "has_tiles", "precision", "stored_bytes", "threads",
    "answering_bytes",
)  # fmt: skip
"""What a plan repeats of the setting that its memory follows from."""


@dataclass(frozen=True)
class Machine:
    """What the shell saw of the machine."""

    free_bytes: int
    rates: Mapping[str, Sequence[float]]
    computes_bf16: bool = False
    """Whether the processor multiplies bf16 matrices in hardware."""
    has_avx512: bool = True
    """Whether it has AVX-512."""
    has_tiles: bool = False
    """Whether it multiplies bf16 in tiles (AMX)."""
    compiles: bool = False
    """Whether there is a C++ compiler."""
    has_bitsandbytes: bool = False
    """Whether the package is installed."""
    probe: MachineProbe | None = None
    listed: Mapping[str, float] = field(default_factory=dict)
    """Operations a second of such a GPU, else of a core of such a processor, by precision, from the catalogue."""
    answer_rates: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Tokens of answers a second by kind of model."""
    cores: int = 1
    """Processor cores that a training may use."""
    processes: int | None = None
    """Ranks of the training that torchrun started here; None = the recipe's processes."""
    gpu: Gpu | None = None
    """What is computed on; None = the processor. Memory and rates are then the GPU's."""


@dataclass(frozen=True)
class Slice:
    """The validation rows that are answered while training: their number, tokens of their prompts and of their right answers."""

    rows: int
    prompt_tokens: int
    right_tokens: int


@dataclass(frozen=True)
class _Training:
    """What is trained, on what, and in which steps."""

    recipe: Recipe
    model: Shapes
    counted: Parameters
    tokens: TokenSet
    step_kind: StepKind
    course: StepPlan
    machine: Machine


def forecast(
    recipe: Recipe,
    config: Mapping[str, object],
    tokens: TokenSet,
    answers: Mapping[str, Answers],
    stored_bytes: int,
    machine: Machine,
    inputs: str,
    asked: Slice | None = None,
) -> Plan:
    """The plan. answers: right ones by side; asked: the validation rows that are answered while training.

    Raises InputError on an unknown architecture, on a target that matches no layer, on rows that are longer than allowed, and on
    more steps than can be laid out.
    """
    run = _training(recipe, config, tokens, machine)
    model, course = run.model, run.course
    setting, attention_work = _setting(run, stored_bytes)
    answerer = Answerer(recipe, model, run.counted, setting, machine.cores)
    answering = answerer.of_sides(answers)
    if asked is not None:
        between = answerer.bytes_between_steps(answers, asked.rows, answering.limit)
        setting = replace(setting, answering_bytes=between)
    terms = memory.training(model, run.counted, setting)
    work = operations(recipe, model, tokens, course)
    seconds, source = _seconds(run, setting, attention_work, work)
    schedule = _schedule(course, tokens)
    plan = Plan(
        inputs=inputs,
        parameters=run.counted,
        schedule=schedule,
        memory=terms,
        peak_bytes=memory.peak(terms, setting),
        evaluate_memory=answering.memory,
        padded_memory=memory.padded(model, run.counted, setting, PADDED_ROWS, schedule.longest_row),
        processes=recipe.train.processes,
        processes_here=setting.processes,
        step_kind=run.step_kind,
        cache_tokens=answering.cache_tokens,
        longest_answered=answering.longest,
        answer_processes=answering.processes,
        operations=work,
        free_bytes=machine.free_bytes,
        gpu=machine.gpu.name if machine.gpu else None,
        train_seconds=seconds,
        evaluate_tokens=answering.tokens,
        rate_source=source,
        validation=asked and _validation(asked, run, answering.limit),
        **{name: getattr(setting, name) for name in FROM_SETTING},
    )
    return plan.model_copy(update={"findings": findings.all_of(_facts(run, schedule, answers), plan)})


def _training(recipe: Recipe, config: Mapping[str, object], tokens: TokenSet, machine: Machine) -> _Training:
    """As the recipe has it. Raises InputError as `forecast`."""
    model = shapes(config)
    counted = parameters(model, recipe.method)
    step_kind = kind_of_step(config, recipe, machine.gpu)
    course = course_with(recipe, step_kind, tokens)
    _refuse_endless(course)
    return _Training(recipe, model, counted, tokens, step_kind, course, machine)


def _seconds(
    run: _Training, setting: Setting, attention_work: Sequence[fused_attention.Work] | None, work: int
) -> tuple[Interval | None, RateSource]:
    """Of training. What other jobs reached, the probe and the catalogue tell of the native trainer alone."""
    machine, kind = run.machine, cost.job_kind(run.model, run.recipe)
    if run.recipe.trainer != "native":
        return cost.seconds(work, kind, {kind: machine.rates[kind]} if kind in machine.rates else {})
    load = _load(run, setting, attention_work)
    probed = cost.probed_seconds(machine.probe, run.step_kind, setting.precision, load)
    return cost.seconds(work, kind, machine.rates, probed, _listed(run, setting, work))


def _listed(run: _Training, setting: Setting, work: int) -> Interval | None:
    """Seconds from the catalogue; None of what it does not have."""
    rate = run.machine.listed.get(setting.precision)
    if rate is None:
        return None
    if setting.device == "cuda":
        return cost.on_gpu(work, rate, len(run.course.laid) * run.model.num_layers)
    return cost.on_processor(work, rate, run.step_kind, setting.threads * setting.processes)


def _load(run: _Training, setting: Setting, attention_work: Sequence[fused_attention.Work] | None) -> cost.Load:
    """What the training has to do, from which the probe tells its seconds."""
    work = pack_work.of_packs(
        run.model, run.counted, run.course.laid, run.tokens.supervised_lengths, attention_work,
        steps=fused_step.form_of(run.model, setting).steps, full=setting.full, recompute=setting.recompute,
    )  # fmt: skip
    return cost.Load(
        work=work,
        dealt=run.course.dealt,
        steps=run.course.num_steps,
        width=run.model.hidden,
        layers=run.model.num_layers,
        threads=None if run.machine.gpu else run.recipe.train.threads,
        processes_here=setting.processes,
        trained=run.counted.trainable,
        full=setting.full,
    )


def _facts(run: _Training, schedule: Schedule, answers: Mapping[str, Answers]) -> findings.Facts:
    """What findings follow from beside the plan."""
    test_rows, held_out = (answers[side].rows if side in answers else 0 for side in ("test", "validation"))
    return findings.Facts(
        run.recipe, run.model, run.course, schedule, test_rows, longest_answer(answers), run.tokens.special_texts,
        held_out, run.machine.cores, _has_bf16(run.machine),
    )  # fmt: skip


def _refuse_endless(course: StepPlan) -> None:
    """Raises InputError before more steps than `MOST_STEPS` are laid out."""
    train = course.train
    if math.isfinite(train.epochs) and course.num_steps <= MOST_STEPS:
        return
    steps = f"{course.num_steps:,} steps" if math.isfinite(train.epochs) else "steps without end"
    raise InputError(
        f"train.epochs {train.epochs:,.15g} over {course.num_examples:,} rows in steps of {train.examples_per_step} are {steps}, "
        f"expected at most {MOST_STEPS:,}",
        hint="Lower train.epochs, set train.max_steps, or raise train.examples_per_step.",
    )


def parameters(model: Shapes, method: Method) -> Parameters:
    """Of the model, and those of them that a method trains.

    Raises InputError on a target that matches no layer, and on the output head, which the engine trains no adapter on.
    """
    if method.kind != "full" and any(layer.name == HEAD for layer in adapted(model, method.targets)):
        raise InputError(
            f"method.targets {list(method.targets)} hold the output head, which adapters are not trained on here",
            hint=f"Its other linear layers: {', '.join(sorted({layer.name.rpartition('.')[2] for layer in model.layer}))}.",
        )
    return count(model, None if method.kind == "full" else method.rank, method.targets)


def kind_of_step(config: Mapping[str, object], recipe: Recipe, gpu: Gpu | None) -> StepKind:
    """Which of the engine's steps a training takes; on a GPU autograd's."""
    return "reference" if gpu or fused_step.unfit(config, recipe) else "fused"


def course_with(recipe: Recipe, step_kind: StepKind, tokens: TokenSet) -> StepPlan:
    """The course of training; of the steps only the fused one computes once what rows begin with alike."""
    return course_of(tokens, recipe.train, recipe.seed, shared=step_kind == "fused")


def operations(recipe: Recipe, model: Shapes, tokens: TokenSet, course: StepPlan) -> int:
    """Floating-point operations of a training."""
    return cost.operations(
        model, parameters(model, recipe.method), recipe.method.kind == "full", tokens.lengths, tokens.supervised_lengths,
        course.times_seen, recipe.train.recompute, fused=course.shared, spared=course.spared,
    )  # fmt: skip


def _setting(run: _Training, stored_bytes: int) -> tuple[Setting, Sequence[fused_attention.Work] | None]:
    """One process of the training with its heaviest pack, and the work of each pack's attention."""
    setting = _without_packs(run, stored_bytes)
    attended, work = _attention(run.model, setting, run.course, run.tokens)
    return with_heaviest_pack(setting, run.model, run.course, run.tokens, attended), work


def _without_packs(run: _Training, stored_bytes: int) -> Setting:
    """As the recipe has it on this machine. Each GPU has memory of its own, and one process."""
    method, train, machine = run.recipe.method, run.recipe.train, run.machine
    processes = 1 if machine.gpu else machine.processes or train.processes
    return Setting(
        pack_tokens=0,
        pack_supervised=0,
        precision=_precision(run.recipe, run.step_kind, machine),
        full=method.kind == "full",
        rank=method.rank,
        targets=method.targets,
        stored_bytes=0 if machine.gpu else stored_bytes,
        quantised=method.quantised,
        has_bitsandbytes=machine.has_bitsandbytes,
        optimiser=train.optimiser,
        recompute=train.recompute,
        dropout=method.dropout > 0,
        device="cuda" if machine.gpu else "cpu",
        step=run.step_kind,
        compiled=run.step_kind == "fused" and machine.compiles,
        has_avx512=machine.has_avx512,
        has_tiles=machine.has_tiles,
        threads=max(1, (train.threads or machine.cores) // processes),
        processes=processes,
        shards=train.processes if train.shard else 1,
    )


def _attention(
    model: Shapes, setting: Setting, course: StepPlan, tokens: TokenSet
) -> tuple[Sequence[fused_attention.Attended] | None, Sequence[fused_attention.Work] | None]:
    """What the engine computes together in each pack of the fused step, and its work: memory and time follow from them. In tiles
    nothing is computed together; None of the reference step."""
    if setting.step != "fused":
        return None, None
    tiles = fused_step.form_of(model, setting).tiles
    return fused_attention.of_packs(
        course.laid, tokens.lengths, tokens.supervised_lengths, model.num_layers - 1, tiles=tiles
    )


def _precision(recipe: Recipe, step_kind: StepKind, machine: Machine) -> Literal["fp32", "bf16"]:
    """What is computed in: `auto` is bf16 where that is fast, on a CPU of the native trainer's steps for the fused one alone."""
    if recipe.train.precision != "auto":
        return recipe.train.precision
    takes_bf16 = machine.gpu is not None or step_kind == "fused" or recipe.trainer == "trl"
    return "bf16" if takes_bf16 and _has_bf16(machine) else "fp32"


def _has_bf16(machine: Machine) -> bool:
    """Whether what computes multiplies bf16 in hardware."""
    return machine.gpu.computes_bf16 if machine.gpu else machine.computes_bf16


def _schedule(course: StepPlan, tokens: TokenSet) -> Schedule:
    """Everything about steps. Packs every step once."""
    return Schedule(
        num_examples=course.num_examples,
        num_steps=course.num_steps,
        steps_per_epoch=course.steps_per_epoch,
        warmup_steps=course.warmup_steps,
        num_packs=len(course.laid),
        num_tokens=course.num_tokens,
        num_computed=course.num_computed,
        num_supervised=course.over_run(tokens.supervised_lengths),
        truncated_rows=tokens.truncated_rows,
        longest_row=int(tokens.lengths.max(initial=0)),
        checkpoint_steps=course.checkpoint_steps,
    )


def _validation(asked: Slice, run: _Training, limit: int) -> ValidationPlan:
    """Answers over all validations. limit: longest answer in tokens."""
    times = len(run.course.validation_steps)
    right_tokens = times * asked.right_tokens
    return ValidationPlan(
        times=times,
        rows=asked.rows,
        prompt_tokens=times * asked.prompt_tokens,
        right_tokens=right_tokens,
        most_tokens=times * asked.rows * limit,
        seconds=cost.answer_seconds(right_tokens, cost.answer_kind(run.model, run.recipe), run.machine.answer_rates),
    )
