"""Stage: the forecast of a run, from the rows, the base's config.json and the recipe. Needs no torch.

Reads data/*.jsonl and the base's tokenizer, encodes every training row exactly as training will, leaves the tokens there for it,
and writes plan.json.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import psutil

from lathe.contracts import Progress
from lathe.errors import InputError, StorageError
from lathe.plan import cost, findings, fused_step, memory, pack_work, rates
from lathe.plan.architecture import Shapes, shapes
from lathe.plan.parameters import count
from lathe.plan.setting import Setting, StepKind
from lathe.processes import Rank, compiler, rank
from lathe.records import (
    Example,
    LockedRecipe,
    MachineProbe,
    Plan,
    Recipe,
    Schedule,
    TrainResult,
    ValidateSpec,
    ValidationPlan,
)
from lathe.runs import RunFolder
from lathe.schedule.prefixes import computed
from lathe.schedule.steps import StepPlan, course_of
from lathe.schedule.validating import slice_of
from lathe.storage import read_rows
from lathe.text import render, tokenizer
from lathe.text.tokens import TokenSet, of_file

ARMS_ON = {"validation": 2, "test": 3}
"""Model arms that answer each side: both base prompts on validation, and the tuned model too on test."""

STORED_BYTES = 2
"""Of a parameter in a base whose weights are not here yet: nearly all are published in bf16."""
SAMPLE_TOKENS = 512
"""Budget of the pack on which the native trainer holds the fused step against the reference."""
PADDED_ROWS = 8
"""Rows of a batch in the padded comparison: the default of the trainers of transformers and TRL."""


@dataclass(frozen=True)
class Machine:
    """What the shell saw of the machine."""

    free_bytes: int
    rates: Mapping[str, Sequence[float]]
    computes_bf16: bool = False
    """Whether the processor multiplies bf16 matrices in hardware."""
    has_tiles: bool = False
    """Whether it does so in tiles (AMX)."""
    compiles: bool = False
    """Whether there is a C++ compiler."""
    has_bitsandbytes: bool = False
    """Whether the package is installed."""
    probe: MachineProbe | None = None
    answer_rates: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Tokens of answers a second by kind of model."""
    processes: int | None = None
    """Ranks of the training that torchrun started here; None = the recipe's processes."""


@dataclass(frozen=True)
class Answers:
    """The right answers of one side. longest: tokens of the longest one, end token included; prompt: of the longest
    prompt."""

    rows: int
    longest: int
    prompt: int = 0


@dataclass(frozen=True)
class Slice:
    """The validation rows that are answered while training: their number, tokens of their prompts and of their right answers."""

    rows: int
    prompt_tokens: int
    right_tokens: int


def plan(run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress) -> Plan:
    """Forecasts parameters, steps, tokens, memory and time, and commits plan.json.

    Raises DataError where there are no training rows, InputError on an unknown architecture, on a target that matches no layer,
    and on rows that are longer than allowed.
    """
    begun = time.monotonic()
    mine = rank(os.environ)
    locked = among_ranks(locked, mine)
    base = Path(locked.base_folder)
    tok = tokenizer.load(base)
    if tok.template is not None:
        tok.template.start()  # while the rows are read

    def told(done: int, total: int) -> None:
        progress({"stage": "plan", "done": done, "total": total, "unit": "row"})

    tokens = of_file(tok, run.rows("train"), run.tokens, locked.recipe.train, told)
    sides = {side: read_rows(run.rows(side), Example) for side in ARMS_ON if run.rows(side).is_file()}
    answers = {side: _answers(tok, rows) for side, rows in sides.items()}
    asked = _slice(tok, sides.get("validation", []), locked.recipe.train.validate_)
    machine = Machine(
        free_bytes=psutil.virtual_memory().available,
        rates=rates.known(),
        computes_bf16=rates.computes_bf16(),
        has_tiles=rates.has_tiles(),
        compiles=compiler() is not None,
        has_bitsandbytes=find_spec("bitsandbytes") is not None,
        probe=rates.probed(),
        answer_rates=rates.known("answers"),
        processes=None if mine is None else mine.count_here,
    )
    config = read_config(base)
    stored = locked.weight_bytes or STORED_BYTES * count(shapes(config), None, locked.recipe.method.targets).total
    record = forecast(locked, config, tokens, answers, stored, machine, inputs, asked)
    record = record.model_copy(update={"seconds": time.monotonic() - begun})
    run.commit(run.plan, record)
    return record


