"""One JSON array is read element by element, with the line of each, however it is laid out and wherever it is cut into pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe.data.files.json_rows import array_rows
from lathe.data.files.placed import Placed
from lathe.data.files.read import read_file

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12)
ROWS = st.lists(
    st.dictionaries(
        TEXT,
        st.none() | st.integers() | TEXT | st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3),
        max_size=4,
    ),
    max_size=6,
)


def pieces(data: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers, cut into pieces of a size."""
    for number, line in enumerate(data.split(b"\n"), start=1):
        line = line + b"\n"
        yield from ((number, line[at : at + size]) for at in range(0, len(line), size))


@pytest.fixture(autouse=True)
def _small_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lathe.data.files.json_rows.READ_AT_ONCE", 5)


@settings(deadline=None)
@given(ROWS, st.sampled_from([None, 0, 2]), st.integers(1, 30), st.booleans())
def test_the_rows_are_those_that_were_written(rows: list[dict], indent: int | None, size: int, as_ascii: bool) -> None:
    data = json.dumps(rows, indent=indent, ensure_ascii=as_ascii).encode()
    found = list(array_rows(pieces(data, size), "rows.json"))
    assert all(isinstance(one, Placed) for one in found)
    assert [one.row for one in found if isinstance(one, Placed)] == rows
    assert [one.line for one in found] == sorted(one.line for one in found)


def test_each_row_has_the_line_where_it_begins() -> None:
    data = b'[\n  {"a": 1},\n\n  {"b":\n 2}, {"c": 3}\n]'
    for size in (1, 3, 100):
        assert [one.line for one in array_rows(pieces(data, size), "x")] == [2, 4, 5]


def test_a_number_that_stands_across_two_reads_is_one_number() -> None:
    data = b'[{"a": 123456789}, 4567]'
    for size in range(1, 12):
        first, second = array_rows(pieces(data, size), "x")
        assert isinstance(first, Placed)
        assert first.row == {"a": 123456789}
        assert second.line == 1


def test_a_large_array_is_read_in_flat_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr("lathe.data.files.json_rows.READ_AT_ONCE", 1 << 16)
    path = tmp_path / "rows.json"
    path.write_text("[" + ",".join(['{"input": "' + "x" * 500 + '"}'] * 20_000) + "]")
    tracemalloc.start()
    assert sum(1 for _ in read_file(path)) == 20_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
