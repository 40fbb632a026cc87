"""An answer as it was written: the command in it, and what stands around it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lathe.shell import gate
from lathe.shell.calls import is_program
from lathe.shell.canonical import calls

FENCE = re.compile(r"^\s*(```|~~~)[\w-]*[ \t]*\n((?:(?!\1).)*?)\n?\1\s*$", re.DOTALL)
SPAN = re.compile(r"\s*`[^`]+`\s*")
PROMPT = re.compile(r"^\s*(?:[$#%>]|\w+@[\w.-]+:\S*[$#])\s+(?=\S)")
PHRASES = (
    "here's", "here is", "this command", "you can", "to do this", "the command", "try this", "use this", "this will",
    "explanation", "explain", "steps", "note:", "command:", "here ", "use ",
)  # fmt: skip
"""What CLI-Tuner takes for signs of prose, also inside valid commands."""
MOST_LINES = 5
OPENINGS = frozenset((
    "use", "using", "run", "running", "try", "type", "enter", "execute", "just", "simply", "first", "next", "then", "finally",
    "the", "this", "that", "these", "those", "here", "it", "to", "you", "your", "i", "we", "my", "sure", "certainly", "ok", "okay",
    "yes", "no", "please", "note", "explanation", "example", "answer", "output", "command", "a", "an", "in", "with", "by",
))  # fmt: skip
"""Words that open a sentence of an answer. With a capital they are the name of no program."""

FUNCTION_WORDS = gate.FUNCTION_WORDS | {
    "each", "in", "on", "by", "for", "which", "whose", "not", "as", "it", "its", "at",
}  # fmt: skip
"""Words that hold a sentence together; commands have few of them outside quotes."""
FEWEST_WORDS = 4
"""Plain words of a sentence behind its first: `mv this that` has fewer."""


def unfenced(text: str) -> tuple[str, bool]:
    """(the command, whether it stood in a code fence); a text that holds more than one fenced block stays as it is."""
    found = FENCE.match(text)
    return (found.group(2).strip(), True) if found else (text.strip(), False)


def marked(text: str) -> bool:
    """Whether the whole answer is set off as code: in a fence, or in the single marks of a code span."""
    return unfenced(text)[1] or SPAN.fullmatch(text) is not None


def has_prompt(text: str) -> bool:
    """Whether a prompt sign stands before the command; `#` is one where no line says anything else, and opens a comment else."""
    if PROMPT.match(text) is None:
        return False
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return not lines[0].startswith("#") or all(line.startswith("#") for line in lines)


def is_sentence(command: str) -> bool:
    """Whether a valid command is words of a sentence, of which bash takes the first for a program: `Use ls to list files.`

    Of NL2Bash's 8,698 commands that bash can read that is said of four, which hold a sentence; of its 8,073 descriptions that bash
    can read 376 pass. `ls lists files` may be a command.
    """
    return any(_opens_a_sentence(name) or _tells(name, words) for name, words in calls(command))


def _tells(name: str, words: Sequence[str]) -> bool:
    """Whether a program's plain words are those of a sentence. One is enough behind a word with a capital that is no program."""
    told = (
        0
        if not gate.TAKES_WORDS.isdisjoint((name, *words[:3]))
        else sum(word.lower().strip(",.") in FUNCTION_WORDS for word in words)
    )
    capital = len(name) > 2 and name.isalpha() and name.istitle() and not is_program(name)
    return (told >= 2 and len(words) >= FEWEST_WORDS) or (told >= 1 and capital)


def _opens_a_sentence(name: str) -> bool:
    if not any(map(str.isalpha, name)):
        return False  # `:`, `.` and `[` are programs
    return name.endswith((",", ":", "!", "?", ".")) or (name.istitle() and name.lower() in OPENINGS)


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
