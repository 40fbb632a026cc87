"""Machines that are not this one: from a catalogue, so marked, with wide intervals, and never without their assumptions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from plan_parts import CONFIG, locked_recipe
from test_parameters import QWEN25_7B

from lathe import processes
from lathe.errors import InputError
from lathe.plan import cost, machines, rates
from lathe.plan.architecture import shapes
from lathe.records import MachineProbe, Plan, StepRate

PlanOf = Callable[..., Plan]
CARDS = ("rtx4090-24gb", "l4-24gb", "a5000-24gb", "a100-40gb", "a100-80gb", "h100-80gb", "h200-141gb")


def test_the_catalogue_lists_the_usual_cards_with_a_dated_price() -> None:
    catalogue = machines.read(Path("nowhere"))
    assert set(catalogue.machines) == set(CARDS)
    assert catalogue.prices_of >= "2026"
    assert machines.chosen(catalogue, ["all"]) == (*catalogue.machines, "cpu")
    assert machines.chosen(catalogue, ["a100", "h200", "cpu"]) == ("a100-40gb", "a100-80gb", "h200-141gb", "cpu")


def test_a_machine_that_is_not_listed_names_the_nearest() -> None:
    with pytest.raises(InputError) as error:
        machines.chosen(machines.read(Path("nowhere")), ["rtx4090-24"])
    assert error.value.hint == "Did you mean rtx4090-24gb?"


def test_what_is_not_measured_is_marked_and_wide(plan_of: PlanOf) -> None:
    (found,) = machines.elsewhere(locked_recipe(), CONFIG, plan_of(), machines.read(Path("nowhere")), ["l4-24gb"])
    assert found.fits
    assert found.rate_source == "catalogue"
    assert found.precision == "bf16"
    assert found.seconds is not None
    assert found.money is not None
    assert found.seconds.high >= 8 * found.seconds.low > 0
    assert found.money.value == pytest.approx(found.seconds.value * 0.80 / 3600)
    assert "assumed as of" in found.money_source


def test_a_large_base_fits_some_machines_and_not_others(plan_of: PlanOf) -> None:
    catalogue = machines.read(Path("nowhere"))
    found = {
        kind: {
            one.machine: one.fits
            for one in machines.elsewhere(
                locked_recipe(method={"kind": kind}, train={"checkpoint_every": 10}),
                QWEN25_7B,
                plan_of(config=QWEN25_7B, method={"kind": kind}),
                catalogue,
                CARDS,
            )
        }
        for kind in ("lora", "full")
    }
    assert found["lora"]["a100-80gb"]
    assert not found["full"]["h100-80gb"]  # 4 x 30.5 GB of fp32 weights, gradients and moments
    assert not found["full"]["rtx4090-24gb"]


def test_the_cpu_is_this_machine_and_costs_its_electricity(plan_of: PlanOf) -> None:
    kind = cost.job_kind(shapes(CONFIG), cost.speed_parts(locked_recipe()))
    plan = plan_of(rates={kind: (1e9,)})
    (found,) = machines.elsewhere(locked_recipe(), CONFIG, plan, machines.read(Path("nowhere")), ["cpu"])
    assert found.seconds == plan.train_seconds
    assert found.rate_source == "measured"
    assert found.money is not None
    assert found.money.value == pytest.approx(found.seconds.value / 3.6e6 * 65 * 0.30)
    (unknown,) = machines.elsewhere(locked_recipe(), CONFIG, plan_of(), machines.read(Path("nowhere")), ["cpu"])
    assert unknown.seconds is None
    assert unknown.money is None


def test_own_entries_and_prices_stand_over_the_shipped_ones(tmp_path: Path) -> None:
    own = tmp_path / "machines.yaml"
    own.write_text("electricity: 0.1\nmachines:\n  mine-8gb: {memory_mib: 8192, bf16: 20, fp32: 10, watts: 120}\n")
    catalogue = machines.read(own)
    assert catalogue.electricity == 0.1
    assert catalogue.machines["mine-8gb"].price == 0
    assert "l4-24gb" in catalogue.machines


@pytest.mark.parametrize("content", ["machines: 3", "- 1", "{", "machines: {a: {memory_mib: -1}}", "cheap: true"])
def test_a_damaged_own_catalogue_is_named(tmp_path: Path, content: str) -> None:
    own = tmp_path / "machines.yaml"
    own.write_text(content)
    with pytest.raises(InputError, match=r"machines\.yaml is no catalogue"):
        machines.read(own)


def test_a_probe_is_remembered_and_makes_an_estimate(
    plan_of: PlanOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert rates.probed() is None
    seen = StepRate(step="fused", precision="fp32", width=256, threads=2, rate=1e11)
    rates.probe_file().parent.mkdir(parents=True)
    rates.probe_file().write_text(MachineProbe(device="cpu", threads=2, steps=(seen,)).to_json())
    assert rates.probed() == MachineProbe(device="cpu", threads=2, steps=(seen,))
    rates.probe_file().write_text('{"fp32": 1e11, "bf16": 2e11}')
    assert rates.probed() is None, "what an older Lathe measured was something else"
    found, source = cost.seconds(10**12, "kind", {"other": (1.0,)}, probed=10.0)
    assert source == "probed"
    assert found is not None
    assert found.low < found.value == 10 < found.high
    assert cost.seconds(10, "kind", {"kind": (1.0,)}, probed=10.0)[1] == "measured"


def test_steps_of_each_kind_are_timed_at_a_width() -> None:
    torch = pytest.importorskip("torch")
    from lathe.engine import step_rates

    step_rates.step.register_attention()
    found = list(step_rates.timed(64, torch.device("cpu"), seconds=0.0))
    assert {(one["step"], one["precision"]) for one in found} == set(step_rates.STEPS)
    assert all(one["seconds"] > 0 and one["config"]["hidden_size"] == 64 for one in found)
    assert all(one["short_seconds"] > 0 and one["empty_seconds"] > 0 for one in found)


def test_neighbours_take_the_step_that_is_timed_and_rest_after_it() -> None:
    pytest.importorskip("torch")
    from lathe.engine import step_rates

    with processes.beside(step_rates._neighbour) as line:
        with step_rates._busy([line], (64, "fused", "fp32")):
            assert not line.poll(), "it said once that it is at work, and works"
        line.send(None)
        assert line.poll(30), "it listens again"


def test_a_timed_step_tells_what_a_pack_and_a_step_cost_beside_their_operations() -> None:
    """Of a step that took 3 s for no pack, 4 s more for any, and 1 s for each unit of operations."""
    config = CONFIG | {"num_hidden_layers": 4}
    said = {"rank": 8, "lengths": [64, 64, 64, 64], "supervised": [16, 16, 16, 16], "short": 1}
    step = {"config": config, "step": "fused", "precision": "fp32", "threads": 2}
    found = rates._step_rate(said, {**step, "seconds": 3 + 4 + 4, "short_seconds": 3 + 4 + 1, "empty_seconds": 3})
    assert found.step_seconds == pytest.approx(3 / 4)
    assert found.pack_seconds == pytest.approx(4 / 4)
    alike = rates._step_rate(said, {**step, "seconds": 5, "short_seconds": 5, "empty_seconds": 0})
    assert alike.rate > 0, "a machine that was busy while it was probed"