def among_ranks(locked: LockedRecipe, mine: Rank | None) -> LockedRecipe:
    """What torchrun's ranks train together: they are the processes that share a step."""
    if mine is None:
        return locked
    train = locked.recipe.train.model_copy(update={"processes": mine.count})
    return locked.model_copy(update={"recipe": locked.recipe.model_copy(update={"train": train})})


def remember_rate(run: RunFolder, locked: LockedRecipe, result: TrainResult) -> None:
    """Keeps what this machine reached in a finished training, for the next plan.

    A home that cannot be written costs the next plan its estimate, and this run nothing.
    """
    written = sum(one.new_tokens for one in result.validations)
    if written:
        remember_answers(locked, written / sum(one.seconds for one in result.validations))
    if result.train_seconds <= 0 or result.stop != "done":
        return
    locked = among_ranks(locked, rank(os.environ))
    config = read_config(Path(locked.base_folder))
    model = shapes(config)
    tokens = TokenSet.load(run.tokens)
    work = _work(locked, model, tokens, _course(locked.recipe, _step_kind(config, locked.recipe), tokens))
    with contextlib.suppress(StorageError):
        rates.keep(cost.job_kind(model, cost.speed_parts(locked)), work / result.train_seconds)


def remember_answers(locked: LockedRecipe, tokens_per_second: float) -> None:
    """The same for how fast a tuned model answered."""
    model = shapes(read_config(Path(locked.base_folder)))
    with contextlib.suppress(StorageError):
        rates.keep(cost.answer_kind(model, locked.recipe), tokens_per_second, "answers")


def read_config(base: Path) -> dict[str, object]:
    """The base's config.json. Raises InputError where it is missing or damaged."""
    config = tokenizer.read_object(base / "config.json")
    if not config:
        raise InputError(
            f"{base / 'config.json'} is not there or empty", hint="A base folder needs the model's config.json."
        )
    return config


