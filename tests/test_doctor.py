"""The doctor says what is there, tries what is asked for, and is not ok only where something asked for cannot work."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from lathe.doctor import conflicts, examine, extras, machine, probes
from lathe.doctor.conflicts import Installed
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


def test_a_conflict_names_the_version_and_both_demands() -> None:
    here = {
        one.name: one
        for one in (
            Installed("trl", "1.16", ("transformers>=4.56", "peft", "rich; extra == 'shown'")),
            Installed("peft", "0.21", ("transformers<4.50",)),
            Installed("transformers", "4.40"),
            Installed("stranger", "1.0", ("transformers==3.0",)),
        )
    }
    assert conflicts.conflicts(here, ["trl"]) == [
        "transformers 4.40 is installed; peft 0.21 asks for <4.50, trl 1.16 asks for >=4.56"
    ]
    del here["peft"]
    assert conflicts.conflicts(here, ["trl"])[0] == "peft is not installed; trl 1.16 for any"
    assert conflicts.conflicts(here, ["stranger"]) == ["transformers 4.40 is installed; stranger 1.0 asks for ==3.0"]


def test_this_environment_is_judged_as_it_is() -> None:
    report = examine(("packages",), "")
    assert named(report, "packages").ok, named(report, "packages").detail


def test_each_extra_does_one_thing_or_says_how_to_install_it() -> None:
    for name, package in (
        ("parquet", "pyarrow"),
        ("gguf-file", "gguf"),
        ("grammar", "llguidance"),
        ("4-bit", "bitsandbytes"),
    ):
        seen = extras.PROBES[name](Path())
        assert seen.ok == (find_spec(package) is not None), seen
        assert seen.ok or seen.remedy.startswith("pip install 'lathe-slm[")


def test_an_installed_extra_that_fails_is_not_ok() -> None:
    def broken() -> str:
        raise OSError("libparquet.so: cannot open shared object file")

    seen = extras.tried("parquet", "json", "hub", broken)(Path())
    assert not seen.ok
    assert "libparquet.so" in seen.detail


def test_the_hub_is_not_asked_when_it_is_switched_off_and_a_token_is_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(extras.socket, "create_connection", None)
    seen = extras.hub(Path())
    assert not seen.ok
    assert "a token is there" in seen.detail
    assert "hf_secret" not in seen.model_dump_json()
