"""The nearest setting that fits: for a plan whose peak is above the memory there is, as lines of `--set`.

    fit(locked, config, plan, memory_bytes=8 * 10**9)  ->  Fitted(sets=("train.token_budget=2048",), peak_bytes=...)

Nearest first: a smaller token budget changes nothing that is learned, only time; then bf16; then a smaller rank. The recipe itself
stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from lathe.plan import memory
from lathe.plan.architecture import shapes
from lathe.plan.parameters import count
from lathe.records import Interval, LockedRecipe, Plan, Recipe, Record

LEAST_RANK = 4
LEAST_BUDGET = 128
"""Tokens at which halving the budget ends."""


class Fitted(Record):
    """A setting that fits."""

    sets: tuple[str, ...] = Field(description="what to write behind `--set`; none where the recipe fits as it is")
    peak_bytes: Interval


def fit(
    locked: LockedRecipe,
    config: Mapping[str, Any],
    plan: Plan,
    memory_bytes: int,
    device: Literal["cpu", "cuda"] = "cpu",
) -> Fitted | None:
    """The nearest setting whose peak, at its upper end, is within `memory_bytes`; None where there is none.

    A pack is taken to be as full as its budget allows and all of it supervised, so what is said to fit does. Pure.
    """
    recipe = locked.recipe
    bf16 = recipe.train.precision == "bf16" or (device == "cuda" and recipe.train.precision == "auto")
    evaluation = _evaluation_budget(recipe, plan, memory_bytes) if device == "cpu" else ()
    if evaluation is None:
        return None
    for more, rank, precision in _alternatives(recipe, bf16):
        for budget in _budgets(plan, recipe.train.token_budget):
            peak = _peak(recipe, config, plan, budget, rank, precision, device)
            if peak.high <= memory_bytes:
                smaller = (f"train.token_budget={budget}",) if budget < recipe.train.token_budget else ()
                return Fitted(sets=(*smaller, *more, *evaluation), peak_bytes=peak)
    return None


def _alternatives(recipe: Recipe, bf16: bool) -> Iterator[tuple[tuple[str, ...], int, Literal["fp32", "bf16"]]]:
    """Lines to set beside the budget, rank and precision, the nearest to the recipe first."""
    rank = recipe.method.rank
    yield (), rank, "bf16" if bf16 else "fp32"
    first: tuple[str, ...] = () if bf16 else ("train.precision=bf16",)
    if not bf16:
        yield first, rank, "bf16"
    while recipe.method.kind != "full" and rank // 2 >= LEAST_RANK:
        rank //= 2
        yield (*first, f"method.rank={rank}"), rank, "bf16"


def _budgets(plan: Plan, budget: int) -> Iterator[int]:
    """The recipe's budget, then halves of it; below the longest row a smaller budget gains nothing."""
    yield budget
    while budget // 2 >= max(LEAST_BUDGET, plan.schedule.longest_row):
        budget //= 2
        yield budget


def _peak(
    recipe: Recipe,
    config: Mapping[str, Any],
    plan: Plan,
    budget: int,
    rank: int,
    precision: Literal["fp32", "bf16"],
    device: Literal["cpu", "cuda"],
) -> Interval:
    model = shapes(config)
    full = recipe.method.kind == "full"
    tokens = max(budget, plan.schedule.longest_row)
    if budget == recipe.train.token_budget and plan.pack_tokens:
        tokens = plan.pack_tokens
    quantised = recipe.method.kind == "qlora"
    setting = memory.Setting(
        tokens, tokens, precision, full, rank, recipe.method.targets, plan.stored_bytes, quantised, device
    )
    counted = count(model, None if full else rank, recipe.method.targets)
    return memory.peak(memory.training(model, counted, setting), device)


def _evaluation_budget(recipe: Recipe, plan: Plan, memory_bytes: int) -> tuple[str, ...] | None:
    """Lines for evaluation; None where not even one answer fits."""
    terms = {term.name: term.num_bytes for term in plan.evaluate_memory}
    cache = terms.pop("key-value cache", 0)
    room = memory_bytes / memory.DOUBT[1] - sum(terms.values())
    if room >= cache:
        return ()
    tokens = int(plan.cache_tokens * room / cache)
    longest = plan.cache_tokens if plan.cache_tokens > recipe.evaluate.token_budget else plan.schedule.longest_row
    return (f"evaluate.token_budget={tokens}",) if tokens >= longest else None
