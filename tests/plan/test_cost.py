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
from lathe.records import MachineProbe, Plan, StepRate
from lathe.schedule.prefixes import Alike, Spared, spared, stretches

PlanOf = Callable[..., Plan]
MODEL = shapes(CONFIG)


def operations(full: bool, lengths: list[int], supervised: list[int], seen: list[int], fused: bool = False) -> int:
    counted = count(MODEL, None if full else 4)
    rows = (np.array(numbers) for numbers in (lengths, supervised, seen))
    return cost.operations(MODEL, counted, full, *rows, fused=fused)


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


def test_the_fused_step_spares_what_the_last_layer_would_compute_for_nobody_and_the_gradient_of_the_embedding() -> None:
    queries_and_keys = 64 * 64 + 2 * 64 * 32
    assert operations(False, [1], [1], [1]) - operations(False, [1], [1], [1], fused=True) == 2 * queries_and_keys
    rest = 2 * 64 * 64 + 3 * 64 * 160
    adapter = 4 * (2 * 128 + 3 * (64 + 160))
    spared = operations(False, [9], [8], [1]) - operations(False, [9], [8], [1], fused=True)
    assert spared == 9 * 2 * queries_and_keys + 4 * rest + 6 * adapter + 7 * 64


def test_a_stretch_that_two_rows_share_is_counted_once() -> None:
    """Two rows of 10 and 14 tokens that begin with the same 6: what 6 tokens without loss would take is spared."""
    counted = count(MODEL, 4)
    rows = np.array([10, 14]), np.array([3, 3]), np.array([1, 1])
    alike = Alike([0, 1], [10, 14], [6])
    once = spared(alike.lengths, stretches(alike, least=1))
    assert once == Spared(6, 36)
    for fused in (False, True):
        both = cost.operations(MODEL, counted, False, *rows, fused=fused)
        shared = cost.operations(MODEL, counted, False, *rows, fused=fused, spared=once)
        assert both - shared == operations(False, [6], [0], [1], fused)


def test_an_unmeasured_machine_gets_no_number(plan_of: PlanOf) -> None:
    made = plan_of()
    assert made.train_seconds is None
    assert made.rate_source == "none"


def test_the_rate_of_the_same_job_gives_a_narrow_interval_and_another_job_a_wide_one(plan_of: PlanOf) -> None:
    kind = cost.job_kind(MODEL, locked_recipe().recipe)
    same = plan_of(rates={kind: (1e9,), "other": (1e3,)}).train_seconds
    other = plan_of(rates={"other": (1e9,)}).train_seconds
    assert same is not None
    assert other is not None
    assert same.value == other.value
    assert other.low < same.low < same.value < same.high < other.high


def test_another_rank_is_another_kind_of_job() -> None:
    kinds = {cost.job_kind(MODEL, locked_recipe(method={"rank": rank}).recipe) for rank in (8, 16)}
    assert len(kinds) == 2


def probe(*steps: tuple[int, int, float], **costs: float) -> MachineProbe:
    """A machine of four threads; steps: width, threads, seconds of an operation."""
    found = (
        StepRate(step="fused", precision="bf16", width=width, threads=threads, product_seconds=seconds, **costs)
        for width, threads, seconds in steps
    )
    return MachineProbe(device="cpu", threads=4, steps=tuple(found))


