"""Where a plan does not fit, the nearest setting that does is named; what is said to fit does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_parts import CONFIG, locked_recipe
from test_parameters import QWEN25_7B, SMOLLM2_135M

from lathe.plan import memory
from lathe.plan.fit import fit
from lathe.records import Plan

PlanOf = Callable[..., Plan]
PARTS = {"train": {"checkpoint_every": 10, "token_budget": 4096}}


def settings_of(sets: tuple[str, ...]) -> dict:
    """`train.token_budget=128` lines as parts of a recipe, over PARTS."""
    parts: dict = {"train": dict(PARTS["train"])}
    for line in sets:
        key, _, value = line.partition("=")
        part, _, name = key.partition(".")
        parts.setdefault(part, {})[name] = int(value) if value.isdecimal() else value
    return parts


def test_a_recipe_that_fits_stays_as_it_is(plan_of: PlanOf) -> None:
    found = fit(locked_recipe(**PARTS).recipe, CONFIG, plan_of(**PARTS), 8 * 10**9)
    assert found is not None
    assert found.sets == ()


def test_the_token_budget_is_lowered_first(plan_of: PlanOf) -> None:
    made = plan_of(config=SMOLLM2_135M, lengths=[400] * 320, **PARTS)
    found = fit(locked_recipe(**PARTS).recipe, SMOLLM2_135M, made, 4_500_000_000)
    assert found is not None
    assert found.sets == ("train.token_budget=1024",)


def test_then_precision_and_rank_follow(plan_of: PlanOf) -> None:
    made = plan_of(config=SMOLLM2_135M, lengths=[400] * 320, **PARTS)
    found = fit(locked_recipe(**PARTS).recipe, SMOLLM2_135M, made, 2_500_000_000)
    assert found is not None
    assert "train.precision=bf16" in found.sets


def test_where_nothing_fits_nothing_is_promised(plan_of: PlanOf) -> None:
    made = plan_of(config=SMOLLM2_135M, lengths=[400] * 320, **PARTS)
    assert fit(locked_recipe(**PARTS).recipe, SMOLLM2_135M, made, 5 * 10**8) is None


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(800_000_000, 12_000_000_000), st.integers(20, 900))
def test_what_is_said_to_fit_is_planned_to_fit(plan_of: PlanOf, free_bytes: int, length: int) -> None:
    lengths = [length] * 40
    made = plan_of(config=SMOLLM2_135M, lengths=lengths, free_bytes=free_bytes, test_rows=3, **PARTS)
    found = fit(locked_recipe(**PARTS).recipe, SMOLLM2_135M, made, free_bytes)
    if found is None:
        assert not made.fits()
        return
    again = plan_of(config=SMOLLM2_135M, lengths=lengths, free_bytes=free_bytes, test_rows=3, **settings_of(found.sets))
    assert again.peak_bytes.high <= free_bytes
    assert again.peak_bytes.high <= found.peak_bytes.high * 1.0001


def test_what_several_processes_hold_is_counted(plan_of: PlanOf) -> None:
    parts = {**PARTS, "train": {**PARTS["train"], "processes": 2}}
    made = plan_of(config=SMOLLM2_135M, lengths=[400] * 320, **parts)
    room = int(0.8 * made.peak_bytes.value)
    found = fit(locked_recipe(**parts).recipe, SMOLLM2_135M, made, room)
    assert found is None or found.sets


@pytest.mark.parametrize("free", [8 * 10**9, 3 * 10**9])
def test_a_gpu_is_searched_in_its_own_terms(plan_of: PlanOf, free: int) -> None:
    made = plan_of(config=SMOLLM2_135M, lengths=[400] * 320, **PARTS)
    found = fit(locked_recipe(**PARTS).recipe, SMOLLM2_135M, made, free, elsewhere=True)
    assert found is not None
    assert not any("precision" in line for line in found.sets)  # auto is bf16 there already


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "on a GPU elsewhere"])
def test_a_base_in_four_bits_is_tried_before_the_rank(plan_of: PlanOf, elsewhere: bool) -> None:
    """On a CPU `auto` would mean fp32 for it, so bf16 is said."""
    parts = {**PARTS, "method": {"rank": 64}}
    made = plan_of(config=QWEN25_7B, lengths=[400] * 320, **parts)
    made = made.model_copy(update={"evaluate_memory": ()})
    room = (16 if elsewhere else 20) * 10**9
    found = fit(locked_recipe(**parts).recipe, QWEN25_7B, made, room, elsewhere=elsewhere)
    assert found is not None
    assert "method.kind=qlora" in found.sets
    assert not any("rank" in line for line in found.sets)
    assert ("train.precision=bf16" in found.sets) == (not elsewhere)


def test_layers_are_computed_again_before_the_base_is_put_into_four_bits(plan_of: PlanOf) -> None:
    """It changes nothing that is learned."""
    parts = {**PARTS, "method": {"rank": 64}}
    made = plan_of(config=QWEN25_7B, lengths=[400] * 320, **parts)
    found = fit(locked_recipe(**parts).recipe, QWEN25_7B, made, 25 * 10**9, elsewhere=True)
    assert found is not None
    assert "train.recompute=true" in found.sets
    assert "method.kind=qlora" not in found.sets


@pytest.mark.parametrize("answers", ["fp32", "int8"])
def test_a_base_that_is_too_large_to_answer_is_put_into_four_bits_for_that_too(plan_of: PlanOf, answers: str) -> None:
    """And the lines are a recipe: what is in 4 bits cannot be asked to answer in 8."""
    parts: dict = {**PARTS, "evaluate": {"precision": answers}}
    made = plan_of(config=QWEN25_7B, lengths=[100] * 320, free_bytes=32 * 10**9, **parts)
    assert {"training_does_not_fit", "evaluation_does_not_fit"} <= {one.id for one in made.findings}
    (said,) = [one.fix for one in made.findings if one.id == "evaluation_does_not_fit"]
    assert "qlora" in said
    assert "token_budget" not in said
    found = fit(locked_recipe(**parts).recipe, QWEN25_7B, made, 32 * 10**9)
    assert found is not None
    assert "method.kind=qlora" in found.sets
    assert ("evaluate.precision=bf16" in found.sets) == (answers == "int8")
    again = {**settings_of(found.sets), "evaluate": {"precision": "bf16" if answers == "int8" else answers}}
    assert plan_of(config=QWEN25_7B, lengths=[100] * 320, free_bytes=32 * 10**9, **again).fits()


def test_room_for_answers_is_weighed_by_the_longest_prompt_that_is_answered(plan_of: PlanOf) -> None:
    """Not by the longest row that is trained on: a budget below the longest question and its answer frees nothing."""
    parts = {**PARTS, "train": {"checkpoint_every": 10, "token_budget": 128}}
    made = plan_of(config=SMOLLM2_135M, lengths=[60] * 40, prompt=9000, **parts)
    assert made.longest_answered == 9041
    beside = sum(term.num_bytes for term in made.evaluate_memory if term.name != memory.CACHE)
    each = 30 * 2 * 192 * 4
    for tokens, enough in ((8000, False), (10_000, True)):
        found = fit(locked_recipe(**parts).recipe, SMOLLM2_135M, made, int(1.1 * (beside + (tokens + 0.5) * each)))
        assert found is not None
        assert (f"evaluate.token_budget={tokens}" in found.sets) is enough
        assert enough or "method.kind=qlora" in found.sets, "other lines are looked for"


def test_where_several_processes_cannot_answer_side_by_side_one_does(plan_of: PlanOf) -> None:
    made = plan_of(**PARTS, test_rows=200)
    assert made.answer_processes == 2
    whole = sum(term.num_bytes for term in made.evaluate_memory)
    assert plan_of(**PARTS, test_rows=100).answer_processes == 1
    alone = sum(term.num_bytes for term in plan_of(**PARTS, test_rows=100).evaluate_memory)
    assert whole - alone == alone - memory.RENDERING.num_bytes
    found = fit(locked_recipe(**PARTS).recipe, CONFIG, made, int(0.8 * whole))
    assert found is not None
    assert found.sets == ("train.threads=1",)
    (said,) = [one for one in plan_of(**PARTS, free_bytes=int(0.8 * whole)).findings if "evaluation" in one.id]
    assert said.fix == "set train.threads: 1, so that one process answers"
