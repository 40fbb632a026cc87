"""Time comes from what this machine reached before, and is not guessed where it reached nothing yet."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from plan_parts import CONFIG, locked_recipe

from lathe.plan import cost, rates
from lathe.plan.architecture import shapes
from lathe.plan.parameters import count
from lathe.records import Plan

PlanOf = Callable[..., Plan]
MODEL = shapes(CONFIG)


def operations(full: bool, lengths: list[int], supervised: list[int], seen: list[int]) -> int:
    counted = count(MODEL, None if full else 4)
    return cost.operations(MODEL, counted, full, np.array(lengths), np.array(supervised), np.array(seen))


def test_operations_of_one_token_are_products_attention_and_head() -> None:
    body = 2 * (64 * 64 * 2 + 64 * 32 * 2 + 64 * 160 * 3)
    assert MODEL.body_linear == body
    adapter = count(MODEL, 4).trainable
    assert operations(False, [1], [1], [1]) == 4 * body + 6 * adapter + 7 * 64 * 2 + 4 * 420 * 64
    assert operations(True, [1], [0], [1]) == 6 * body + 7 * 64 * 2


def test_operations_add_over_rows_and_attention_grows_with_the_square() -> None:
    one, other = operations(False, [10], [3], [1]), operations(False, [20], [5], [1])
    assert operations(False, [10, 20], [3, 5], [2, 1]) == 2 * one + other
    assert operations(False, [20], [0], [1]) > 2 * operations(False, [10], [0], [1])


def test_an_unmeasured_machine_gets_no_number(plan_of: PlanOf) -> None:
    made = plan_of()
    assert made.train_seconds is None
    assert made.rate_source == "none"


def test_the_rate_of_the_same_job_gives_a_narrow_interval_and_another_job_a_wide_one(plan_of: PlanOf) -> None:
    kind = cost.job_kind(MODEL, cost.speed_parts(locked_recipe()))
    same = plan_of(rates={kind: 1e9, "other": 1e3}).train_seconds
    other = plan_of(rates={"other": 1e9}).train_seconds
    assert same is not None
    assert other is not None
    assert same.value == other.value
    assert other.low < same.low < same.value < same.high < other.high


def test_another_rank_is_another_kind_of_job() -> None:
    kinds = {cost.job_kind(MODEL, cost.speed_parts(locked_recipe(method={"rank": rank}))) for rank in (8, 16)}
    assert len(kinds) == 2


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "lathe" / "rates.json"


def test_a_kept_rate_is_known_to_the_next_plan(state: Path) -> None:
    assert rates.known() == {}
    rates.keep("a", 1e9)
    rates.keep("b", 2e9)
    rates.keep("a", 3e9)
    assert list(rates.known().items()) == [("b", 2e9), ("a", 3e9)]
    assert state.is_file()
    rates.keep("a", 800.0, "answers")
    rates.keep("b", 4e9)
    assert rates.known("answers") == {"a": 800.0}
    assert list(rates.known().items()) == [("a", 3e9), ("b", 4e9)]


def test_only_the_newest_rates_are_kept(state: Path) -> None:
    older = {str(number): 1.0 for number in range(rates.MOST)}
    state.parent.mkdir()
    state.write_text(json.dumps({"rates": older}))
    rates.keep("new", 2.0)
    assert list(rates.known()) == [*list(older)[1:], "new"]


@pytest.mark.parametrize("content", ["", "[]", '{"rates": 3}', '{"rates": {"a": "fast"}}', "\x00"])
def test_a_damaged_file_is_as_no_file(state: Path, content: str) -> None:
    state.parent.mkdir()
    state.write_text(content)
    assert rates.known() == {}
    rates.keep("a", 1.0)
    assert rates.known() == {"a": 1.0}
