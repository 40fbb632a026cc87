"""Conversations written out as one text, in the markup of a chat template, taken apart again.

    turns("<|im_start|>user\\nHi<|im_end|>\\n<|im_start|>assistant\\nHello<|im_end|>")
    ->  ("ChatML", [("user", "Hi"), ("assistant", "Hello")])

Such rows were rendered for one model; taken apart, they can be rendered for any.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ROLES = {
    "system": "system", "user": "user", "human": "user", "instruction": "user", "input": "user", "assistant": "assistant",
    "model": "assistant", "gpt": "assistant", "bot": "assistant", "response": "assistant", "output": "assistant",
    "tool": "tool", "function": "tool", "observation": "tool", "ipython": "tool",
}  # fmt: skip
"""The names that formats give to the four roles."""


@dataclass(frozen=True)
class Markup:
    """How turns are written. turn: a pattern with the groups `role` and `content`."""

    name: str
    sign: str
    """A text without which no text is in this markup."""
    turn: re.Pattern[str]


def _pattern(begin: str, end: str) -> re.Pattern[str]:
    return re.compile(rf"{begin}(?P<content>.*?)(?:{end}|\Z)", re.DOTALL)


_ZEPHYR = r"<\|(?P<role>system|user|assistant)\|>\n?"
_HEADING = r"### (?P<role>Instruction|Input|Response):\n?"
MARKUPS = (
    Markup("ChatML", "<|im_start|>", _pattern(r"<\|im_start\|>(?P<role>\w+)\n", r"<\|im_end\|>")),
    Markup(
        "Llama 3",
        "<|start_header_id|>",
        _pattern(r"<\|start_header_id\|>(?P<role>\w+)<\|end_header_id\|>\n\n", r"<\|eot_id\|>"),
    ),
    Markup("Gemma", "<start_of_turn>", _pattern(r"<start_of_turn>(?P<role>\w+)\n", "<end_of_turn>")),
    Markup("Zephyr", "<|user|>", _pattern(_ZEPHYR, rf"</s>|(?={_ZEPHYR.replace('?P<role>', '?:')})")),
    Markup("Alpaca headings", "### Response:", _pattern(_HEADING, rf"(?=\n{_HEADING.replace('?P<role>', '?:')})")),
)


def turns(text: str) -> tuple[str, list[tuple[str, str]]] | None:
    """Name of the markup and its (role, content) pairs; None where the text is in no markup that is known, or has no answer."""
    for markup in MARKUPS:
        if markup.sign not in text:
            continue
        found = [
            (ROLES.get(match["role"].lower(), ""), match["content"].strip("\n")) for match in markup.turn.finditer(text)
        ]
        if found and all(role for role, _ in found) and found[-1][0] == "assistant":
            return markup.name, _joined(found)
    return None


def _joined(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Neighbouring turns of the user as one: an instruction and its input are one question."""
    together: list[tuple[str, str]] = []
    for role, content in found:
        if together and role == together[-1][0] == "user":
            content = f"{together.pop()[1]}\n\n{content}"
        together.append((role, content))
    return together
