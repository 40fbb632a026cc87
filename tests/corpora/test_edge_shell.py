"""The corpus `edge_shell`: commands that are valid, harmless and follow from their wishes."""

from __future__ import annotations

import re

import pytest

from lathe import plugins
from lathe.shell.judge import is_valid, judge

pytest.importorskip("tree_sitter_bash", reason="the packages of the extra `shell` are not installed")
ROWS = list(plugins.load("corpora", "edge_shell").rows(5, 600))


def test_every_command_is_valid_and_none_is_above_level_two() -> None:
    assert all(is_valid(row["target"]) for row in ROWS)
    assert max(judge(row["target"]).level for row in ROWS) <= 2


def test_every_value_of_a_command_stands_in_its_wish() -> None:
    for row in ROWS:
        command = re.sub(r"--\w[\w-]*=?|'\*\.|/\*|\btar\b", " ", row["target"])
        values = re.findall(r"[\w.-]*[/\d][\w./-]*|(?<= )[a-zA-Z]{5,}(?= |$)", command)
        for value in values:
            bare = value.strip("-+kMG'")
            known = bare in ("chmod", "mkdir") or not bare or re.fullmatch(r"-?[a-zA-Z]", value)
            assert known or bare.rstrip("/*") in row["input"], (value, row)


def test_families_and_sizes_are_mixed() -> None:
    assert {row["family"] for row in ROWS} == {"find", "text", "tree"}
    assert len({row["parts"] for row in ROWS}) >= 4
    assert len({row["input"] for row in ROWS}) > 0.97 * len(ROWS)
