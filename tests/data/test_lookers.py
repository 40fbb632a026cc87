"""Rows are looked at by several processes where there are many of them; nobody can tell from the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lathe import plugins
from lathe.data import lookers
from lathe.data.check import Looking, bundled, check_file
from lathe.data.conversations.conversation import Conversation, Turn
from lathe.data.findings.single_rows import Seen, SingleRows, Smallest, Terms
from lathe.data.lookers import Asked
from lathe.errors import LatheError, Refused
from lathe.records.check import CheckReport
from lathe.workers import Workers

HOSTILE = (
    "{% for message in messages %}{% if message['content'] == 'boom' %}{{ ''.__class__.__mro__ }}{% endif %}"
    "{{ message['content'] }}<|im_end|>{% endfor %}"
)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes start with the second chunk."""
    monkeypatch.setattr(lookers, "FEW", 1)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Generated rows with what can be wrong with them strewn in: nearly all of it behind the first chunk."""
    corpus = [json.dumps(row, ensure_ascii=False) for row in plugins.load("corpora", "edge_json").rows(0, 900)]
    broken = {
        300: corpus[40], 310: '{"input": "a", "input": "b"}', 320: '{"input": 3, "target": {}}', 500: corpus[501][:-20],
        510: json.dumps({"input": "mail bob@acme.io", "target": {"mail": "string"}}),
        520: json.dumps({"input": "a \ufdd0 sign", "target": {"a": 1}}), 530: json.dumps({"input": " ", "target": "TODO"}),
        801: json.dumps({**json.loads(corpus[700]), "target": {"meter": 3}}),
    }  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(broken.get(number, line) for number, line in enumerate(corpus)) + "\n", encoding="utf-8")
    return path


def report(rows: Path, processes: int) -> CheckReport:
    schemas = plugins.load("corpora", "edge_json").schemas()
    looking = Looking(schemas=schemas, sample=300, show=300, processes=processes)
    return check_file(rows, looking=looking).model_copy(update={"seconds": 0.0})


def test_any_number_of_processes_gives_the_same_report(rows: Path) -> None:
    alone = report(rows, 1)
    found = {finding.id for finding in alone.findings}
    assert found >= {
        "rejected_row",
        "schema_invalid",
        "answer_not_json",
        "personal_data",
        "repeated_row",
        "prompt_empty",
    }
    assert len(alone.shown) == 300
    assert report(rows, 2).to_json() == alone.to_json()
    assert report(rows, 3).to_json() == alone.to_json()


def conversation(text: str) -> Conversation:
    return Conversation((Turn("user", text), Turn("assistant", "yes")))


def test_an_error_in_another_process_is_raised_here(tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(bundled(), base)
    (base / "chat_template.jinja").write_text(HOSTILE)
    terms = Terms(base)
    found: Workers[Asked, Seen, str] = lookers.lookers(terms, SingleRows(terms), 2)
    with found:
        assert [mark for _, mark in found.hand(([conversation("a")], 0), "first")] == ["first"]
        assert list(found.hand(([conversation("boom")], 0), "second")) == []
        with pytest.raises(Refused, match="reached for what the sandbox forbids"):
            list(found.rest())


def test_a_process_that_is_gone_is_named() -> None:
    terms = Terms(bundled())
    found: Workers[Asked, Seen, int] = lookers.lookers(terms, SingleRows(terms), 2)
    with found:
        for number in range(3):
            list(found.hand(([conversation(f"{number}")], 0), number))
        for process in found._beside:
            process._child.kill()
        with pytest.raises(LatheError, match="a process that looked at rows ended"):
            list(found.rest())


def test_what_is_among_the_smallest_so_far_is_told_as_it_comes() -> None:
    smallest = Smallest(2)
    assert [smallest.among(hashed) for hashed in (5, 9, 7, 8, 7, 1)] == [True, True, True, False, True, True]
    assert all(map(Smallest(None).among, (5, 9, 7)))
