"""A process that is kept ready answers for one asker after the other, and ends with the block that it was started for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lathe
from lathe import worker, workers
from lathe.text import tokenizer
from lathe.text.words import Ids
from lathe.workers import Workers, kept_ready

NANO = Path(lathe.__file__).parent / "assets" / "nano"
ENCODES = "lathe.text.encoding_beside"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The processes that are started, on a machine of two cores."""
    found: list[Any] = []
    start = worker.start
    monkeypatch.setattr(worker, "start", lambda *given: found.append(start(*given)) or found[-1])
    monkeypatch.setattr(workers, "usable_cores", lambda: 2)
    return found


def asked(texts: Sequence[str], few: int) -> list[list[int]]:
    """What comes back where this process encodes nothing itself."""
    terms = tokenizer.load(NANO).backend.to_str()
    beside: Workers[Sequence[str], list[Ids], None] = Workers(
        ENCODES, terms, lambda _: [np.zeros(0, np.int32)], few=few, name="the process", hint=""
    )
    with beside:
        found = [answer for text in texts for answer in beside.hand([text], None)]
        return [ids.tolist() for answer, _ in [*found, *beside.rest()] for ids in answer]


def test_one_process_answers_for_all_that_ask_one_after_the_other(started: list[Any]) -> None:
    tok = tokenizer.load(NANO)
    with kept_ready(ENCODES):
        assert asked(["tea"], few=9) == [tok.encode("tea")], "no row waits for a process that is there"
        assert asked(["for two"], few=9) == [tok.encode("for two")]
        assert [one.poll() for one in started] == [None]
    assert [one.poll() is not None for one in started] == [True]


def test_a_process_that_has_not_answered_serves_nobody_else(started: list[Any]) -> None:
    terms = tokenizer.load(NANO).backend.to_str()
    with kept_ready(ENCODES):
        beside: Workers[Sequence[str], list[Ids], None] = Workers(
            ENCODES, terms, lambda _: [], few=0, name="the process", hint=""
        )
        with pytest.raises(KeyError), beside:
            list(beside.hand(["tea " * 100_000], None))
            raise KeyError("whoever asks fails")
        assert [one.poll() is not None for one in started] == [True]
        assert asked(["tea"], few=0) == [tokenizer.load(NANO).encode("tea")]
    assert [one.poll() is not None for one in started] == [True, True]


def test_a_single_core_keeps_no_process_ready(started: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "usable_cores", lambda: 1)
    with kept_ready(ENCODES):
        assert asked(["tea"], few=0) == [[]]
    assert not started
