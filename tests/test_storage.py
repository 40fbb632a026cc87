"""Commits are all or nothing; rows come back."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lathe.errors import StorageError
from lathe.records import RejectedRow
from lathe.storage import commit_folder, commit_rows, commit_text, committed, read_rows


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
