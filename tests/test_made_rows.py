"""Rows that are made by a process beside this one are those of the corpus, and a process that fails is named."""

from __future__ import annotations

from itertools import islice

import pytest

from lathe import made_rows as module
from lathe import plugins
from lathe.errors import LatheError
from lathe.made_rows import AT_ONCE, made_rows


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine of several cores, with more rows than a few."""
    monkeypatch.setattr(module, "FEW", 0)
    monkeypatch.setattr(module, "usable_cores", lambda: 2)


@pytest.mark.parametrize("corpus", plugins.names("corpora"))
def test_rows_made_beside_are_those_of_the_corpus(corpus: str) -> None:
    count = 3 * AT_ONCE + 1
    assert list(made_rows(corpus, 5, count)) == list(plugins.load("corpora", corpus).rows(5, count))


def test_who_has_enough_rows_need_not_wait_for_the_others() -> None:
    rows = made_rows("edge_intent", 0, 100_000_000)
    assert [row["id"] for row in islice(rows, 2)] == ["edge_intent-0-0", "edge_intent-0-1"]
    rows.close()


def test_a_process_that_fails_is_named_with_its_code() -> None:
    with pytest.raises(LatheError, match="rows of no_such_corpus ended with code 1"):
        list(made_rows("no_such_corpus", 0, 10))
