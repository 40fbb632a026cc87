"""What rows begin with alike is planned as the engine lays it down: the same packs, the same tokens, the same work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_parts import CONFIG, locked_recipe

from lathe.plan.answering import Answers
from lathe.plan.architecture import shapes
from lathe.plan.fit import as_planned, with_budget
from lathe.plan.forecast import Machine, forecast
from lathe.records import Plan, TrainSpec
from lathe.schedule.steps import StepPlan, course_of
from lathe.text.tokens import TokenSet

BEGINS = ([1] * 40, [2] * 50, [1] * 40 + [3] * 60)


def token_set(rows: list[list[int]]) -> TokenSet:
    """Rows whose last token is supervised."""
    lengths = [len(row) for row in rows]
    ends = np.cumsum(lengths)
    supervised = np.zeros(ends[-1], dtype=bool)
    supervised[ends - 1] = True
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    return TokenSet(np.concatenate(rows).astype(np.int32), supervised, offsets, tuple(map(str, range(len(rows)))))


def planned(rows: TokenSet, config: dict[str, Any] = CONFIG, **parts: Any) -> Plan:
    return forecast(
        locked_recipe(**parts).recipe, config, rows, {"test": Answers(5, 10)}, 0, Machine(10**10, {}), "inputs"
    )


def course(rows: TokenSet, train: dict[str, Any]) -> StepPlan:
    return course_of(rows, TrainSpec.model_validate(train), 0, shared=True)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.builds(
            lambda begin, own: [*BEGINS[begin], *own],
            st.integers(0, 2),
            st.lists(st.integers(4, 6), min_size=2, max_size=70),
        ),
        min_size=1,
        max_size=30,
    ),
    per_step=st.integers(1, 20),
    epochs=st.floats(0.1, 3),
    budget=st.integers(1, 500),
    processes=st.integers(1, 3),
    grouped=st.booleans(),
)
def test_a_drawn_recipe_is_planned_as_the_engine_computes_it(
    rows, per_step, epochs, budget, processes, grouped
) -> None:
    pytest.importorskip("torch")
    from lathe.engine.packs import build_pack

    train = {
        "epochs": epochs,
        "examples_per_step": per_step,
        "token_budget": budget,
        "processes": processes,
        "group_by_prefix": grouped,
    }
    tokens = token_set(rows)
    record = planned(tokens, train=train)
    plan = course(tokens, train)
    packs = [
        build_pack([tokens.row(row) for row in pack], shared=True)
        for step in range(plan.num_steps)
        for pack in plan.packs(step)
    ]
    assert record.schedule.num_packs == len(packs)
    assert record.schedule.num_computed == sum(pack.bounds[-1] for pack in packs)
    assert record.schedule.num_tokens == plan.num_tokens >= record.schedule.num_computed
    assert record.schedule.num_supervised == sum(pack.targets_S.numel() for pack in packs)
    assert record.pack_tokens in {pack.bounds[-1] for pack in packs}


@pytest.fixture
def alike() -> TokenSet:
    draw = np.random.default_rng(0)
    return token_set([[*BEGINS[0], *draw.integers(4, 400, 20).tolist()] for _ in range(60)])


def test_rows_that_begin_alike_are_less_work_and_fit_a_smaller_pack(alike: TokenSet) -> None:
    train = {"epochs": 1, "examples_per_step": 20}
    record = planned(alike, train=train)
    assert record.schedule.num_tokens == 60 * 60
    assert record.schedule.num_computed == 3 * 40 + 60 * 20
    assert record.pack_tokens == 40 + 20 * 20
    apart = planned(alike, CONFIG | {"attention_dropout": 0.1}, train=train)
    assert apart.schedule.num_computed == apart.schedule.num_tokens == 60 * 60, "the reference step shares nothing"
    assert record.operations < 0.5 * apart.operations


def test_grouping_is_part_of_the_plan(alike: TokenSet) -> None:
    draw = np.random.default_rng(0)
    rows = token_set([[*BEGINS[draw.integers(3)], *draw.integers(4, 400, 20).tolist()] for _ in range(60)])
    random, grouped = (
        planned(rows, train={"epochs": 1, "examples_per_step": 6, "group_by_prefix": group}).schedule
        for group in (False, True)
    )
    assert grouped.num_tokens == random.num_tokens
    assert grouped.num_computed < random.num_computed


def test_what_another_step_would_need_is_not_made_small_by_sharing(alike: TokenSet) -> None:
    """A GPU runs the reference step, and so does a CPU that computes layers again: both compute whole rows, in fuller packs."""
    locked = locked_recipe(train={"epochs": 1, "examples_per_step": 20, "token_budget": 1000})
    record = planned(alike, train={"epochs": 1, "examples_per_step": 20, "token_budget": 1000})
    assert record.pack_tokens == 440
    assert as_planned(locked.recipe, record).pack_tokens == 440
    assert as_planned(locked.recipe, record, elsewhere=True).pack_tokens == 1000
    setting = as_planned(locked.recipe, record)
    assert with_budget(shapes(CONFIG), setting, record, 1000, 1000).pack_tokens == 440
    assert with_budget(shapes(CONFIG), replace(setting, step="reference"), record, 1000, 1000).pack_tokens == 1000
    assert with_budget(shapes(CONFIG), setting, record, 1000, 1000).pack_weights >= record.pack_weights
