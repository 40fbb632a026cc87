"""A command line as a syntax tree: tree-sitter-bash, with what its grammar gets wrong put right before and after.

    read("cat <<'A' | sh\\nrm x\\nA")   ->  the tree of  cat <'/dev/heredoc/0' | sh,  here-documents [("rm x\\n", quoted)]

tree-sitter-bash nests the rest of a line inside a here-document, loses backticks in its body and takes one that stands before its
command for an error; brace lists in command position, extended patterns, `$IFS` inside a word and `!` before a loop are read wrong as
well. Here-documents are therefore lifted out first and read back as files, and on an error brace lists and patterns are spelled out. Cost: some 20 µs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lathe.errors import Unavailable

HEREDOC = "/dev/heredoc/"
START = re.compile(r"<<(-?)[ \t]*((?:'[^'\n]*'|\"[^\"\n]*\"|\\.|[^\s;&|<>()'\"`\\])+)")
QUOTES = re.compile(r"\\(.)|['\"]")
BRACE_LIST = re.compile(r"(?:(?<=[\s;&|(])|^)\{([^\s{}'\"`$;&|()]*(?:,|\.\.)[^\s{}'\"`$;&|()]*)\}(?=[\s;&|)]|$)")
PATTERN = re.compile(r"[!?*+@]\([^()\s]*\)")
FOR_ARGUMENTS = re.compile(r"\bfor\s+(\w+)\s*(?:;|\s)\s*do\b")
NEGATED = re.compile(r"(?:(?<=^)|(?<=[;&|\n(]))\s*!\s+(?=(?:while|until|for|if|case)\b|[({])")
CONTINUED = re.compile(r"^([^#\n]*?(?<!\\)(?:\\\\)*)\\\n", re.MULTILINE)
LONE_DOLLAR = re.compile(r"(?<!\\)\$(?=[\s/,.;|)]|$)")
ENDING = re.compile(r"\\\s*$")
Node = Any
"""A node of tree-sitter, which has no types to import where it is not installed."""


@dataclass(frozen=True, slots=True)
class HereDocument:
    """Text of a here-document; quoted: its delimiter was, so nothing in it is expanded."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Tree:
    """A parsed script. fault: what the grammar could not read, in words; empty where it read everything."""

    root: Node
    fault: str


@lru_cache(maxsize=1)
def _parser() -> Any:
    try:
        import tree_sitter_bash
        from tree_sitter import Language, Parser
    except ModuleNotFoundError as missing:
        raise Unavailable(
            f"reading shell commands needs the package {missing.name}, which is not installed",
            hint="Install it with: pip install 'lathe-slm[shell]'",
        ) from missing
    return Parser(Language(tree_sitter_bash.language()))


def parse(text: str) -> Tree:
    """The tree of a script whose here-documents were lifted. Raises Unavailable where the grammar's packages are missing."""
    text = NEGATED.sub("", text.replace("$IFS", "${IFS}") if "$IFS" in text else text)
    text = CONTINUED.sub(r"\1", text) if "\\\n" in text else text
    root = _parser().parse(text.encode("utf-8", "replace")).root_node
    if not root.has_error:
        return Tree(root, "")
    mended = PATTERN.sub("*", PATTERN.sub("*", BRACE_LIST.sub(_spelled_out, text)))
    mended = LONE_DOLLAR.sub(r"\\$", mended)
    mended = ENDING.sub("", FOR_ARGUMENTS.sub(r'for \1 in "$@"; do', mended))
    if mended != text:
        second = _parser().parse(mended.encode("utf-8", "replace")).root_node
        if not second.has_error:
            return Tree(second, "")
    return Tree(root, "not valid shell, or beyond the grammar")


def _spelled_out(found: re.Match[str]) -> str:
    """`{rm,-rf,/}` -> `rm -rf /`"""
    inner = found.group(1)
    return " ".join(inner.split(",") if "," in inner else inner.split(".."))


# ------------------------------------------------------------------------------------------ here-documents


def lift(text: str, first: int) -> tuple[str, list[HereDocument]]:
    """The text with each here-document replaced by input from the file /dev/heredoc/N, N from `first` on, and their bodies."""
    if "<<" not in text:
        return text, []
    out: list[str] = []
    documents: list[HereDocument] = []
    waiting: list[tuple[str, bool, bool]] = []
    place = 0
    for start in _code(text):
        if start < place:
            continue
        if text[start] == "\n" and waiting:
            out.append(text[place : start + 1])
            place = _bodies(text, start + 1, waiting, documents)
            waiting = []
        elif (
            (found := START.match(text, start)) and text[start : start + 3] != "<<<" and text[start - 1 : start] != "<"
        ):
            strip, delimiter = found.groups()
            bare = QUOTES.sub(r"\1", delimiter)
            out.append(f"{text[place:start]}<{HEREDOC}{first + len(documents) + len(waiting)} ")
            place = found.end()
            waiting.append((bare, bool(strip), bare != delimiter))
    out.append(text[place:])
    documents += [HereDocument("", True) for _ in waiting]
    return "".join(out), documents


def _bodies(text: str, place: int, waiting: Sequence[tuple[str, bool, bool]], documents: list[HereDocument]) -> int:
    """Reads the bodies that begin at `place` into `documents`; where the script goes on."""
    for delimiter, strip, quoted in waiting:
        lines: list[str] = []
        while place < len(text):
            end = text.find("\n", place)
            end = len(text) if end < 0 else end
            line, place = text[place:end], end + 1
            line = line.lstrip("\t") if strip else line
            if line == delimiter:
                break
            lines.append(line + "\n")
        documents.append(HereDocument("".join(lines), quoted))
    return min(place, len(text))


def _code(text: str) -> Iterator[int]:
    """Where a `<<` or the end of a line stands that is shell code: not quoted, not in arithmetic, not in a comment."""
    stack: list[str] = []
    place = 0
    while place < len(text):
        sign = text[place]
        inside = stack[-1] if stack else ""
        if sign == "\\":
            place += 2
            continue
        if inside == "'":
            end = text.find("'", place)
            place = len(text) if end < 0 else end + 1
            stack.pop()
            continue
        if text.startswith("$((", place) or (text.startswith("((", place) and inside != '"'):
            end = text.find("))", place)
            if end > 0:
                place = end + 2
                continue
        if text.startswith("$(", place):
            stack.append(")")
            place += 2
            continue
        if sign == '"':
            if inside == '"':
                stack.pop()
            else:
                stack.append('"')
        elif inside == '"':
            pass
        elif sign == "'":
            stack.append("'")
        elif sign == "(":
            stack.append(")")
        elif sign == ")" and inside == ")":
            stack.pop()
        elif sign == "#" and (place == 0 or text[place - 1] in " \t\n;&|("):
            end = text.find("\n", place)
            place = len(text) if end < 0 else end
            continue
        elif sign == "\n" or text.startswith("<<", place):
            yield place
            place += 1 if sign == "\n" or not text.startswith("<<<", place) else 3
            continue
        place += 1
