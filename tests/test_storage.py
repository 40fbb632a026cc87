"""Commits are all or nothing; rows come back."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lathe.errors import StorageError
from lathe.records import RejectedRow
from lathe.storage import append_line, commit_folder, commit_rows, commit_text, committed, read_rows, sweep

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from file_calls import Fate, Watcher, missing


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_commit_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    commit_text(path, "old")
    with pytest.raises(RuntimeError), committed(path) as file:
        file.write(b"half of the ne")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(tmp_path) == {"a.txt"}


def test_a_full_disk_is_said_with_path_and_remedy(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"could not write .*a.txt.* free there") as caught,
        committed(tmp_path / "a.txt"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.hint is not None
    assert "same command" in caught.value.hint


def test_a_write_past_the_size_limit_leaves_nothing_under_the_final_name(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom lathe.errors import LatheError\n"
        "from lathe.runs import commit_text\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    commit_text(Path(sys.argv[1]), 'x' * 100000)\nexcept LatheError as error:\n    sys.exit(error.exit_code)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "big.txt")], check=False)
    assert done.returncode == 74
    assert names(tmp_path) == set()


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "adapter"
    commit_folder(target, lambda folder: commit_text(folder / "old", "1"))
    commit_folder(target, lambda folder: commit_text(folder / "new", "2"))
    assert names(target) == {"new"}
    assert names(tmp_path) == {"adapter"}


def test_rows_come_back_without_a_torn_last_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [RejectedRow(file="f", line=i, reason="r\u2028s") for i in range(3)]
    commit_rows(path, rows)
    with open(path, "ab") as file:
        file.write(b'{"file": "f", "li')
    assert read_rows(path, RejectedRow) == rows


def test_a_line_after_a_torn_one_stands_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    append_line(path, '{"first": 1}')
    with open(path, "ab") as file:
        file.write(b'{"torn": ')
    append_line(path, '{"second": 2}')
    append_line(path, '{"third": 3}')
    assert path.read_text() == '{"first": 1}\n{"torn": \n{"second": 2}\n{"third": 3}\n'


def test_a_folder_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "adapter"
    commit_folder(target, lambda folder: commit_text(folder / "old", "1"))
    replace = os.replace

    def failing(here: Path, there: Path) -> None:
        if there == target and here.suffix == ".tmp":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace(here, there)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(StorageError, match="adapter: Input/output error"):
        commit_folder(target, lambda folder: (folder / "new").write_text("2"))
    assert names(target) == {"old"}
    assert names(tmp_path) == {"adapter"}


def test_a_process_that_is_killed_while_it_replaces_a_folder_leaves_the_old_or_the_new_one(tmp_path: Path) -> None:
    problem = missing()
    if problem is not None:
        pytest.skip(problem)
    target = tmp_path / "here" / "adapter"

    def replaced(fate: Fate) -> Watcher:
        """The old folder, replaced by a process with this fate, and what it left swept away."""
        shutil.rmtree(target.parent, ignore_errors=True)
        commit_folder(target, lambda folder: commit_text(folder / "old", "1"))
        watcher = Watcher(target.parent.resolve(), fate)
        child = os.fork()
        if child == 0:
            try:
                watcher.watched()
                commit_folder(target, lambda folder: commit_text(folder / "new", "2"))
            finally:
                os._exit(0)
        watcher.watch(child)
        sweep(target.parent)
        return watcher

    calls = replaced(Fate()).calls
    assert names(target) == {"new"}
    found = []
    for call in calls:
        assert replaced(Fate("kill before", call)).fired == call
        assert names(target.parent) == {"adapter"}
        found.append(names(target))
    new = found.index({"new"})
    assert 0 < new < len(found)
    assert found == [{"old"}] * new + [{"new"}] * (len(found) - new)


def test_what_killed_processes_left_half_done_is_swept_away(tmp_path: Path) -> None:
    checkpoints = tmp_path / "train" / "checkpoints"
    for left in (".step-000020.123.tmp", ".step-000005.old", "step-000010"):
        (checkpoints / left).mkdir(parents=True)
        (checkpoints / left / "tensors.safetensors").write_bytes(b"half")
    (tmp_path / ".report.html.77.tmp").write_text("half")
    sweep(tmp_path)
    assert names(tmp_path) == {"train"}
    assert names(checkpoints) == {"step-000010"}


def test_a_scratch_file_says_where_it_could_not_be_written(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom lathe.errors import LatheError\n"
        "from lathe.storage import scratch\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "file = scratch(Path(sys.argv[1]))\nfile.write(b'x' * 2000)\n"
        "try:\n    file.flush()\nexcept LatheError as error:\n    print(error.message)\n    sys.exit(error.exit_code)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 74, done.stderr
    assert f"could not write {tmp_path}: File too large" in done.stdout
    assert names(tmp_path) == set()
