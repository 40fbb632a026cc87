"""What rows begin with alike is found, counted once, and never anything that carries loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lathe.records import TrainSpec
from lathe.schedule.packing import deal_alike, pack, pack_alike
from lathe.schedule.prefixes import Alike, Prefixes, Stretch, computed, prefixes, stretches
from lathe.schedule.steps import StepPlan, course_of
from lathe.text.tokens import TokenSet

SHARED = {"a": [1] * 40, "b": [2] * 50, "c": [1] * 40 + [3] * 60}


def token_set(rows: list[list[int]], supervised: int = 1) -> TokenSet:
    """Rows whose last tokens carry loss."""
    lengths = [len(row) for row in rows]
    return TokenSet(
        ids_T=np.array([token for row in rows for token in row], dtype=np.int32),
        supervised_T=np.concatenate([np.arange(length) >= length - supervised for length in lengths]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        example_ids=tuple(map(str, range(len(rows)))),
    )


def known(rows: list[list[int]], supervised: int = 1) -> Prefixes:
    made = token_set(rows, supervised)
    return prefixes(made.ids_T, made.offsets, made.supervised_T)


def laid(rows: list[list[int]], found: list[Stretch], alike: Alike) -> list[list[int]]:
    """The rows again, from their stretches."""
    back = []
    for stretch in found:
        if stretch.last:
            whole: list[int] = []
            at: Stretch | None = stretch
            while at is not None:
                whole = rows[alike.rows[stretch.row]][at.start : at.end] + whole
                at = found[at.parent] if at.parent >= 0 else None
            back.append(whole)
    return back


drawn_rows = st.lists(
    st.builds(
        lambda begin, tail: SHARED[begin] + tail,
        st.sampled_from(sorted(SHARED)),
        st.lists(st.integers(4, 6), min_size=2, max_size=50),
    ),
    min_size=1,
    max_size=20,
)


@given(drawn_rows)
def test_stretches_make_up_the_rows_and_each_shared_one_belongs_to_all_behind_it(rows: list[list[int]]) -> None:
    alike = known(rows).among(range(len(rows)))
    found = stretches(alike)
    assert laid(rows, found, alike) == [rows[row] for row in alike.rows]
    for stretch in found:
        if stretch.parent >= 0:
            parent = found[stretch.parent]
            assert parent.end == stretch.start
            assert not parent.last
            assert parent.end - parent.start >= 32
            one, other = (rows[alike.rows[at.row]][: parent.end] for at in (parent, stretch))
            assert one == other
    assert computed(found) <= sum(map(len, rows))


@given(drawn_rows, st.data())
def test_some_rows_have_in_common_what_they_would_have_alone(rows: list[list[int]], data: st.DataObject) -> None:
    some = data.draw(st.lists(st.sampled_from(range(len(rows))), min_size=1, unique=True))
    whole = known(rows)
    alone = known([rows[row] for row in some]).among(range(len(some)))
    assert whole.among(some).common == alone.common
    every = whole.among(range(len(rows)))
    assert every.part([every.rows.index(row) for row in some]).common == alone.common


def test_what_two_schemas_and_an_instruction_share_is_nested() -> None:
    rows = [SHARED["c"] + [9, 9, 8], SHARED["c"] + [9, 7], SHARED["a"] + [5, 5], [7, 7, 7]]
    found = stretches(known(rows).among([3, 2, 1, 0]))
    assert [(one.start, one.end, one.parent, one.last) for one in found] == [
        (0, 40, -1, False), (40, 42, 0, True), (40, 100, 0, False), (100, 102, 2, True), (100, 103, 2, True), (0, 3, -1, True),
    ]  # fmt: skip


def test_a_target_s_own_logits_are_formed_in_each_row() -> None:
    """Equal prompts of 50 tokens: the last one's logits are scored, so 49 are shared; with 45 supervised tokens nothing is."""
    rows = [SHARED["b"] + [8], SHARED["b"] + [9]]
    assert known(rows).among([0, 1]).common == [49]
    assert known([SHARED["b"] + [8], SHARED["b"] + [8]]).among([0, 1]).common == [49], "equal rows too"
    assert known(rows, supervised=45).among([0, 1]).common == [5]
    assert len(stretches(known(rows, supervised=45).among([0, 1]))) == 2, "5 are too few to be worth a product"


def test_a_row_without_targets_keeps_one_token_of_its_own() -> None:
    rows = [SHARED["b"], SHARED["b"]]
    assert known(rows, supervised=0).among([0, 1]).common == [49]


