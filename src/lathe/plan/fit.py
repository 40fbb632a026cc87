"""The nearest setting that fits: for a plan whose peak is above the memory there is, as lines of `--set`.

    fit(recipe, config, plan, memory_bytes=8 * 10**9)  ->  Fitted(sets=("train.token_budget=2048",), peak_bytes=...)

Nearest first: a smaller token budget changes nothing that is learned, only time; then bf16; then layers that are
computed again, which takes time; then a 4-bit base; then a smaller rank. The recipe itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field

from lathe.plan import compiled_products, fused_attention, fused_step, memory
from lathe.plan.architecture import Shapes, shapes
from lathe.plan.parameters import count
from lathe.plan.setting import Setting
from lathe.records import Interval, Plan, Recipe, Record

LEAST_RANK = 4
LEAST_BUDGET = 128
"""Tokens at which halving the budget ends."""


class Fitted(Record):
    """A setting that fits."""

    sets: tuple[str, ...] = Field(description="what to write behind `--set`; none where the recipe fits as it is")
    peak_bytes: Interval


def fit(
    recipe: Recipe,
    config: Mapping[str, Any],
    plan: Plan,
    memory_bytes: int,
    *,
    elsewhere: bool = False,
) -> Fitted | None:
    """The nearest setting whose peak, at its upper end, is within `memory_bytes`; None where there is none.

    elsewhere: on another machine's GPU, not on what was planned for.

    A pack is taken to be as full as its budget allows and all of it supervised, so what is said to fit does. Pure.
    """
    model = shapes(config)
    for lines, setting in _alternatives(recipe, as_planned(recipe, plan, elsewhere=elsewhere)):
        evaluation = _evaluation(recipe, model, setting, plan, memory_bytes) if not elsewhere else ()
        if evaluation is None:
            continue
        for budget in _budgets(plan, recipe.train.token_budget):
            peak = _peak(model, with_budget(model, setting, plan, budget, recipe.train.token_budget))
            if peak.high <= memory_bytes:
                smaller = (f"train.token_budget={budget}",) if budget < recipe.train.token_budget else ()
                return Fitted(sets=(*smaller, *lines, *evaluation), peak_bytes=peak)
    return None


def as_planned(recipe: Recipe, plan: Plan, *, elsewhere: bool = False) -> Setting:
    """The setting that a plan was made for, or the same recipe on another machine's GPU, where `auto` is bf16."""
    on_gpu = elsewhere or plan.gpu is not None
    return Setting(
        pack_tokens=_whole_pack(recipe, plan) if on_gpu else plan.pack_tokens,
        pack_supervised=plan.pack_supervised,
        precision="bf16" if elsewhere and recipe.train.precision == "auto" else plan.precision,
        full=recipe.method.kind == "full",
        rank=recipe.method.rank,
        targets=recipe.method.targets,
        stored_bytes=0 if on_gpu else plan.stored_bytes,
        quantised=recipe.method.quantised,
        optimiser=recipe.train.optimiser,
        has_bitsandbytes=any(term.name == memory.BITSANDBYTES.name for term in plan.memory),
        recompute=recipe.train.recompute,
        dropout=recipe.method.dropout > 0,
        device="cuda" if on_gpu else "cpu",
        step="reference" if on_gpu else plan.step_kind,
        compiled=plan.compiled and not on_gpu,
        has_avx512=plan.has_avx512,
        has_tiles=plan.has_tiles,
        pack_weights=plan.pack_weights,
        pack_batch=plan.pack_batch,
        kernels=plan.kernels,
        longest_row=plan.schedule.longest_row,
        row_lengths=plan.row_lengths,
        num_packs=plan.schedule.num_packs,
        threads=plan.threads,
        processes=1 if on_gpu else plan.processes_here,
        shards=plan.processes if recipe.train.shard and not elsewhere else 1,
        sample_tokens=plan.sample_tokens,
        sample_supervised=plan.sample_supervised,
        answering_bytes=plan.answering_bytes,
    )


def shares(plan: Plan) -> bool:
    """Whether the planned step computes less than its rows have; another step would compute all of it."""
    return plan.schedule.num_computed not in (None, plan.schedule.num_tokens)


def _whole_pack(recipe: Recipe, plan: Plan) -> int:
    """Tokens of the largest pack of a step that shares nothing, at most."""
    if not shares(plan):
        return plan.pack_tokens
    return max(plan.pack_tokens, plan.schedule.longest_row, min(recipe.train.token_budget, plan.schedule.num_tokens))