def foretold(seen: MachineProbe | None, packs: int = 4, step: str = "fused", **parts: int | None) -> float | None:
    """Seconds of two steps of packs that have one operation of products and two layers, dealt out among processes."""
    processes = parts.pop("processes", 1) or 1
    dealt = [(number, place % processes) for number in range(2) for place in range(packs // 2)]
    work = np.array([[1.0, 0.0, 0.0, 2.0]] * packs)
    given = cost.Load(
        work=work, dealt=np.array(dealt), steps=2, layers=2, processes_here=processes, **{"width": 256} | parts  # type: ignore[arg-type]
    )  # fmt: skip
    return cost.probed_seconds(seen, step, "bf16", given)


def test_a_probed_cost_lies_between_those_of_the_nearest_widths_and_holds_beyond_them() -> None:
    seen = probe((256, 4, 2.0), (1024, 4, 1.0))
    found = [foretold(seen, width=width) for width in (64, 256, 512, 1024, 4096)]
    assert found == [pytest.approx(seconds) for seconds in (8, 8, 6, 4, 4)]
    assert foretold(seen, step="reference") is None
    assert foretold(None) is None


def test_all_weights_cost_what_they_did_where_they_were_trained_and_elsewhere_what_an_adapter_costs() -> None:
    adapters = probe((256, 4, 2.0), (1024, 4, 1.0))
    full = adapters.steps[0].model_copy(update={"full": True, "product_seconds": 1.5})
    seen = adapters.model_copy(update={"steps": (*adapters.steps, full)})
    for width, all_weights, adapter in ((256, 6, 8), (512, 5, 6), (1024, 4, 4)):
        assert foretold(seen, width=width, full=True) == pytest.approx(all_weights)
        assert foretold(seen, width=width) == pytest.approx(adapter)


def test_processes_of_one_thread_take_what_one_thread_took_and_others_their_part_of_all() -> None:
    seen = probe((256, 4, 1.0), (256, 1, 2.0))
    asked = [(None, 1), (4, 4), (1, 1), (2, 2), (None, 2), (2, 1)]
    found = [foretold(seen, 8, threads=threads, processes=processes) for threads, processes in asked]
    assert found == [pytest.approx(seconds) for seconds in (8, 4, 16, 8, 8, 16)]
    only_all = probe((256, 4, 1.0))
    assert foretold(only_all, 8, processes=4) == pytest.approx(8), "not tried with one thread"


def test_helpers_are_waited_for_once_until_they_have_begun() -> None:
    seen = probe((256, 4, 1.0), (256, 1, 2.0))
    late = seen.model_copy(update={"helper_seconds": 3.0})
    for processes, more in ((1, 0), (2, 3), (4, 3)):
        waited = foretold(late, 8, processes=processes), foretold(seen, 8, processes=processes)
        assert None not in waited
        assert waited[0] - waited[1] == pytest.approx(more)  # type: ignore[operator]


def test_each_step_of_processes_waits_for_what_they_exchange() -> None:
    seen = probe((256, 4, 1.0), (256, 1, 2.0)).model_copy(update={"exchange_seconds": 0.5})
    for processes, more in ((1, 0), (2, 2 * 3 * 0.5), (4, 2 * 3 * 3 * 0.5)):
        waited = (foretold(seen, 8, processes=processes, trained=trained) for trained in (3, 0))
        exchanging, alone = waited
        assert exchanging == pytest.approx(alone + more)


def test_each_step_moves_what_is_trained_whoever_shares_it() -> None:
    """With all weights of a model of 135M parameters that was 0.23 s of a step of 3.2 s, and no plan knew."""
    seen = probe((256, 4, 1.0), (256, 1, 2.0)).model_copy(update={"move_seconds": 0.25})
    for processes in (1, 4):
        moving, still = (foretold(seen, 8, processes=processes, trained=trained) for trained in (3, 0))
        assert moving == pytest.approx(still + 2 * 3 * 0.25)


def test_a_step_takes_as_long_as_the_process_that_has_most_to_do() -> None:
    seen = probe((256, 4, 1.0), (256, 1, 2.0))
    assert foretold(seen, 12, processes=4) == pytest.approx(2 * 2 * 2.0), "of six packs two processes have two"


def test_packs_and_steps_cost_something_however_little_they_hold() -> None:
    """Processes share the packs; of each step every one lays out its own weights."""
    seen = probe((256, 4, 1.0), (256, 1, 1.0), pack_seconds=0.5, step_seconds=0.25)
    assert foretold(seen, 8) == pytest.approx(8 + 8 * 2 * 0.5 + 2 * 2 * 0.25)
    assert foretold(seen, 8, threads=2) == pytest.approx(2 * (8 + 8 + 1))
    assert foretold(seen, 8, processes=4) == pytest.approx((8 + 8) / 4 + 1)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "lathe" / "rates.json"


def test_a_kept_rate_is_known_to_the_next_plan(state: Path) -> None:
    assert rates.known() == {}
    rates.keep("a", 1e9)
    rates.keep("b", 2e9)
    rates.keep("a", 3e9)
    assert list(rates.known().items()) == [("b", (2e9,)), ("a", (1e9, 3e9))]
    assert state.is_file()
    rates.keep("a", 800.0, "answers")
    rates.keep("b", 4e9)
    assert rates.known("answers") == {"a": (800.0,)}
    assert list(rates.known().items()) == [("a", (1e9, 3e9)), ("b", (2e9, 4e9))]


def test_one_run_on_a_busy_machine_does_not_decide_what_the_next_plan_says(state: Path) -> None:
    for rate in (0.5, 1.0, 1.1, 0.1, 1.0, 0.9):
        rates.keep("a", rate)
    assert rates.known()["a"] == (1.0, 1.1, 0.1, 1.0, 0.9)
    found, source = cost.seconds(10, "a", rates.known())
    assert source == "measured"
    assert found is not None
    assert found.value == 10
    assert found.high == pytest.approx(100), "what was seen once may be seen again"


def test_only_the_newest_rates_are_kept(state: Path) -> None:
    older = {str(number): [1.0] for number in range(rates.MOST)}
    state.parent.mkdir()
    state.write_text(json.dumps({"schema_version": rates.VERSION, "rates": older}))
    rates.keep("new", 2.0)
    assert list(rates.known()) == [*list(older)[1:], "new"]


def test_rates_of_an_engine_of_other_speed_are_forgotten(state: Path) -> None:
    state.parent.mkdir()
    state.write_text(json.dumps({"schema_version": rates.VERSION - 1, "rates": {"old": [1.0]}}))
    assert rates.known() == {}


@pytest.mark.parametrize(
    "content",
    ["", "[]", *(f'{{"schema_version": {rates.VERSION}, "rates": {one}}}' for one in ("3", '{"a": "fast"}')), "\x00"],
)
def test_a_damaged_file_is_as_no_file(state: Path, content: str) -> None:
    state.parent.mkdir()
    state.write_text(content)
    assert rates.known() == {}
    rates.keep("a", 1.0)
    assert rates.known() == {"a": (1.0,)}