@given(drawn_rows, st.integers(1, 300))
def test_packs_hold_each_row_once_within_the_budget(rows: list[list[int]], budget: int) -> None:
    whole = known(rows)
    packs = [one.rows for one in pack_alike(whole.among(range(len(rows))), budget)]
    assert sorted(row for one in packs for row in one) == list(range(len(rows)))
    for one in packs:
        assert len(one) == 1 or computed(stretches(whole.among(one))) <= budget


@given(st.lists(st.integers(1, 60), min_size=1, max_size=20), st.integers(1, 100))
def test_rows_that_share_nothing_are_packed_as_ever(lengths: list[int], budget: int) -> None:
    alike = Alike([*range(len(lengths))], lengths, [0] * (len(lengths) - 1))
    assert [sorted(one.rows) for one in pack_alike(alike, budget)] == [sorted(one) for one in pack(lengths, budget)]


def test_rows_with_one_schema_share_a_pack() -> None:
    rows = [SHARED[begin] + [10 + place] * 20 for place, begin in enumerate("abcabcabc")]
    whole = known(rows)
    packs = pack_alike(whole.among(range(9)), 170)
    assert sorted(sorted(one.rows) for one in packs) == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    with pytest.raises(ValueError, match="budget of 0"):
        pack_alike(whole.among([0]), 0)


@given(drawn_rows, st.integers(1, 4))
def test_what_is_dealt_out_is_no_worse_than_rows_one_by_one(rows: list[list[int]], count: int) -> None:
    whole = known(rows)
    shares = [share.rows for share in deal_alike(whole.among(range(len(rows))), count)]
    assert sorted(row for share in shares for row in share) == list(range(len(rows)))
    assert len(shares) == count
    load = max(computed(stretches(whole.among(share))) for share in shares if share)
    assert load <= max(sum(map(len, rows)) / count + max(map(len, rows)), 0)


def course(rows: list[list[int]], seed: int = 0, **train: object) -> StepPlan:
    return course_of(token_set(rows), TrainSpec.model_validate(train), seed, shared=True)


@given(drawn_rows, st.integers(1, 8), st.integers(0, 3), st.integers(1, 3))
def test_grouped_or_not_an_epoch_has_each_row_once(rows: list[list[int]], per_step: int, seed: int, count: int) -> None:
    for group in (False, True):
        plan = course(rows, seed, epochs=2, examples_per_step=per_step, group_by_prefix=group, processes=count)
        for epoch in range(2):
            first = epoch * plan.steps_per_epoch
            taken = [sorted(plan.examples(step)) for step in range(first, first + plan.steps_per_epoch)]
            assert sorted(row for step in taken for row in step) == list(range(len(rows)))
            packed = [sorted(row for one in plan.packs(first + k) for row in one) for k in range(len(taken))]
            assert packed == taken
        assert plan.num_computed <= plan.num_tokens == 2 * sum(map(len, rows))
        again = course(rows, seed, epochs=2, examples_per_step=per_step, group_by_prefix=group)
        assert [again.examples(step).tolist() for step in range(again.num_steps)] == [
            plan.examples(step).tolist() for step in range(plan.num_steps)
        ]


def test_grouping_lets_rows_with_one_schema_meet_and_less_is_computed() -> None:
    draw = np.random.default_rng(0)
    rows = [SHARED["abc"[draw.integers(3)]] + draw.integers(4, 90, 30).tolist() for _ in range(300)]
    random, grouped = (course(rows, epochs=1, examples_per_step=10, group_by_prefix=group) for group in (False, True))
    assert grouped.num_computed < 0.85 * random.num_computed < random.num_computed < 0.9 * random.num_tokens
    orders = {tuple(grouped.order(epoch).tolist()) for epoch in range(3)}
    assert len(orders) == 3
    steps = [{rows[row][39] for row in grouped.examples(step)} for step in range(grouped.num_steps)]
    assert sum(len(step) > 1 for step in steps) <= 2, "but where one group ends and another begins"
    assert [min(step) for step in steps] != sorted(min(step) for step in steps), "the steps come in a random order"


def test_what_a_course_shares_is_told_only_where_it_is_shared() -> None:
    rows = [SHARED["b"] + [8], SHARED["b"] + [9]]
    plan = course_of(token_set(rows), TrainSpec(epochs=1), 0, shared=False)
    assert plan.num_computed == plan.num_tokens == plan.computed(0) == 102
    assert course(rows, epochs=1).num_computed == course(rows, epochs=1).computed(0) == 49 + 2 + 2
    with pytest.raises(ValueError, match="which is not known"):
        StepPlan(np.array([3, 3]), TrainSpec(group_by_prefix=True), 0).examples(0)
