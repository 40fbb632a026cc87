"""Machines that are not this one: from a catalogue, so marked, with wide intervals, and never without their assumptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plan_parts import CONFIG, locked_recipe
from test_parameters import QWEN25_7B

from lathe.errors import InputError
from lathe.plan import cost, machines, rates
from lathe.plan.architecture import shapes
from lathe.plan.parameters import count
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
    (found,) = machines.elsewhere(
        locked_recipe().recipe, CONFIG, plan_of(), machines.read(Path("nowhere")), ["l4-24gb"]
    )
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
                locked_recipe(method={"kind": kind}, train={"checkpoint_every": 10}).recipe,
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
    kind = cost.job_kind(shapes(CONFIG), locked_recipe().recipe)
    plan = plan_of(rates={kind: (1e9,)})
    (found,) = machines.elsewhere(locked_recipe().recipe, CONFIG, plan, machines.read(Path("nowhere")), ["cpu"])
    assert found.seconds == plan.train_seconds
    assert found.rate_source == "measured"
    assert found.money is not None
    assert found.money.value == pytest.approx(found.seconds.value / 3.6e6 * 65 * 0.30)
    (unknown,) = machines.elsewhere(locked_recipe().recipe, CONFIG, plan_of(), machines.read(Path("nowhere")), ["cpu"])
    assert unknown.seconds is None
    assert unknown.money is None


def test_a_processor_is_listed_by_the_last_of_its_parts_that_multiply(tmp_path: Path) -> None:
    catalogue = machines.read(tmp_path / "nowhere")
    avx2, tiles = catalogue.core_rates(["fma", "avx2"]), catalogue.core_rates(["avx2", "avx512bw", "amx_tile"])
    assert avx2.keys() == {"fp32"}, "bf16 that is emulated was not measured"
    assert tiles["bf16"] > 2 * tiles["fp32"] > 2 * avx2["fp32"] > 1e10
    assert catalogue.core_rates([]) == {}, "a processor that says nothing of itself"
    own = tmp_path / "machines.yaml"
    own.write_text("processors: {avx2: {fp32: 0.2, bf16: 0.1}}\n")
    assert machines.read(own).core_rates(["avx2"]) == pytest.approx({"fp32": 2e11, "bf16": 1e11})
    assert machines.read(own).core_rates(["avx2", "amx_tile"]) == tiles


def test_a_machine_that_nobody_measured_is_planned_from_the_catalogue_and_marked(plan_of: PlanOf) -> None:
    listed = {"fp32": 5e10}
    plan = plan_of(listed=listed)
    assert plan.rate_source == "catalogue"
    assert plan.train_seconds is not None
    assert plan.train_seconds.value == pytest.approx(plan.operations / (2 * 5e10)), "two cores"
    assert plan.train_seconds.high >= 8 * plan.train_seconds.low
    again = plan_of(listed=listed, train={"recompute": True})
    assert again.train_seconds is not None
    assert again.train_seconds.value == pytest.approx(again.operations / (2 * 5e10) / cost.REFERENCE_SHARE)
    assert plan_of(listed=listed, train={"precision": "bf16"}).train_seconds is None
    assert plan_of(listed=listed, rates={"other": (1e9,)}).rate_source == "measured"


def test_no_other_trainer_is_planned_from_what_ours_was_measured_at(plan_of: PlanOf) -> None:
    assert plan_of(listed={"fp32": 5e10}, rates={"ours": (1e9,)}, trainer="trl").train_seconds is None
    kind = cost.job_kind(shapes(CONFIG), locked_recipe(trainer="trl").recipe)
    assert plan_of(rates={kind: (1e9,)}, trainer="trl").rate_source == "measured"


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


def test_a_machine_of_ones_own_without_its_figures_is_told_each_of_them(tmp_path: Path) -> None:
    own = tmp_path / "machines.yaml"
    own.write_text("machines: {box: {memory_mib: -1, bf16: 10}}\n")
    with pytest.raises(InputError) as refused:
        machines.read(own)
    for said in (
        "machines.box.memory_mib: ",
        "machines.box.fp32: Field required",
        "machines.box.watts: Field required",
    ):
        assert said in refused.value.message
    assert "pydantic" not in refused.value.message
    assert refused.value.hint is not None
    assert str(machines.SHIPPED) in refused.value.hint
    own.write_text("machines:\n")
    assert machines.read(own) == machines.read(tmp_path / "nowhere.yaml")


def test_a_probe_is_remembered_and_makes_an_estimate(
    plan_of: PlanOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert rates.probed() is None
    seen = StepRate(step="fused", precision="fp32", width=256, threads=2, product_seconds=1e-11)
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


def kind_of(timed: dict[str, Any]) -> Any:
    from lathe.engine.step_rates import Kind

    return Kind(timed["step"], timed["precision"], timed["full"])


def test_all_weights_are_trained_at_the_narrow_width_alone_and_on_gpus_there_is_the_reference_step() -> None:
    pytest.importorskip("torch")
    from lathe.engine.step_rates import FULL_AT, KINDS, WIDTHS

    taken = {width: [kind for kind in KINDS if kind.taken_at(width, "cpu")] for width in WIDTHS["cpu"]}
    assert [width for width, kinds in taken.items() if any(kind.full for kind in kinds)] == [FULL_AT]
    assert [kind.full for kind in taken[FULL_AT]].count(True) == 1
    assert {kind.step for width in WIDTHS["cuda"] for kind in KINDS if kind.taken_at(width, "cuda")} == {"reference"}


@pytest.mark.parametrize("able", [True, False])
def test_a_processor_that_emulates_bf16_is_not_asked_for_it(able: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from lathe.engine import step_rates

    monkeypatch.setattr(step_rates, "computes_bf16", lambda: able)
    taken = [kind for kind in step_rates.KINDS if kind.taken_at(step_rates.FULL_AT, "cpu")]
    assert {kind.precision for kind in taken} == ({"fp32", "bf16"} if able else {"fp32"})
    assert {kind.precision for kind in taken if kind.full} == ({"bf16"} if able else {"fp32"})


def test_steps_of_each_kind_are_timed_at_a_width_and_those_of_one_thread_shared_by_processes() -> None:
    torch = pytest.importorskip("torch")
    from lathe.engine import step_rates
    from lathe.engine.step_in_processes import piped

    with piped(1) as helpers:
        found = list(step_rates.timed(64, 1, 2, torch.device("cpu"), helpers, seconds=0.0))
        assert 0 < step_rates._exchange_seconds(helpers) < 1e-6
    assert 0 < step_rates._move_seconds(torch.device("cpu")) < 1e-6
    expected = {kind for kind in step_rates.KINDS if kind.taken_at(64, "cpu")}
    assert {kind_of(one) for one in found} == expected
    alone = {kind_of(one) for one in found if one["threads"] == 1}
    assert {kind for kind in expected if kind.step == "fused"} <= alone
    for one in found:
        assert one["config"]["hidden_size"] == 64
        assert one["seconds"].keys() == {"empty", *one["packs"]}
        assert min(one["seconds"].values()) > 0


@pytest.mark.parametrize("tiles", [True, False], ids=["attention in tiles", "in products"])
def test_first_rounds_that_take_longer_are_not_timed_and_helpers_build_while_this_process_does(
    tiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    from lathe.engine import step_rates
    from lathe.engine.step_rates import HALVES, LENGTHS

    built: list[str] = []
    rounds: Counter[tuple[str, int]] = Counter()

    class Helper:
        count = 1

        def build(self, build: object) -> None:
            built.append("helper")

    def take(config: Any, kind: Any, device: Any) -> tuple[str, dict[str, Any]]:
        built.append(f"{kind.step} {kind.precision}")
        return built[-1], {}

    def whole(step: Any, packs: list[Any], parameters: Any) -> None:
        if isinstance(step, str) and packs:
            rounds[step, packs[0].bounds[-1]] += 1

    monkeypatch.setattr(step_rates, "_built", take)
    monkeypatch.setattr(step_rates, "_whole", whole)
    monkeypatch.setattr(step_rates, "usable", lambda *_: tiles)
    monkeypatch.setattr(step_rates, "computes_bf16", lambda: True)
    list(step_rates.timed(64, 1, 2, torch.device("cpu"), Helper(), seconds=0.0))  # type: ignore[arg-type]

    assert built == ["helper", "fused bf16", "helper", "fused fp32", "reference fp32"]
    taken = {
        step: [rounds[step, sum(lengths)] for lengths in rows.values()]
        for step, rows in (("fused bf16", LENGTHS), ("fused fp32", HALVES), ("reference fp32", LENGTHS))
    }
    compiled = [2, 2, 1, 1] if tiles else [2, 2, 2, 2]
    assert taken == {"fused bf16": compiled, "fused fp32": [2, 1, 1, 1], "reference fp32": [2, 1, 1, 1]}


def test_at_wider_models_and_of_all_weights_only_packs_of_another_size_are_timed_and_on_gpus_all_are() -> None:
    pytest.importorskip("torch")
    from lathe.engine.step_rates import HALVES, KINDS, LENGTHS, SIZES, TOLD_APART, Kind

    fused, full = Kind("fused", "bf16"), Kind("fused", "bf16", full=True)
    assert fused.rows(TOLD_APART, "cpu") == LENGTHS
    assert Kind("fused", "fp32").rows(TOLD_APART, "cpu") == HALVES
    for kind, width in ((fused, TOLD_APART + 1), (full, TOLD_APART)):
        assert tuple(kind.rows(width, "cpu")) == SIZES
    assert {len(kind.rows(4096, "cuda")) for kind in KINDS} == {len(LENGTHS)}


def test_every_kind_of_step_is_timed_on_the_same_weights() -> None:
    torch = pytest.importorskip("torch")
    from lathe.engine import step_rates

    nets = [step_rates._drawn(64, 1, 2) for _ in range(2)]
    assert nets[0] is nets[1]
    before = {name: weight.clone() for name, weight in nets[0].named_parameters()}
    for kind in step_rates.KINDS:
        take, named = step_rates._built((64, 1, 2), kind, torch.device("cpu"))
        assert {weight.dtype for weight in named.values()} == {torch.float32}, "what is trained"
        step_rates._whole(take, [step_rates.build_pack(step_rates._rows((5,)), torch.device("cpu"))], named)
    for name, weight in nets[0].named_parameters():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, before[name]), "what a step was built on is a copy"


def test_a_timed_step_tells_what_each_kind_of_its_work_costs() -> None:
    model = shapes(CONFIG | {"num_hidden_layers": 4})
    rows = {"mixed": [64] * 8, "long": [300, 212], "even": [30] * 17, "short": [64]}
    packs = {name: {"lengths": lengths, "supervised": [16] * len(lengths)} for name, lengths in rows.items()}
    costs = np.array([1e-10, 2e-10, 1e-3, 5e-3])
    config = CONFIG | {"num_hidden_layers": 4}
    step: dict[str, Any] = {
        "config": config,
        "step": "fused",
        "precision": "fp32",
        "full": False,
        "threads": 2,
        "packs": packs,
    }
    work = {name: rates._work(model, count(model, 8), step, False, pack)[0] for name, pack in packs.items()}
    seconds = {"empty": 3.0} | {name: 3.0 + float(some @ costs) for name, some in work.items()}
    step["seconds"] = seconds
    found = rates._step_rate(step, 8, exchange=1e-9, helpers=0)
    assert found.of_each == pytest.approx(tuple(costs), rel=1e-6)
    assert found.rate == pytest.approx(1e10)
    assert found.step_seconds == pytest.approx(3 / 4)
    attending = StepRate(
        step="fused", precision="fp32", width=64, threads=2, product_seconds=1.0, attention_seconds=2e-10, group_seconds=1e-3
    )  # fmt: skip
    few = {**step, "packs": {name: packs[name] for name in ("mixed", "short")}}
    assert rates._step_rate(few, 8, 1e-9, 0, attending).of_each == pytest.approx(tuple(costs), rel=1e-6)
    busy = rates._step_rate({**step, "seconds": dict.fromkeys(seconds, 3.0)}, 8, exchange=1e-9, helpers=0)
    assert min(busy.of_each) >= 0, "a machine that was busy while it was probed"
    shared = rates._step_rate({**step, "threads": 1}, 8, exchange=1.0 / count(model, 8).trainable, helpers=2)
    assert shared.step_seconds == pytest.approx((3 - 2) / 4), "what processes exchange is counted by itself"
