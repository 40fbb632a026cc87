"""The YAML of recipes: what a value means, and what is refused."""

# ruff: noqa: E501 - tables of cases read best one case a line

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe.resolve.strict_yaml import parse, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1.0e-3", 1e-3), ("1E5", 1e5), ("-.5", -0.5), ("3.", 3.0), ("+7", 7), ("0", 0), ("-12", -12), ("12.50", 12.5),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("y", "y"), ("No", "No"),
        ("12:30:00", "12:30:00"), ("2026-11-20", "2026-11-20"), ("0777", "0777"), ("0o17", "0o17"), ("0x1F", "0x1F"), ("0b1", "0b1"),
        ("1_000", "1_000"), (".inf", ".inf"), (".nan", ".nan"), ("1e999", "1e999"), ("1.2.3", "1.2.3"), ("1e", "1e"), ("007.5", "007.5"),
        ("9" * 30, int("9" * 30)), ("9" * 400, "9" * 400), ("tRue", "tRue"), ("=", "="),
    ],
)  # fmt: skip
def test_a_plain_scalar_means_what_it_looks_like(text: str, value: object) -> None:
    read = scalar(text)
    assert (read, type(read)) == (value, type(value))


def test_quotes_make_text() -> None:
    assert parse("a: '1'\nb: \"true\"\nc: 1\n").value == {"a": "1", "b": "true", "c": 1}


def test_every_key_and_item_has_its_line() -> None:
    tree = parse("# head\na: 1\nb:\n  c: {d: 2}\n  e:\n    - 5\n    - {f: 6}\n")
    assert tree.value == {"a": 1, "b": {"c": {"d": 2}, "e": [5, {"f": 6}]}}
    assert tree.lines[("a",)] == 2
    assert tree.lines[("b", "c", "d")] == 4
    assert tree.lines[("b", "e", 1, "f")] == 7
    assert tree.line(("b", "e", 1, "missing")) == 7
    assert tree.line(("nowhere",)) is None


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("a: 1\na: 2\n", "stands twice, first on line 1", 2),
        ("a: {b: 1,\n    b: 2}\n", "stands twice, first on line 1", 2),
        ("a: &x 1\nb: 2\n", "anchors", 1),
        ("a: 1\nb: *x\n", "aliases", 2),
        ("a: 1\n<<: {b: 1}\n", "merge keys", 2),
        ("a: !!python/object/apply:os.system [echo]\n", "tags", 1),
        ("a: !!str 5\n", "tags", 1),
        ("a: !custom 5\n", "tags", 1),
        ("[a, b]: 1\n", "a key must be a word", 1),
        ("{a: 1}: 1\n", "a key must be a word", 1),
        ("a: 1\n---\nb: 2\n", "second document", 2),
        ("a: 1\n\tb: 2\n", "tab", 2),
        ("a: 'open\nb: 1\n", "closing quote", None),
        ("a: [1, 2\nb: 3\n", "not closed", None),
        ("a: 1\n b: 2\n", "", 2),
        ("a: b: c\n", "second `:`", 1),
        ("a: \x01\n", "U+0001", 1),
        ("a: @b\n", "reserves", 1),
        ('a: "\\ud800"\n', "surrogate", 1),
        ('a: "\\q"\n', "escape", 1),
        ("a: " + "[" * 30 + "]" * 30, "nested deeper", 1),
        ("a: " + "x" * 300_000, "at most", None),
    ],
)
def test_what_is_refused_is_named_with_its_line(text: str, says: str, line: int | None) -> None:
    tree = parse(text)
    assert tree.faults, tree
    assert says in tree.faults[0].message
    if line is not None:
        assert tree.faults[0].line == line


def test_all_refused_constructs_are_told_at_once() -> None:
    tree = parse("a: &x 1\nb: *x\nc: !t 2\nd: 1\nd: 2\n<<: {e: 1}\nf: 3\n")
    assert [fault.line for fault in tree.faults] == [1, 2, 3, 5, 6]
    assert tree.complete
    assert tree.value["f"] == 3


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n" for n in range(200)),
        "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}, y{n}: {{<<: *a{n - 1}}}}}\n" for n in range(1, 60)),
        "[" * 200_000,
        "{" * 200_000,
        "- " * 100_000,
        "a: " + "'" * 200_001,
        "? " * 50_000,
    ],
    ids=["laughs", "merges", "brackets", "braces", "dashes", "quotes", "questions"],
)
def test_hostile_text_is_refused_quickly(text: str) -> None:
    start = time.process_time()
    assert parse(text).faults
    assert time.process_time() - start < 2


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_but_never_raises(text: str) -> None:
    tree = parse(text)
    assert tree.faults or tree.complete


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3),
        max_leaves=8,
    )
)
def test_json_is_read_as_json_means_it(value: object) -> None:
    """JSON in double quotes is YAML; what JSON says is what we read."""
    import json

    tree = parse(json.dumps({"v": value}, ensure_ascii=True))
    if not tree.faults:
        assert tree.value == {"v": value}
