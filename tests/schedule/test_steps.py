"""The course of training is known before the first step, and each step can be had alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe.records import TrainSpec
from lathe.schedule.packing import deal
from lathe.schedule.steps import marked_steps, steps, warmup_steps


def train(**fields: object) -> TrainSpec:
    return TrainSpec.model_validate(fields)


@pytest.mark.parametrize(
    ("rows", "per_step", "epochs", "expected"),
    [
        (503, 32, 3, 48),
        (238, 16, 3, 45),
        (238, 32, 3, 24),
        (1388, 4, 1, 347),
        (9807, 4, 1, 2452),
        (4000, 16, 3, 750),
        (4000, 16, 7, 1750),
    ],
)
def test_steps_are_those_that_real_runs_took(rows: int, per_step: int, epochs: float, expected: int) -> None:
    assert steps([10] * rows, train(examples_per_step=per_step, epochs=epochs), 0).num_steps == expected


def test_fractional_epochs_round_up_to_a_whole_step_and_no_further() -> None:
    assert steps([1] * 30, train(examples_per_step=1, epochs=0.1), 0).num_steps == 3
    assert steps([1] * 30, train(examples_per_step=4, epochs=1.5), 0).num_steps == 12
    assert steps([1] * 30, train(examples_per_step=4, epochs=0.001), 0).num_steps == 1


def test_max_steps_stops_earlier_but_never_lengthens() -> None:
    assert steps([1] * 30, train(examples_per_step=4, epochs=3, max_steps=5), 0).num_steps == 5
    assert steps([1] * 30, train(examples_per_step=4, epochs=1, max_steps=500), 0).num_steps == 8


def test_no_rows_make_no_steps() -> None:
    plan = steps([], train(), 0)
    assert (plan.num_steps, plan.num_packs, plan.num_tokens, plan.checkpoint_steps) == (0, 0, 0, ())


def test_warm_up_never_takes_the_whole_run() -> None:
    assert warmup_steps(45, 0.05) == 3
    assert warmup_steps(1, 0.9) == 0
    assert warmup_steps(10, 0.0) == 0
    assert warmup_steps(10, 0.99) == 9


def test_the_last_step_is_always_a_checkpoint() -> None:
    assert marked_steps(45, 50) == (45,)
    assert marked_steps(100, 50) == (50, 100)
    assert marked_steps(120, 50) == (50, 100, 120)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_learning_rate_rises_to_the_peak_and_never_leaves_its_bounds(schedule: str) -> None:
    plan = steps(
        [5] * 100, train(examples_per_step=4, epochs=4, warmup_share=0.1, schedule=schedule, learning_rate=0.5), 0
    )
    rates = [plan.learning_rate(step) for step in range(plan.num_steps)]
    assert rates[plan.warmup_steps] == max(rates) == 0.5
    assert all(0 < rate <= 0.5 for rate in rates)
    assert rates[: plan.warmup_steps + 1] == sorted(rates[: plan.warmup_steps + 1])
    assert rates[plan.warmup_steps :] == sorted(rates[plan.warmup_steps :], reverse=True)


def test_cosine_is_halfway_down_in_the_middle() -> None:
    plan = steps(
        [5] * 100, train(examples_per_step=1, epochs=1, warmup_share=0, schedule="cosine", learning_rate=1.0), 0
    )
    assert math.isclose(plan.learning_rate(50), 0.5)


def test_a_step_outside_the_run_is_an_error() -> None:
    with pytest.raises(IndexError, match="expected 0 to 2"):
        steps([1] * 10, train(examples_per_step=4, epochs=1), 0).examples(3)


courses = st.builds(
    lambda lengths, per_step, epochs, budget, seed: steps(
        lengths, train(examples_per_step=per_step, epochs=epochs, token_budget=budget), seed
    ),
    st.lists(st.integers(1, 60), min_size=1, max_size=40),
    st.integers(1, 12),
    st.floats(0.05, 3.0),
    st.integers(1, 100),
    st.integers(0, 2**63),
)


@settings(max_examples=60, deadline=None)
@given(courses)
def test_every_full_epoch_sees_every_row_exactly_once(plan) -> None:
    for epoch in range(plan.num_steps // plan.steps_per_epoch):
        first = epoch * plan.steps_per_epoch
        seen = np.concatenate([plan.examples(step) for step in range(first, first + plan.steps_per_epoch)])
        assert sorted(seen.tolist()) == list(range(plan.num_examples))


@settings(max_examples=60, deadline=None)
@given(courses)
def test_totals_equal_the_sum_over_the_packs_of_all_steps(plan) -> None:
    packs = [one for step in range(plan.num_steps) for one in plan.packs(step)]
    assert plan.num_packs == len(packs)
    assert plan.num_tokens == sum(int(plan.lengths_N[row]) for one in packs for row in one)
    assert plan.over_run(np.ones(plan.num_examples, dtype=int)) == sum(len(one) for one in packs)


@settings(max_examples=60, deadline=None)
@given(courses, st.integers(1, 4))
def test_packs_are_dealt_out_as_the_engine_deals_them(plan, processes) -> None:
    plan = steps(plan.lengths_N, plan.train.model_copy(update={"processes": processes}), plan.seed)
    dealt = plan.dealt.tolist()
    for step in range(plan.num_steps):
        packs = plan.packs(step)
        for process, share in enumerate(deal([int(plan.lengths_N[rows].sum()) for rows in packs], processes)):
            mine = [rows for place, (rows, _) in enumerate(plan.laid) if dealt[place] == [step, process]]
            assert mine == [packs[place] for place in share]


@settings(max_examples=60, deadline=None)
@given(courses, st.data())
def test_a_step_asked_for_alone_equals_the_step_in_its_course(plan, data) -> None:
    step = data.draw(st.integers(0, plan.num_steps - 1))
    course = [plan.packs(k) for k in range(plan.num_steps)]
    assert steps(plan.lengths_N, plan.train, plan.seed).packs(step) == course[step]
