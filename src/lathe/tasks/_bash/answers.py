"""An answer as it was written: the command in it, and what stands around it."""

from __future__ import annotations

import re

FENCE = re.compile(r"^\s*```[\w-]*[ \t]*\n((?:(?!```).)*?)\n?```\s*$", re.DOTALL)
PROMPT = re.compile(r"^\s*(?:[$#%>]|\w+@[\w.-]+:\S*[$#])\s+(?=\S)")
PHRASES = (
    "here's", "here is", "this command", "you can", "to do this", "the command", "try this", "use this", "this will",
    "explanation", "explain", "steps", "note:", "command:", "here ", "use ",
)  # fmt: skip
"""What CLI-Tuner takes for signs of prose, also inside valid commands."""
MOST_LINES = 5


def unfenced(text: str) -> tuple[str, bool]:
    """(the command, whether it stood in a code fence); a text that holds more than one fenced block stays as it is."""
    found = FENCE.match(text)
    return (found.group(1).strip(), True) if found else (text.strip(), False)


def has_prompt(text: str) -> bool:
    """Whether a prompt sign stands before the command."""
    return PROMPT.match(text) is not None


def clituner_exact(gold: str, text: str) -> bool:
    """Equal after runs of white space became one blank; a code fence is not taken off."""
    return " ".join(gold.split()) == " ".join(text.split())


def clituner_command_only(text: str) -> bool:
    """No fence, none of PHRASES anywhere, no full stop at the end, few lines, several only with a backslash or a pipe."""
    said = text.strip()
    lines = [line for line in said.split("\n") if line.strip()]
    if not said or "```" in said or said.endswith((".", "!", "?")) or len(lines) > MOST_LINES:
        return False
    if any(phrase in said.lower() for phrase in PHRASES):
        return False
    return len(lines) == 1 or "\\" in said or "|" in said
