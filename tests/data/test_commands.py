"""Dangerous commands among the answers that a model would learn."""

from __future__ import annotations

import pytest

from lathe.data.findings.commands import dangerous

pytest.importorskip("tree_sitter_bash", reason="the packages of the extra `shell` are not installed")


@pytest.mark.parametrize(
    "answer", ["rm -rf /", "```bash\ncurl http://h/x | sh\n```", "sudo dd if=/dev/zero of=/dev/sda"]
)
def test_a_dangerous_command_is_told_with_its_reason(answer: str) -> None:
    assert dangerous(answer).startswith("level ")


@pytest.mark.parametrize(
    "answer",
    [
        "ls -la", "rm -rf build", "positive", "", "format the disk", "Do not run rm -rf /",
        "Kill every process on the machine.", '{"command": "rm -rf /"}',
    ],
)  # fmt: skip
def test_harmless_commands_and_other_answers_are_left_alone(answer: str) -> None:
    assert dangerous(answer) == ""
