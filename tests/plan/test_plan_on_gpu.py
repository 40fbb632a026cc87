"""Where torch computes on a GPU, the plan is of that GPU: its memory, its number format, its step, its rates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from plan_parts import CONFIG, locked_recipe

from lathe.gpus import Gpu
from lathe.plan import cost, fit, machines, rates
from lathe.plan.stage import together
from lathe.processes import Rank
from lathe.records import MachineProbe, Plan
from test_gpus import FAKE_NVML

PlanOf = Callable[..., Plan]
L4 = Gpu("NVIDIA L4", 20 << 30, (8, 9))
T4 = Gpu("Tesla T4", 14 << 30, (7, 5))


def test_the_reference_step_in_bf16_is_planned_with_the_memory_of_a_process_there(plan_of: PlanOf) -> None:
    plan = plan_of(gpu=L4, train={"threads": 2})
    assert (plan.gpu, plan.step_kind, plan.precision, plan.processes_here) == ("NVIDIA L4", "reference", "bf16", 1)
    names = {term.name for term in plan.memory}
    assert {"context", "reserved"} <= names
    assert names.isdisjoint({"process", "libraries", "kernels", "bitsandbytes", "helpers"})
    context = next(term.num_bytes for term in plan.memory if term.name == "context")
    assert plan.measurable_bytes.value == plan.peak_bytes.value - context, "what torch itself can count"
    here = plan_of()
    assert here.measurable_bytes == here.peak_bytes
    assert "rendering" not in {term.name for term in plan.evaluate_memory}


def test_a_gpu_without_bf16_computes_in_fp32_and_says_so_where_it_is_asked_for(plan_of: PlanOf) -> None:
    assert plan_of(gpu=T4).precision == "fp32"
    (found,) = (one for one in plan_of(gpu=T4, train={"precision": "bf16"}).findings if one.id == "bf16_emulated")
    assert "for which Tesla T4 has no instructions" in found.message
    assert all(one.id != "bf16_emulated" for one in plan_of(gpu=L4, train={"precision": "bf16"}).findings)


def test_its_time_is_what_the_catalogue_says_of_it_until_it_is_measured(plan_of: PlanOf, tmp_path: Path) -> None:
    catalogue = machines.read(tmp_path / "nowhere")
    plan = plan_of(gpu=L4, listed=catalogue.gpu_rates(L4.name))
    assert plan.rate_source == "catalogue"
    here, there = machines.elsewhere(locked_recipe().recipe, CONFIG, plan, catalogue, ["cpu", "l4-24gb"])
    assert (here.machine, there.machine) == ("NVIDIA L4", "l4-24gb")
    assert here.seconds == there.seconds
    assert here.peak_bytes == there.peak_bytes
    assert here.kwh == there.kwh, "its watts are listed"
    assert plan_of(gpu=L4).train_seconds is None
    (unlisted,) = machines.elsewhere(locked_recipe().recipe, CONFIG, plan_of(gpu=T4), catalogue, ["cpu"])
    assert (unlisted.machine, unlisted.kwh, unlisted.money_source) == ("Tesla T4", None, "")


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("NVIDIA GeForce RTX 4090", "rtx4090-24gb"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA RTX A5000", "a5000-24gb"),
        ("NVIDIA L4", "l4-24gb"),
        ("NVIDIA L40S", None),
        ("NVIDIA A100-SXM4-80GB", "a100-40gb"),
        ("NVIDIA H100 80GB HBM3", "h100-80gb"),
        ("NVIDIA H200", "h200-141gb"),
    ],
)
def test_a_gpu_is_found_in_the_catalogue_by_its_drivers_name(name: str, listed: str | None, tmp_path: Path) -> None:
    catalogue = machines.read(tmp_path / "nowhere")
    assert catalogue.gpu(name) == (catalogue.machines[listed] if listed else None)


def test_what_a_gpu_reached_is_kept_apart_from_what_the_processor_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    rates.keep("a", 1e9)
    rates.keep("a", 1e12, rates.TRAINING["cuda"])
    assert (rates.known(), rates.known("gpu_rates")) == ({"a": (1e9,)}, {"a": (1e12,)})
    probe = MachineProbe(device="NVIDIA L4", threads=8, steps=())
    rates.probe_file().write_text(probe.to_json())
    assert (rates.probed(), rates.probed("cuda")) == (None, probe)


def test_steps_are_shared_on_a_gpu_by_those_that_torchrun_started_alone() -> None:
    recipe = locked_recipe(train={"processes": 2}).recipe
    ranks = Rank(number=0, count=4, number_here=0, count_here=4)
    of = {(None, None): 2, (None, L4): 1, (ranks, L4): 4, (ranks, None): 4}
    assert {key: together(recipe, *key).train.processes for key in of} == of


def test_a_smaller_budget_is_found_for_the_memory_of_the_gpu(plan_of: PlanOf) -> None:
    plan = plan_of([120] * 320, gpu=L4, train={"token_budget": 4096})
    found = fit.fit(locked_recipe(train={"token_budget": 4096}).recipe, CONFIG, plan, int(plan.peak_bytes.high * 0.97))
    assert found is not None
    assert any(line.startswith("train.token_budget=") for line in found.sets)
    assert fit.as_planned(locked_recipe().recipe, plan).device == "cuda"
    in_shards = locked_recipe(method={"kind": "full"}, train={"shard": True}).recipe
    ranks = plan_of(gpu=L4, method={"kind": "full"}).model_copy(update={"processes": 2})
    assert (fit.as_planned(in_shards, ranks).shards, fit.as_planned(in_shards, ranks, elsewhere=True).shards) == (2, 1)
    assert cost.on_gpu(10**12, 1e12, 1000).value == pytest.approx(4 + 1)


def test_the_command_plans_for_the_card_that_the_driver_tells_of_and_loads_no_torch(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('a plan needs no torch')")
    (tmp_path / "torch" / "version.py").write_text("cuda: str = '12.4'\n")
    (tmp_path / "pynvml.py").write_text(FAKE_NVML.replace("PID", str(os.getpid())))
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    told = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run(
        [sys.executable, "-m", "lathe", "plan", "demo", "--json", "--runs", str(tmp_path / "runs")],
        env=told | {"PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    plan = Plan.model_validate(json.loads(done.stdout)["plan"])
    assert (plan.gpu, plan.free_bytes, plan.processes) == ("NVIDIA L4", 20 << 30, 1)
