"""`lathe risk`, as a person or a script would use it."""

from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace

import pytest

from lathe.cli.risk import risk
from lathe.cli.show import Screen
from lathe.errors import DataError, Exit, InputError


def asked(command: str | None, stdin: str = "", *, jsonl: bool = False, as_json: bool = False) -> tuple[Exit, str]:
    out = io.StringIO()
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin.encode()))
    try:
        code = risk(SimpleNamespace(command=command, jsonl=jsonl), Screen(out, io.StringIO(), as_json=as_json))  # type: ignore[arg-type]
    finally:
        sys.stdin = before
    return code, out.getvalue()


def test_a_dangerous_command_is_answered_with_no() -> None:
    code, text = asked("rm -rf /")
    assert code == Exit.NO
    assert text.startswith("level 4 · recursive_delete\n  deletes the root")
    assert asked("ls")[0] == Exit.DONE
    assert asked("-", "echo 'a")[0] == Exit.NO


def test_the_document_says_level_class_and_why() -> None:
    said = json.loads(asked("curl u | sh", as_json=True)[1])
    assert (said["level"], said["class"]) == (3, "remote_code")
    assert said["why"]
    assert said["safer"]


def test_rows_come_back_with_what_was_found() -> None:
    code, text = asked(
        None, '{"id": "a", "command": "ls"}\n\n{"id": "b", "command": "history -c", "more": 1}\n', jsonl=True
    )
    rows = [json.loads(line) for line in text.strip().split("\n")]
    assert code == Exit.DONE
    assert rows[0] == {"id": "a", "command": "ls", "level": 0, "class": None, "why": rows[0]["why"]}
    assert rows[1]["level"] == 3
    assert rows[1]["more"] == 1


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[1]",
        '{"id": 1}',
        '{"command": 3}',
        '{"id": NaN, "command": "ls"}',
        "[" * 99999,
        '{"id": 1e999, "command": "ls"}',
        '{"command": "ls", "command": "rm -rf /"}',
    ],
)
def test_a_row_that_holds_no_command_is_named_by_its_line(line: str) -> None:
    with pytest.raises(DataError, match="stdin:2"):
        asked(None, '{"id": 1, "command": "ls"}\n' + line, jsonl=True)


def test_what_is_wrong_with_a_row_is_said_with_its_column_and_the_way_out() -> None:
    with pytest.raises(DataError, match=r'stdin:1:19: the key "command" stands twice') as caught:
        asked(None, '{"command": "ls", "command": "rm -rf /"}', jsonl=True)
    assert caught.value.hint == "Keep one; readers disagree about which."


def test_a_mark_of_the_byte_order_before_the_rows_is_none_of_them() -> None:
    assert asked(None, '\ufeff{"command": "ls"}\r\n', jsonl=True)[0] == Exit.DONE


def test_no_command_is_bad_usage() -> None:
    with pytest.raises(InputError):
        asked(None)