def forecast(
    locked: LockedRecipe,
    config: Mapping[str, object],
    tokens: TokenSet,
    answers: Mapping[str, Answers],
    stored_bytes: int,
    machine: Machine,
    inputs: str,
    asked: Slice | None = None,
) -> Plan:
    """The plan as a pure function of what was read. asked: the validation rows that are answered while training."""
    recipe = locked.recipe
    model = shapes(config)
    full = recipe.method.kind == "full"
    counted = count(model, None if full else recipe.method.rank, recipe.method.targets)
    step_kind = _step_kind(config, recipe)
    course = _course(recipe, step_kind, tokens)
    setting = Setting(
        pack_tokens=0,
        pack_supervised=0,
        precision=_precision(recipe, step_kind, machine),
        full=full,
        rank=recipe.method.rank,
        targets=recipe.method.targets,
        stored_bytes=stored_bytes,
        quantised=recipe.method.quantised,
        has_bitsandbytes=machine.has_bitsandbytes,
        optimiser=recipe.train.optimiser,
        recompute=recipe.train.recompute,
        dropout=recipe.method.dropout > 0,
        step=step_kind,
        compiled=step_kind == "fused" and machine.compiles,
        has_tiles=machine.has_tiles,
        processes=machine.processes or recipe.train.processes,
        shards=recipe.train.processes if recipe.train.shard else 1,
    )
    # What the engine computes together in each pack of the fused step: its memory and its time follow from that.
    attended = (
        fused_step.attended(course.laid, tokens.lengths, tokens.supervised_lengths) if step_kind == "fused" else None
    )
    schedule, setting = _schedule(course, tokens, model, setting, attended)
    kind = cost.job_kind(model, cost.speed_parts(locked))
    work = _work(locked, model, tokens, course)
    load = cost.Load(
        work=pack_work.of_packs(
            model, counted, course.laid, tokens.supervised_lengths, attended, full=full, recompute=recipe.train.recompute,
        ),
        dealt=course.dealt,
        steps=schedule.num_steps,
        width=model.hidden,
        layers=model.num_layers,
        threads=recipe.train.threads,
        processes_here=setting.processes,
    )  # fmt: skip
    probed = cost.probed_seconds(machine.probe, step_kind, setting.precision, load)
    train_seconds, source = cost.seconds(work, kind, machine.rates, probed)
    longest = max((side.longest for side in answers.values()), default=0)
    # Never more than the context holds.
    limit = min(recipe.evaluate.max_new_tokens or math.ceil(1.25 * longest) + 16, model.context)
    cache_tokens = _cache_tokens(recipe, answers, limit)
    # Weights are loaded in fp32 to answer, whatever trains.
    answering = memory.evaluation(
        model, counted, replace(setting, precision="fp32"), recipe.evaluate.precision, cache_tokens
    )
    if asked is not None:
        setting = replace(setting, answering_bytes=memory.answering(answering))
    terms = memory.training(model, counted, setting)
    record = Plan(
        inputs=inputs,
        parameters=counted,
        schedule=schedule,
        memory=terms,
        peak_bytes=memory.peak(terms, setting),
        evaluate_memory=answering,
        padded_memory=memory.padded(model, counted, setting, PADDED_ROWS, schedule.longest_row),
        pack_tokens=setting.pack_tokens,
        pack_supervised=setting.pack_supervised,
        pack_weights=setting.pack_weights,
        pack_batch=setting.pack_batch,
        kernels=setting.kernels,
        processes=recipe.train.processes,
        processes_here=setting.processes,
        sample_tokens=setting.sample_tokens,
        sample_supervised=setting.sample_supervised,
        step_kind=step_kind,
        compiled=setting.compiled,
        has_tiles=setting.has_tiles,
        precision=setting.precision,
        cache_tokens=cache_tokens,
        stored_bytes=stored_bytes,
        operations=work,
        free_bytes=machine.free_bytes,
        train_seconds=train_seconds,
        evaluate_tokens=sum(ARMS_ON[side] * found.rows * limit for side, found in answers.items()),
        rate_source=source,
        validation=asked and _validation(asked, course, limit, cost.answer_kind(model, recipe), machine.answer_rates),
    )
    test_rows = answers["test"].rows if "test" in answers else 0
    held_out = answers["validation"].rows if "validation" in answers else 0
    facts = findings.Facts(recipe, model, course, schedule, test_rows, longest, tokens.special_texts, held_out)
    return record.model_copy(update={"findings": findings.all_of(facts, record)})


def _cache_tokens(recipe: Recipe, answers: Mapping[str, Answers], limit: int) -> int:
    """Most tokens of cache at once: the budget, one longer answer, or all that there is to write where that is less."""
    needs = [(found.rows, found.prompt + limit) for found in answers.values()]
    whole = max((rows * need for rows, need in needs), default=0)
    one = max((need for _, need in needs), default=0)
    return max(one, min(recipe.evaluate.token_budget, whole, memory.GENERATED_AT_ONCE * one))


def _step_kind(config: Mapping[str, object], recipe: Recipe) -> StepKind:
    return "reference" if fused_step.unfit(config, recipe) else "fused"


def _course(recipe: Recipe, step_kind: StepKind, tokens: TokenSet) -> StepPlan:
    """The course of training; of the steps only the fused one computes once what rows begin with alike."""
    return course_of(tokens, recipe.train, recipe.seed, shared=step_kind == "fused")


def _precision(recipe: Recipe, step_kind: StepKind, machine: Machine) -> Literal["fp32", "bf16"]:
    """What the native trainer computes in on this CPU: `auto` is bf16 for the fused step where that is fast, else fp32."""
    if recipe.train.precision != "auto":
        return recipe.train.precision
    return "bf16" if step_kind == "fused" and machine.computes_bf16 else "fp32"


