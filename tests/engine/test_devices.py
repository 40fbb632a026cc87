"""What the engine says of the machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time

import pytest
import torch

from lathe.engine import devices
from lathe.plan import rates
from lathe.plan.compiled_products import compiles
from lathe.processes import usable_cores

CPU = torch.device("cpu")


def test_threads_hold_inside_the_block_only() -> None:
    before = torch.get_num_threads()
    with devices.threads(3) as count:
        assert count == torch.get_num_threads() == 3
    assert torch.get_num_threads() == before


def test_no_number_means_the_cores_that_this_process_may_use() -> None:
    with devices.threads(None) as count:
        assert count == usable_cores() >= 1


def test_a_processor_that_is_held_to_narrower_instructions_is_another_one() -> None:
    code = "from lathe.engine import devices; print(devices.processor())"
    held = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ATEN_CPU_CAPABILITY": "default"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert held.stdout.strip() != devices.processor()
    assert "DEFAULT" in held.stdout


def test_precision_is_as_asked_and_automatic_is_exact_on_a_cpu() -> None:
    assert devices.pick_precision("auto", CPU) == "fp32"
    assert devices.pick_precision("bf16", CPU) == "bf16"
    assert devices.pick_precision("fp32", CPU) == "fp32"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_a_lack_of_memory_is_told_from_other_errors(error: Exception, expected: bool) -> None:
    assert devices.out_of_memory(error) is expected


def test_a_real_failed_allocation_is_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 52)
    assert devices.out_of_memory(raised.value)


def test_gauges_read_memory_and_busy_cores() -> None:
    gauges = devices.Gauges(CPU)
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    readings = gauges.read()
    assert readings["rss_bytes"] > 1e7
    assert 0 < readings["cpu_utilisation"] < 64
    assert devices.peak_bytes(CPU) >= readings["rss_bytes"] * 0.5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process forget its peak")
def test_the_peak_is_that_of_what_ran_since_it_was_reset() -> None:
    block = torch.ones(50_000_000)
    assert block.sum() > 0
    with_block = devices.peak_bytes(CPU)
    del block
    devices.reset_peak(CPU)
    assert devices.peak_bytes(CPU) < with_block - 150_000_000


@pytest.mark.gpu
def test_gauges_read_the_gpu_where_there_is_one() -> None:
    readings = devices.Gauges(torch.device("cuda")).read()
    assert readings["gpu_bytes"] >= 0


def test_products_are_exact_to_float32_inside_and_as_before_behind() -> None:
    matmul = torch.backends.mkldnn.matmul
    before = matmul.fp32_precision
    left, right = torch.randn(64, 300), torch.randn(300, 96)
    with devices.fast_products():
        assert matmul.fp32_precision == ("bf16" if devices.multiplies_by_onednn() else before)
        assert devices.rounding(left @ right, left.double() @ right.double()) < devices.ROUNDING
    assert matmul.fp32_precision == before


@pytest.mark.skipif(
    not (sys.platform == "linux" and platform.machine() == "x86_64"),
    reason="a plan reads the instructions of x86 under Linux",
)
def test_a_plan_knows_without_torch_what_products_are_compiled() -> None:
    avx512, tiles = rates.has_avx512(), rates.has_tiles()
    assert devices.compiles_products(torch.bfloat16) == compiles("bf16", has_avx512=avx512, has_tiles=tiles)
    assert devices.compiles_products(torch.float32) == compiles("fp32", has_avx512=avx512, has_tiles=tiles)
    assert not devices.compiles_products(torch.float64)


def test_products_that_round_as_bf16_does_are_not_taken_for_float32() -> None:
    left, right = torch.randn(64, 300), torch.randn(300, 96)
    narrow = (left.bfloat16() @ right.bfloat16()).float()
    assert devices.rounding(narrow, left.double() @ right.double()) > 100 * devices.ROUNDING


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone is told")
def test_what_is_freed_stays_until_it_is_given_back() -> None:
    subprocess.run([sys.executable, "-c", KEEPING], check=True)


KEEPING = """
import psutil, torch
from lathe.engine import devices

def resident():
    return psutil.Process().memory_info().rss

def taken_and_freed():
    torch.ones(50_000_000)
    return resident()

before = resident()
assert taken_and_freed() < before + 100e6
devices.keep_freed_memory()
assert taken_and_freed() > before + 150e6
devices.give_back_memory()
assert resident() < before + 100e6
"""
