"""The doctor says what is there, tries what is asked for, and is not ok only where something asked for cannot work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lathe.doctor import examine, machine, probes
from lathe.errors import InputError
from lathe.records import DoctorReport


def named(report: DoctorReport, name: str) -> object:
    return next(one for one in report.capabilities if one.name == name)


def test_the_machine_is_described_with_its_sizes() -> None:
    found = machine.describe(Path())
    assert found["cores"] >= 0.1
    assert 0 < found["free_bytes"] <= found["memory_bytes"]
    assert found["disk_free_bytes"] > 0
    assert found["cpu"]
    assert isinstance(found["gpus"], list)
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert 1 <= len(found["largest_processes"]) <= 3


def test_what_is_asked_for_is_tried(tmp_path: Path) -> None:
    report = examine(("disk", "tokenizers", "adapter"), "inputs", tmp_path)
    assert [one.name for one in report.capabilities] == ["disk", "tokenizers", "adapter"]
    assert report.ok
    assert report.inputs == "inputs"
    assert list(tmp_path.iterdir()) == []


def test_torch_is_tried_in_a_process_of_its_own() -> None:
    pytest.importorskip("torch")
    program = """
import sys
from lathe.doctor import examine
report = examine(("torch",), "")
assert report.ok, report
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_a_broken_torch_is_named_and_not_ok(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("raise OSError('libtorch_cpu.so: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(probes, "find_spec", lambda name: object())
    report = examine(("torch",), "")
    assert not report.ok
    assert named(report, "torch").detail == "OSError: libtorch_cpu.so: cannot open shared object file"
    assert "pip install" in named(report, "torch").remedy


def test_a_missing_package_makes_only_what_needs_it_not_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "find_spec", lambda name: None if name == "bitsandbytes" else object())
    assert probes.method("lora").ok
    assert not probes.method("qlora").ok
    assert "bitsandbytes" in probes.method("qlora").detail
    assert "qlora" in (probes.method("qlora").remedy or "")


def test_a_folder_that_cannot_be_written_is_not_ok(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    report = examine(("disk",), "", tmp_path)
    assert not report.ok
    assert "No space left on device" in named(report, "disk").detail
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_yet_is_tried_at_its_parent(tmp_path: Path) -> None:
    assert examine(("disk",), "", tmp_path / "runs" / "of" / "mine").ok
    assert list(tmp_path.iterdir()) == []


def test_without_a_compiler_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(probes.shutil, "which", lambda name: None)
    found = probes.compiler(Path())
    assert not found.ok
    assert "apt install" in (found.remedy or "")


def test_an_unknown_ability_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        examine(("natve",), "")
    assert caught.value.hint == "Did you mean native?"


def test_what_the_gpu_tool_says_is_read() -> None:
    assert machine.gpu("NVIDIA H200, 143771, 143000, 570.124.06, 9.0") == {
        "name": "NVIDIA H200",
        "memory_bytes": 143771 << 20,
        "free_bytes": 143000 << 20,
        "driver": "570.124.06",
        "compute_capability": "9.0",
    }
    assert machine.gpu("GB10, [N/A], [N/A], 580.1, 12.1")["memory_bytes"] is None


def test_gpus_are_read_from_the_tool_and_a_failing_tool_is_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path))
    tool.write_text("#!/bin/sh\necho 'NVIDIA T4, 15360, 15000, 550.1, 7.5'\n")
    tool.chmod(0o755)
    assert [gpu["name"] for gpu in machine.gpus()] == ["NVIDIA T4"]
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed' >&2\nexit 9\n")
    assert machine.gpus() == []
    tool.unlink()
    assert machine.gpus() == []
