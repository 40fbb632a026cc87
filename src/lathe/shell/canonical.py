"""One spelling for commands that say the same: quotes, bundled, split, long and short options, their order, and blanks.

    canonical("ls -la 'a b'")  ==  canonical('ls --all  -l "a b"')
    canonical("find . -name '*.c'")  !=  canonical("find . -name *.c"): there the shell, not find, reads the pattern

Options are known for the programs of `lathe.shell.options`; of others the words stand as they are, in their order. What needs to
run to be compared (sed -n 1p against head -1) stays different.
"""

from __future__ import annotations

import re

from lathe.shell import grammar, options
from lathe.shell.grammar import Node
from lathe.shell.words import BACKSLASH, IN_QUOTES, unescaped

BARE = "\x01"
"""Before what the shell itself still reads: an unquoted pattern or expansion."""
EXPANDED = "\x02"
"""Before an expansion in double quotes."""
BETWEEN = "\x1f"
PATTERN = re.compile(r"[*?\[\]~]")
SEVERAL = re.compile(r"\{[^{}]*(?:,|\.\.)[^{}]*\}")
"""Braces that stand for several words, which {} does not."""
NUMBERED = {"head": "lines", "tail": "lines"}
"""Programs whose option -5 means that many lines."""
WITH_OPTION = {"egrep": ("grep", "extended-regexp"), "fgrep": ("grep", "fixed-strings")}
"""Programs that are another one with an option."""


def canonical(command: str) -> str | None:
    """The one spelling, for comparing and not for running; None where the command cannot be read."""
    text, documents = grammar.lift(command.strip(), 0)
    tree = grammar.parse(text)
    if tree.fault:
        return None
    return _form(tree.root) + "".join(f"\n<<{document.text}" for document in documents)


def programs(command: str) -> list[str]:
    """The names of the programs that a command calls, in order, as far as they stand there."""
    return [program for program, _ in calls(command)]


def calls(command: str) -> list[tuple[str, list[str]]]:
    """Each program that a command calls, in order, with its words that stand in no quotes and hold no expansion."""
    found: list[tuple[str, list[str]]] = []

    def visit(node: Node) -> None:
        if node.type == "command_name":
            beside = node.parent.named_children if node.parent else []
            name = _word(node.named_children[0]) if node.named_children else node.text.decode()
            found.append((name, [one.text.decode() for one in beside if one.type == "word"]))
        for child in node.named_children:
            visit(child)

    visit(grammar.parse(grammar.lift(command.strip(), 0)[0]).root)
    return found


def _form(node: Node) -> str:
    if node.type == "command":
        return _command(node)
    if node.type in WORDS:
        return _word(node)
    if not node.child_count:
        return "" if node.type in ("comment", "\n") else str(node.text.decode())
    inner = [_form(child) for child in node.children if child.type != "comment"]
    return f"{node.type}({'|'.join(part for part in inner if part not in ('', ';'))})"


def _command(node: Node) -> str:
    before: list[str] = []
    words: list[str] = []
    for child in node.children:
        if child.type == "command_name":
            words.append(_word(child.named_children[0]) if child.named_children else child.text.decode())
        elif child.type in WORDS:
            words.append(_word(child))
        else:
            before.append(_form(child))
    return f"command({BETWEEN.join([*before, *_arguments(words)])})"


def _arguments(words: list[str]) -> list[str]:
    """The words of a call with its options by name and in one order; an assignment alone has none."""
    if not words:
        return []
    name, extra = WITH_OPTION.get(words[0], (words[0], None))
    rest = words[1:]
    if name == "tar" and rest and re.fullmatch(r"[a-zA-Z]+", rest[0]):
        rest = ["-" + rest[0], *rest[1:]]
    if name in NUMBERED:
        rest = [re.sub(r"^-(\d+)$", rf"--{NUMBERED[name]}=\1", word) for word in rest]
    if name not in options.MODELS and name not in options.ALIKE:
        return [name, *rest]
    read = options.read(name, rest)
    given = {**read.options, extra: [""]} if extra else dict(read.options)
    told = [f"--{option}{'=' if any(values) else ''}{','.join(values)}" for option, values in sorted(given.items())]
    return [name, *told, "--", *read.operands]


def _word(node: Node, several: bool = False) -> str:
    """The text of a word; what the shell still reads in it is marked. several: whether braces in it stand for several words."""
    kind = node.type
    text = str(node.text.decode())
    several = several or SEVERAL.search(text) is not None
    if kind == "concatenation":
        return "".join(_word(child, several) for child in node.children)
    if kind == "word" or not node.is_named:
        return "".join(_plain(part, several) for part in re.split(r"(\\.)", text, flags=re.DOTALL))
    if kind == "raw_string":
        return text[1:-1]
    if kind == "ansi_c_string":
        return unescaped(text[2:-1])
    if kind == "string":
        return _quoted(node)
    return text if kind == "number" else BARE + text


def _quoted(node: Node) -> str:
    """A text in double quotes; an expansion in it is marked, so that it differs from the same signs in single quotes."""
    source: bytes = node.text
    out, place = [], 1
    for child in node.named_children:
        if child.type != "string_content":
            start = child.start_byte - node.start_byte
            out += [IN_QUOTES.sub(r"\1", source[place:start].decode()), EXPANDED, child.text.decode()]
            place = child.end_byte - node.start_byte
    return "".join([*out, IN_QUOTES.sub(r"\1", source[place:-1].decode())])


def _plain(part: str, several: bool) -> str:
    if part.startswith("\\"):
        return BACKSLASH.sub(r"\1", part)
    marked = PATTERN.sub(lambda found: BARE + found.group(), part)
    return marked.replace("{", BARE + "{") if several else marked


WORDS = frozenset(
    (
        "word", "number", "string", "raw_string", "ansi_c_string", "translated_string", "concatenation", "simple_expansion", "expansion",
        "command_substitution", "process_substitution", "arithmetic_expansion", "brace_expression", "extglob_pattern", "regex",
    )
)  # fmt: skip
