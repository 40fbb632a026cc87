"""A process beside this one answers in full, whatever signals it gets meanwhile."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

import lathe
from lathe.text import tokenizer
from lathe.worker import Worker

NANO = Path(lathe.__file__).parent / "assets" / "nano"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGSTOP")
def test_a_process_that_is_stopped_and_goes_on_answers_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by Ctrl-Z and `fg`. Containers often set PYTHONUNBUFFERED, with which a write that is interrupted is not ended."""
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    terms = tokenizer.load(NANO).backend.to_str()
    worker = Worker()
    worker.begin("lathe.text.encoding_beside", terms, name="the process", hint="")
    question = ["tea " * 4000] * 60
    (expected, *_) = worker.ask(["tea " * 4000]).result(timeout=60)
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            os.kill(worker._child.pid, signal.SIGSTOP)
            time.sleep(0.002)
            os.kill(worker._child.pid, signal.SIGCONT)
            time.sleep(0.003)

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        for _ in range(10):
            answer = worker.ask(question).result(timeout=60)
            assert len(answer) == len(question)
            assert all((ids == expected).all() for ids in answer)
    finally:
        done.set()
        disturber.join()
        worker.close()
