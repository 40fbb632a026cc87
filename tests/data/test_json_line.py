"""Strict JSON: what is JSON is read as Python reads it, what is not is a fault with its column, and nothing else is ever raised."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe.data.files.json_line import LineFault, decode, row_of

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(VALUES, st.booleans())
def test_what_python_writes_is_read_back(value: object, as_ascii: bool) -> None:
    assert decode(json.dumps(value, ensure_ascii=as_ascii).encode()) == value


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_fault(line: bytes) -> None:
    fault = None
    try:
        value = decode(line)
    except LineFault as raised:
        fault = raised
    if fault is None:
        assert json.loads(line) == value
    else:
        assert fault.reason
        assert fault.column is None or 1 <= fault.column <= len(line) + 1


@settings(deadline=None)
@given(st.text('{}[]:,"\\u0dD8aftrueNInfinity1e9.- \t\r', max_size=40))
def test_text_that_is_nearly_json_is_a_value_or_a_fault(text: str) -> None:
    try:
        value = decode(text.encode())
    except LineFault:
        return
    assert json.loads(text) == value
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ('{"a": 1, "a": 2}', 10),
        ('{"\u00e9\u00e9": NaN}', 8),
        ('{"a": "\u00e9", "b": "\\ud800"}', 18),
        ('{"a": 1e999}', 7),
        ('{"a" 1}', 6),
        ('{"a": "x', 7),
    ],
)
def test_the_column_counts_characters_from_one(line: str, column: int) -> None:
    with pytest.raises(LineFault) as caught:
        decode(line.encode())
    assert caught.value.column == column


@pytest.mark.parametrize(
    "line",
    [
        '{"a": "\\ud83d\\ude00"}',
        '{"a": "\\\\ud800"}',
        '{"a": "\\\\u0000"}',
        '{"a": 1e-999}',
        '{"a": -0}',
        '{"a": "NaN"}',
        '{"a":' * 90 + "1" + "}" * 90,
        '{"a": "' + "[" * 500 + '"}',
    ],
)
def test_honest_lines_are_not_refused(line: str) -> None:
    assert row_of(line.encode()) == json.loads(line)
