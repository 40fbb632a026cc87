"""GPUs as the driver tells, which of them torch takes, and how the doctor and a plan speak of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lathe import gpus
from lathe.doctor import probes
from lathe.gpus import Gpu


def torch_built_for(cuda: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed torch says of itself that it was built for this CUDA: a text in quotes, or None."""
    (folder / "torch").mkdir()
    (folder / "torch" / "version.py").write_text(f"__version__ = '2.13'\ncuda: Optional[str] = {cuda}\n")
    monkeypatch.setattr(gpus, "find_spec", lambda name: SimpleNamespace(origin=str(folder / "torch" / "__init__.py")))


def test_what_the_gpu_tool_says_is_read() -> None:
    assert gpus.listed("NVIDIA H200, 143771, 143000, 570.124.06, 9.0") == {
        "name": "NVIDIA H200",
        "memory_bytes": 143771 << 20,
        "free_bytes": 143000 << 20,
        "driver": "570.124.06",
        "compute_capability": "9.0",
    }
    assert gpus.listed("GB10, [N/A], [N/A], 580.1, 12.1")["memory_bytes"] is None


def test_gpus_are_read_from_the_tool_and_a_failing_tool_is_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path))
    tool.write_text("#!/bin/sh\necho 'NVIDIA T4, 15360, 15000, 550.1, 7.5'\n")
    tool.chmod(0o755)
    assert [gpu["name"] for gpu in gpus.by_tool()] == ["NVIDIA T4"]
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed' >&2\nexit 9\n")
    assert gpus.by_tool() == []
    tool.unlink()
    assert gpus.by_tool() == []


FAKE_NVML = """
class NVMLError(Exception): pass
class Memory: total, free = 24 << 30, 20 << 30
class Held: pid, usedGpuMemory = PID, 4 << 30
nvmlInit = nvmlShutdown = lambda: None
nvmlSystemGetDriverVersion = lambda: b"570.1"
nvmlSystemGetCudaDriverVersion = lambda: 12080
nvmlDeviceGetCount = lambda: 1
nvmlDeviceGetHandleByIndex = lambda index: index
def nvmlDeviceGetHandleByUUID(name):
    if name != "GPU-7f": raise NVMLError
    return 0
nvmlDeviceGetMemoryInfo = lambda handle: Memory
nvmlDeviceGetName = lambda handle: "NVIDIA L4"
nvmlDeviceGetCudaComputeCapability = lambda handle: (8, 9)
nvmlDeviceGetComputeRunningProcesses = lambda handle: [Held]
"""


@pytest.fixture
def nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver with one card, on which this process holds 4 GiB."""
    (tmp_path / "pynvml.py").write_text(FAKE_NVML.replace("PID", str(os.getpid())))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)


@pytest.mark.usefixtures("nvml")
def test_nvml_tells_each_card_and_who_holds_its_memory() -> None:
    [card] = gpus.found()
    assert (card["name"], card["memory_bytes"], card["free_bytes"]) == ("NVIDIA L4", 24 << 30, 20 << 30)
    assert (card["driver"], card["compute_capability"]) == ("570.1", "8.9")
    [holder] = card["processes"]
    assert (holder["pid"], holder["bytes"]) == (os.getpid(), 4 << 30)
    assert holder["name"]
    assert gpus.driver_cuda() == "12.8"


@pytest.mark.usefixtures("nvml")
@pytest.mark.parametrize(
    ("built", "ok", "said"),
    [
        ("'12.4'", True, "torch for 12.4"),
        ("'13.0'", False, "the driver serves CUDA 12.8, torch was built for CUDA 13.0"),
        ("None", False, "torch is a build for the CPU"),
    ],
)
def test_the_driver_is_held_against_the_cuda_that_torch_was_built_for(
    built: str, ok: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch_built_for(built, tmp_path, monkeypatch)
    seen = probes.gpu(Path())
    assert seen.ok is ok
    assert said in seen.detail


@pytest.mark.usefixtures("nvml")
@pytest.mark.parametrize(
    ("built", "visible", "taken"),
    [
        ("'12.4'", None, True),
        ("'12.4'", "0,1", True),
        ("'12.4'", "GPU-7f", True),
        ("'12.4'", "GPU-00", False),
        ("'12.4'", "1", False),
        ("'12.4'", "-1", False),
        ("'12.4'", "", False),
        ("'13.0'", None, False),
        ("None", None, False),
    ],
)
def test_torch_takes_the_first_card_that_is_visible_where_it_was_built_for_one(
    built: str, visible: str | None, taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch_built_for(built, tmp_path, monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus.used() == (Gpu("NVIDIA L4", 20 << 30, (8, 9)) if taken else None)


def test_bf16_is_computed_in_hardware_from_ampere_on() -> None:
    assert Gpu("NVIDIA A100-SXM4-80GB", 1, (8, 0)).computes_bf16
    assert not Gpu("Tesla T4", 1, (7, 5)).computes_bf16
