"""Bad input: one clear message with file and line, exit code 2, nothing written, quickly."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from data_rows import files_of
from malformed_files import Case, cases

from lathe.errors import Exit, InputError
from lathe.records import Manifest
from lathe.runs import RunFolder

CASES = list(cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_malformed_file_is_one_message_with_its_place_and_leaves_nothing(
    case: Case, tmp_path: Path, run: RunFolder, prepared: Callable[..., Manifest]
) -> None:
    path = case.make(tmp_path)
    start = time.process_time()
    with pytest.raises(InputError) as caught:
        prepared({"source": str(path)})
    seconds = time.process_time() - start
    message = caught.value.message
    assert caught.value.exit_code == Exit.USAGE
    place = f"{path}:{case.line}" if case.line is not None else str(path)
    assert message.startswith(place), message
    assert not message[len(place)].isdigit(), message
    assert case.says in message
    assert "\n" not in message
    assert len(message) < 600 + len(str(path)), "a message quotes at most a little of the data"
    assert files_of(run) == []
    assert seconds < 2


def test_there_are_at_least_120_cases() -> None:
    assert len(CASES) >= 120
    assert len({case.name for case in CASES}) == len(CASES)
