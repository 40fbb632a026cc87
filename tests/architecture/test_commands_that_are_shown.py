"""Commands that Lathe tells a person to type can be typed as they stand."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "lathe"
BEFORE_A_PATH = re.compile(r"\blathe (check|compare|decide|evaluate|plan|report|run|serve|ship|train|verify) $")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_path_in_a_command_is_written_as_a_shell_takes_it(path: Path) -> None:
    """A folder's name may hold blanks and quotes; `names` are several paths that were written so before."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for said, value in pairwise(parts):
            command = said.value if isinstance(said, ast.Constant) else ""
            if BEFORE_A_PATH.search(command) and isinstance(value, ast.FormattedValue):
                assert re.match(r"typed\(|names$", ast.unparse(value.value)), f"{path}:{node.lineno}: {command}"