def _schedule(
    course: StepPlan,
    tokens: TokenSet,
    model: Shapes,
    setting: Setting,
    attended: Sequence[fused_step.Attended] | None,
) -> tuple[Schedule, Setting]:
    """Everything about steps, and the setting with the pack that needs most memory. Packs every step once.

    attended: of the fused step.
    """
    lengths, supervised = tokens.lengths, tokens.supervised_lengths
    laid = course.laid
    schedule = Schedule(
        num_examples=course.num_examples,
        num_steps=course.num_steps,
        steps_per_epoch=course.steps_per_epoch,
        warmup_steps=course.warmup_steps,
        num_packs=len(laid),
        num_tokens=course.num_tokens,
        num_computed=course.num_computed,
        num_supervised=course.over_run(supervised),
        truncated_rows=tokens.truncated_rows,
        longest_row=int(lengths.max(initial=0)),
        checkpoint_steps=course.checkpoint_steps,
    )
    if not laid:
        return schedule, setting
    setting = replace(setting, num_packs=len(laid), longest_row=schedule.longest_row)
    if attended is not None:
        most = _fused_pack(course, tokens, model, setting, attended)
        met, form = fused_step.met(laid, attended, supervised), fused_step.form_of(model, setting)
        setting = replace(setting, kernels=met.kernels(form))
    else:
        most = _largest(course, tokens)
    sample = replace(course, shared=False).packs(0, SAMPLE_TOKENS)[0]
    return schedule, replace(
        setting,
        pack_tokens=most.tokens,
        pack_supervised=most.scored,
        pack_weights=most.attention,
        pack_batch=most.batch,
        sample_tokens=int(lengths[sample].sum()),
        sample_supervised=int(supervised[sample].sum()),
    )


def _largest(course: StepPlan, tokens: TokenSet) -> fused_step.Pack:
    """Most tokens that one pack has, and most with loss that one has."""
    supervised = tokens.supervised_lengths
    return fused_step.Pack(
        max(computed(stretches) for _, stretches in course.laid),
        max(int(supervised[rows].sum()) for rows, _ in course.laid),
        0,
    )


def _fused_pack(
    course: StepPlan,
    tokens: TokenSet,
    model: Shapes,
    setting: Setting,
    attended: Sequence[fused_step.Attended],
) -> fused_step.Pack:
    """The pack of which the fused step holds most."""
    width, layers = model.queries // model.heads, model.num_layers - 1
    each = [
        sum(fused_step.kept_by_head(one.start, one.end, width) for one in stretches) for _, stretches in course.laid
    ]
    counts = [computed(stretches) for _, stretches in course.laid]
    place = fused_step.heaviest(model, fused_step.form_of(model, setting), np.array(counts), np.array(each))
    rows, _ = course.laid[place]
    lengths, supervised = tokens.lengths[rows], tokens.supervised_lengths[rows]
    last = sum(fused_step.kept_by_head(*ends, width) for ends in fused_step.scored_ends(lengths, supervised))
    batch = max(fused_step.alive_in_batches(model, batches, compiled=setting.compiled) for batches in attended[place])
    return fused_step.Pack(counts[place], int(supervised.sum()), layers * each[place] + last, batch)


def _work(locked: LockedRecipe, model: Shapes, tokens: TokenSet, course: StepPlan) -> int:
    """Floating-point operations of the run."""
    method, train = locked.recipe.method, locked.recipe.train
    full = method.kind == "full"
    counted = count(model, None if full else method.rank, method.targets)
    return cost.operations(
        model, counted, full, tokens.lengths, tokens.supervised_lengths, course.times_seen, train.recompute,
        fused=course.shared, spared=course.spared,
    )  # fmt: skip


def _validation(
    asked: Slice, course: StepPlan, limit: int, kind: str, answer_rates: Mapping[str, Sequence[float]]
) -> ValidationPlan:
    """Answers over all validations. limit: longest answer in tokens."""
    times = len(course.validation_steps)
    right_tokens = times * asked.right_tokens
    return ValidationPlan(
        times=times,
        rows=asked.rows,
        prompt_tokens=times * asked.prompt_tokens,
        right_tokens=right_tokens,
        most_tokens=times * asked.rows * limit,
        seconds=cost.answer_seconds(right_tokens, kind, answer_rates),
    )


def _slice(tok: tokenizer.Tokenizer, rows: Sequence[Example], spec: ValidateSpec) -> Slice | None:
    if spec.every is None:
        return None
    encoded = render.encode_all(tok, [rows[place] for place in slice_of(len(rows), spec.rows)])
    prompts = [one.num_prompt for one in encoded]
    return Slice(len(encoded), sum(prompts), sum(len(one.ids) for one in encoded) - sum(prompts))


def _answers(tok: tokenizer.Tokenizer, examples: Sequence[Example]) -> Answers:
    prompt, answer = render.longest(tok, examples)
    return Answers(len(examples), answer, prompt)
