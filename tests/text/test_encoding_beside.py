"""What a process beside this one encodes is what this one would have: the same ids in the same order, and a process that fails is
named."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

import pytest
from test_render import example

from lathe import worker
from lathe.errors import LatheError
from lathe.records import Message
from lathe.text import encoding_beside as module
from lathe.text.encoding_beside import encoders
from lathe.text.render import BATCH, encode_ahead, encode_all
from lathe.text.tokenizer import Tokenizer
from lathe.text.words import Ids
from lathe.workers import AHEAD, Workers


@pytest.fixture(autouse=True)
def _several_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine of several cores, with more rows than a few."""
    monkeypatch.setattr(module, "FEW", 0)
    monkeypatch.setattr(module, "usable_cores", lambda: 2)


def test_rows_encoded_by_two_processes_are_those_of_one_in_their_order(tok: Tokenizer) -> None:
    assert tok.has_words
    questions = ["pay by card {}", "Zwölf Boxkämpfer {}", "a name of the tokenizer's: <|im_end|> {}"]
    items = [
        example(f"answer {number}", Message(role="user", content=questions[number // BATCH % 3].format(number)))
        for number in range(7 * BATCH + 3)
    ]
    found = [row for batch in encode_ahead(tok, items) for row in batch]
    expected = encode_all(tok, items)
    assert [row.ids.tolist() for row in found] == [row.ids.tolist() for row in expected]
    assert [row.supervised.tolist() for row in found] == [row.supervised.tolist() for row in expected]
    assert sum(row.num_special_texts for row in found) == sum(row.num_special_texts for row in expected) > 0


def test_the_process_gets_few_lists_ahead_and_the_others_are_done_here(
    tok: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: list[str] = []
    encode = tok.encode_marked_batch
    monkeypatch.setattr(tok, "encode_marked_batch", lambda texts: here.extend(texts) or encode(texts))
    beside: Workers[Sequence[str], list[Ids], int] = encoders(tok, 10)
    with beside:
        for number in range(3 * AHEAD):
            assert not list(beside.hand([f"list {number}"], number)), "no process starts as fast"
        found = [(ids[0].tolist(), mark) for ids, mark in beside.rest()]
    assert here == [f"list {number}" for number in range(AHEAD, 3 * AHEAD)]
    assert found == [(tok.encode(f"list {number}"), number) for number in range(3 * AHEAD)]


@pytest.mark.parametrize(("few", "cores"), [(10, 2), (0, 1)])
def test_few_rows_or_a_single_core_start_no_process(
    tok: Tokenizer, monkeypatch: pytest.MonkeyPatch, few: int, cores: int
) -> None:
    monkeypatch.setattr(module, "FEW", few)
    monkeypatch.setattr(module, "usable_cores", lambda: cores)
    monkeypatch.setattr(worker, "start", lambda *_: pytest.fail("a process was started"))
    beside: Workers[Sequence[str], list[Ids], str] = encoders(tok, 10)
    with beside:
        assert [(ids[0].tolist(), mark) for ids, mark in beside.hand(["a text"], "mark")] == [
            (tok.encode("a text"), "mark")
        ]


def test_a_process_that_was_killed_is_named_with_its_code(tok: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    start = worker.start
    monkeypatch.setattr(worker, "start", lambda *given: started.append(start(*given)) or started[-1])
    beside: Workers[Sequence[str], list[Ids], str] = encoders(tok, 10)
    with beside:
        os.kill(started[0].pid, signal.SIGKILL)
        started[0].wait()
        with pytest.raises(LatheError, match="encoded texts ended with code -9"):
            list(beside.hand(["a text"], ""))
            list(beside.rest())
