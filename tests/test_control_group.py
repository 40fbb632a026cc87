"""A container, a batch job or a service has less than the machine: what is left to this process is what is free."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from lathe import control_group
from lathe.doctor import machine

LIMIT = 2_000_000_000


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(control_group, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(control_group, "OWN", tmp_path / "own")
    (tmp_path / "groups").mkdir()
    return tmp_path / "groups"


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text + "\n")


def version_2(limit: str, used: int, cached: int = 0) -> dict[str, str]:
    return {"memory.max": limit, "memory.current": str(used), "memory.stat": f"anon 5\ninactive_file {cached}"}


def test_without_groups_the_machine_is_the_limit(groups: Path) -> None:
    assert control_group.memory_limit() is None
    assert control_group.cpu_quota() is None
    assert control_group.free_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_a_container_sees_its_own_limit_at_the_top(groups: Path) -> None:
    """Cached files are given back where memory is wanted."""
    write(groups, {**version_2(str(LIMIT), 700_000_000, 200_000_000), "cpu.max": "150000 100000"})
    assert control_group.memory_limit() == LIMIT
    assert control_group.free_memory() == 1_500_000_000
    assert control_group.cpu_quota() == 1.5


def test_a_batch_job_lies_in_a_folder_of_its_own_and_its_parents_count_too(groups: Path) -> None:
    control_group.OWN.write_text("0::/slurm/job_7/step\n")
    write(groups / "slurm" / "job_7" / "step", {**version_2("max", 10), "cpu.max": "max 100000"})
    write(groups / "slurm" / "job_7", {**version_2(str(LIMIT), 500_000_000), "cpu.max": "200000 100000"})
    write(groups / "slurm", version_2(str(2 * LIMIT), 3_900_000_000))
    assert control_group.memory_limit() == LIMIT
    assert control_group.free_memory() == 100_000_000
    assert control_group.cpu_quota() == 2.0


def test_the_first_version_of_groups_is_read_too(groups: Path) -> None:
    """Its unlimited is a number above any memory."""
    control_group.OWN.write_text("9:memory:/docker/a\n3:cpu,cpuacct:/docker/a\n")
    unlimited = {"memory.limit_in_bytes": "9223372036854771712", "memory.usage_in_bytes": "1"}
    limited = {
        "memory.limit_in_bytes": str(LIMIT), "memory.usage_in_bytes": "1200000000",
        "memory.stat": "inactive_file 7\ntotal_inactive_file 200000000",
    }  # fmt: skip
    write(groups / "memory", unlimited)
    write(groups / "memory" / "docker" / "a", limited)
    write(groups / "cpu" / "docker" / "a", {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"})
    assert control_group.free_memory() == 1_000_000_000
    assert control_group.cpu_quota() is None


def test_the_doctor_names_the_limit_and_what_is_left_below_it(groups: Path) -> None:
    write(groups, version_2(str(LIMIT), 500_000_000))
    found = machine.describe(Path())
    assert found["memory_bytes"] == LIMIT
    assert found["free_bytes"] == control_group.free_memory() == 1_500_000_000
