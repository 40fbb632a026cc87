"""The peak of a block's memory misses no moment, holds nothing of what ran before, and counts children."""

from __future__ import annotations

import mmap
import subprocess
import sys

import psutil
import pytest

from lathe.evaluate import memory
from lathe.evaluate.memory import PeakMemory

HELD = 128 * 2**20
ROOM = HELD // 4
"""What else may come and go meanwhile."""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps the height of a process")


def hold_and_let_go() -> None:
    """Memory of the system itself, touched page by page: no allocator keeps any of it."""
    with mmap.mmap(-1, HELD) as held:
        held[:: mmap.PAGESIZE] = b"x" * (HELD // mmap.PAGESIZE)


@on_linux
def test_what_was_held_between_two_looks_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "EVERY_SECONDS", 60.0)
    before = psutil.Process().memory_info().rss
    with PeakMemory() as peak:
        hold_and_let_go()
    assert peak.num_bytes >= before + HELD - ROOM


@on_linux
def test_what_was_held_before_does_not_count() -> None:
    hold_and_let_go()
    me = psutil.Process()
    before = sum(process.memory_info().rss for process in (me, *me.children(recursive=True)))
    with PeakMemory() as peak:
        pass
    assert peak.num_bytes <= before + ROOM


def test_a_child_counts() -> None:
    before = psutil.Process().memory_info().rss
    code = f"held = b'x' * {HELD}; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with PeakMemory() as peak:
            pass
        child.communicate(b"\n")
    assert peak.num_bytes >= before + HELD - ROOM
