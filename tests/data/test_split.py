"""A row's side is a function of its own text and the shares, for ever."""

from __future__ import annotations

import json
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from lathe.data.preparing.split import hash64, normalised, position, side_of

TEXT = st.text(max_size=200)


def test_sides_are_what_they_were_when_this_was_written() -> None:
    """Were this test to change, every document of every user could move from test to train."""
    texts = ["alpha", "beta", "gamma", "delta", "a b", "straße 7", "x" * 500, ""]
    assert [side_of(hash64(normalised(text)), 0.1, 0.2) for text in texts] == [
        "train", "validation", "train", "train", "train", "validation", "train", "train",
    ]  # fmt: skip
    assert position(hash64("alpha")) == 0.5579218076094165


@given(TEXT)
def test_case_white_space_and_compatibility_forms_do_not_change_the_side(text: str) -> None:
    other = "  " + text.upper().lower().replace(" ", " \t\n ") + "\n"
    if normalised(other) == normalised(text):
        assert hash64(normalised(other)) == hash64(normalised(text))
    assert normalised(normalised(text)) == normalised(text)


def test_normalisation_folds_what_hardly_anyone_calls_a_difference() -> None:
    assert normalised("  Ｃａｆé\u00a0 STRASSE\r\n") == "café strasse"
    assert normalised("cafe\u0301") == normalised("caf\u00e9")
    assert normalised("12.5") != normalised("125")


@given(TEXT, st.floats(0, 0.4), st.floats(0, 0.4), st.floats(0, 0.4))
def test_a_larger_share_only_takes_rows_from_train(text: str, validation: float, test: float, more: float) -> None:
    hashed = hash64(text)
    before, after = side_of(hashed, validation, test), side_of(hashed, validation, min(0.5, test + more))
    assert before == after or (before, after) == ("train", "test")


def test_shares_are_kept_within_chance() -> None:
    sides = [side_of(hash64(f"text {number}"), 0.1, 0.2) for number in range(20_000)]
    assert abs(sides.count("validation") / 20_000 - 0.1) < 0.01
    assert abs(sides.count("test") / 20_000 - 0.2) < 0.01


def test_another_process_gives_the_same_sides() -> None:
    """Python's own hash is salted for each process; ours is not."""
    program = (
        "import json; from lathe.data.preparing.split import hash64, side_of; "
        "print(json.dumps([side_of(hash64(str(n)), .2, .2) for n in range(50)]))"
    )
    said = [subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(2)]
    assert (
        json.loads(said[0]) == json.loads(said[1]) == [side_of(hash64(str(number)), 0.2, 0.2) for number in range(50)]
    )