def with_budget(model: Shapes, setting: Setting, plan: Plan, budget: int, planned: int) -> Setting:
    """The same with another token budget, its packs taken to be full of the longest rows and supervised all over."""
    known = budget == planned and (setting.step == plan.step_kind or not shares(plan))
    tokens = setting.pack_tokens if known and setting.pack_tokens else max(budget, plan.schedule.longest_row)
    longest, width = max(1, plan.schedule.longest_row), model.queries // model.heads
    tiles = fused_step.form_of(model, setting).tiles
    attention = fused_attention.kept_by_head(0, longest, width) * -(-tokens // longest)
    if shares(plan):
        # In blocks of fewer queries, as in the planned pack; and behind what rows share each may see as many keys.
        planned_each = -(-plan.pack_weights // (model.num_layers * max(1, plan.pack_tokens)))
        attention = tokens * max(planned_each, min(fused_attention.filled(longest), fused_attention.KEPT_KEYS) + width)
    most_in_batches = max(
        fused_attention.alive_in_batches(model, [one, one], compiled=setting.compiled)
        for one in fused_attention.batches_at_most(longest, tokens, shared=shares(plan))
    )
    if tiles:
        attention, most_in_batches = 0, fused_attention.alive_in_tiles(model, longest)
    same_products = known and setting.precision == plan.precision
    # Of the packs of a process in a step all but one are at least half full.
    packs = 2 * plan.schedule.num_tokens // budget + plan.schedule.num_steps * plan.processes
    return replace(
        setting,
        pack_tokens=tokens,
        pack_supervised=tokens,
        pack_weights=model.num_layers * attention,
        pack_batch=setting.pack_batch if known else most_in_batches,
        kernels=setting.kernels if same_products else compiled_products.MOST,
        num_packs=setting.num_packs if known else packs,
    )


def _alternatives(recipe: Recipe, setting: Setting) -> Iterator[tuple[tuple[str, ...], Setting]]:
    """Lines to set beside the budget, and the setting with them, the nearest to the recipe first."""
    yield (), setting
    lines: tuple[str, ...] = ()
    if setting.precision == "fp32":
        lines, setting = ("train.precision=bf16",), replace(setting, precision="bf16")
        yield lines, setting
    # The fused step does neither of the next two, so a plan for it becomes one for the reference step, which on a CPU computes in
    # fp32 unless it is told otherwise.
    said = ("train.precision=bf16",) if setting.device == "cpu" else ()
    if not setting.recompute:
        lines = tuple(dict.fromkeys((*lines, *said, "train.recompute=true")))
        setting = replace(setting, recompute=True, step="reference")
        yield lines, setting
    if recipe.method.kind == "lora":
        # What is in 4 bits answers in no 8 (`records.recipe`).
        answers = ("evaluate.precision=bf16",) if recipe.evaluate.precision == "int8" else ()
        lines = tuple(dict.fromkeys((*lines, *said, "method.kind=qlora", *answers)))
        setting = replace(setting, quantised=True, step="reference")
        yield lines, setting
    rank = setting.rank
    while not setting.full and rank // 2 >= LEAST_RANK:
        rank //= 2
        yield (*lines, f"method.rank={rank}"), replace(setting, rank=rank)


def _budgets(plan: Plan, budget: int) -> Iterator[int]:
    """The recipe's budget, then halves of it; below the longest row a smaller budget gains nothing."""
    yield budget
    while budget // 2 >= max(LEAST_BUDGET, plan.schedule.longest_row):
        budget //= 2
        yield budget


def _peak(model: Shapes, setting: Setting) -> Interval:
    counted = count(model, None if setting.full else setting.rank, setting.targets)
    return memory.peak(memory.training(model, counted, setting), setting)


def _evaluation(
    recipe: Recipe, model: Shapes, setting: Setting, plan: Plan, memory_bytes: int
) -> tuple[str, ...] | None:
    """Lines for evaluation of what is trained so; None where not even one answer fits."""
    counted = count(model, None if setting.full else setting.rank, setting.targets)
    precision = recipe.evaluate.precision
    if setting.quantised and precision == "int8":
        precision = "bf16"
    # Of one of the processes that answer. Weights are loaded in fp32 for that, whatever trains.
    answering = memory.evaluation(model, counted, replace(setting, precision="fp32"), precision, plan.cache_tokens)
    terms = {term.name: term.num_bytes for term in answering}
    cache = terms.pop(memory.CACHE)
    alone = ((("train.threads=1",), 1),) if plan.answer_processes > 1 else ()
    for lines, processes in (((), plan.answer_processes), *alone):
        room = memory_bytes / memory.DOUBT[1] / processes - sum(terms.values())
        if room >= cache:
            return lines
        # A longer prompt is answered all the same, by itself and beyond the budget.
        tokens = int(plan.cache_tokens * room / cache) if room > 0 else 0
        if tokens >= max(1, plan.longest_answered):
            return (*lines, f"evaluate.token_budget={tokens}")
    return None
