"""What a word of a script becomes, as an abstract text: quotes, variables, substitutions and braces are carried out where they are known.

r\\m   "r"'m'   $'\\x72m'   ${x:-rm}   $(echo rm)     all become     rm
$dir/cache                                            becomes        HOLE + "/cache"
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import Protocol

from lathe.shell.grammar import Node
from lathe.shell.marks import BRACES, BREAK, CLOSE, COMMA, HOLE, OPEN, QUOTED, UNKNOWN, is_known, plain

BACKSLASH = re.compile(r"\\(\n|.)", re.DOTALL)
IN_QUOTES = re.compile(r"\\([$`\"\\\n])")
BLANKS = " \t\n"
NOT_EMPTY = "value"
"""Stands for a text that is not known but not empty, such as a date or a process id."""
ESCAPES = {
    "n": "\n", "t": "\t", "r": "\r", "a": "", "b": "", "e": "", "E": "", "f": " ", "v": " ", "\\": "\\", "'": "'", '"': '"', "?": "?",
}  # fmt: skip
ESCAPE = re.compile(
    r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|([0-7]{1,3})|c(.)|(.))", re.DOTALL
)


class Shell(Protocol):
    """What expanding a word needs of the script that it stands in."""

    def variable(self, name: str) -> str: ...
    def assign(self, name: str, value: str) -> None: ...
    def substitute(self, node: Node) -> str: ...
    def stream(self, node: Node) -> str: ...


def unescaped(text: str) -> str:
    """The text with the escapes of $'..' and of printf carried out."""

    def one(found: re.Match[str]) -> str:
        hexadecimal, short, long, octal, _, letter = found.groups()
        number = hexadecimal or short or long
        if number:
            value = int(number, 16)
            return chr(value) if 32 <= value < 0x110000 or value in (9, 10) else ""
        if octal:
            value = int(octal, 8) & 255
            return chr(value) if value >= 32 or value in (9, 10) else ""
        return "" if letter is None else ESCAPES.get(letter, "\\" + letter)

    return ESCAPE.sub(one, text)


def expand(node: Node, shell: Shell, quoted: bool = False) -> str:
    """The abstract text of a word, with the marks of `marks.fields` for splitting and braces."""
    kind = node.type
    if kind == "word":
        text: str = node.text.decode()
        if "\\" in text:
            return BACKSLASH.sub(_unescaped_sign, _braced(text))
        return text if text.isalnum() else _braced(text)
    made = EXPANSIONS.get(kind)
    if made is not None:
        return made(node, shell, quoted)
    if node.named_child_count:
        return "".join(expand(child, shell, quoted) for child in node.children)
    return str(node.text.decode())


def _braced(text: str) -> str:
    """Unquoted braces and commas marked, `~` of other users left as it is."""
    return text.translate(BRACES) if "{" in text or "," in text or "}" in text else text


def _unescaped_sign(found: re.Match[str]) -> str:
    sign = found.group(1)
    return (
        ""
        if sign == "\n"
        else sign.translate({ord(OPEN): "{", ord(COMMA): ",", ord(CLOSE): "}"}) + (QUOTED if sign in " \t" else "")
    )


def _split(text: str, shell: Shell, quoted: bool) -> str:
    """The result of an expansion: outside quotes it is split at blanks, or at what IFS says."""
    if quoted:
        return text + QUOTED
    separators = shell.variable("IFS")
    separators = separators if is_known(separators) else BLANKS
    return "".join(BREAK if sign in separators else sign for sign in text) if separators else text


def _string(node: Node, shell: Shell, quoted: bool) -> str:
    """A text in double quotes; blanks between its parts are no nodes and come from the source."""
    source: bytes = node.text
    begin = node.start_byte
    out, place = [QUOTED], 1
    for child in node.named_children:
        if child.type == "string_content":
            continue
        out.append(_literal(source[place : child.start_byte - begin]))
        out.append(expand(child, shell, True))
        place = child.end_byte - begin
    out.append(_literal(source[place:-1]))
    return "".join(out)


def _literal(source: bytes) -> str:
    """What stands between double quotes without an expansion."""
    text = source.decode("utf-8", "replace")
    return IN_QUOTES.sub(lambda found: found.group(1).replace("\n", ""), text) if "\\" in text else text


def _raw(node: Node, shell: Shell, quoted: bool) -> str:
    return QUOTED + str(node.text.decode())[1:-1]


def _ansi(node: Node, shell: Shell, quoted: bool) -> str:
    return QUOTED + unescaped(node.text.decode()[2:-1])


def _translated(node: Node, shell: Shell, quoted: bool) -> str:
    return "".join(expand(child, shell, True) for child in node.named_children)


def _simple(node: Node, shell: Shell, quoted: bool) -> str:
    return _split(shell.variable(node.text.decode()[1:]), shell, quoted)


def _substitution(node: Node, shell: Shell, quoted: bool) -> str:
    return _split(shell.substitute(node).rstrip("\n"), shell, quoted)


def _process(node: Node, shell: Shell, quoted: bool) -> str:
    return shell.stream(node)


def _arithmetic(node: Node, shell: Shell, quoted: bool) -> str:
    for child in node.named_children:
        _look_into(child, shell)
    return NOT_EMPTY


def _look_into(node: Node, shell: Shell) -> None:
    """Substitutions inside arithmetic are run as well."""
    if node.type in EXPANSIONS:
        expand(node, shell)
    else:
        for child in node.named_children:
            _look_into(child, shell)


def _range(node: Node, shell: Shell, quoted: bool) -> str:
    inner = node.text.decode()[1:-1].split("..")
    return OPEN + COMMA.join(inner[:2]) + CLOSE


def _expansion(node: Node, shell: Shell, quoted: bool) -> str:
    """`${...}` with its operators; what needs more than constants is unknown."""
    children = node.children[1:-1]
    prefix = children[0].text.decode() if children and not children[0].is_named else ""
    rest = children[1:] if prefix else children
    if not rest:
        return HOLE
    name = rest[0].text.decode()
    name, _, index = name.partition("[")
    value = _element(shell.variable(name), index.rstrip("]")) if index else shell.variable(name)
    if prefix == "#":
        return NOT_EMPTY
    if prefix == "!":
        value = shell.variable(value) if is_known(value) else HOLE
    operator = rest[1].text.decode() if len(rest) > 1 else ""
    words = rest[2:]
    if operator in (":-", "-", ":=", "=", ":+", "+", ":?", "?"):
        value = _conditional(name, value, operator, words, shell)
    elif operator:
        value = _changed(value, operator, [child.text.decode() for child in words])
    return _split(value, shell, quoted) if BREAK not in value else value


def _element(array: str, index: str) -> str:
    """`${a[1]}`: one field of an array, all of them where the index is not a number or too large."""
    fields = array.split(BREAK)
    return fields[int(index)] if index.isdecimal() and int(index) < len(fields) else array


def _conditional(name: str, value: str, operator: str, words: list[Node], shell: Shell) -> str:
    other = "".join(plain(expand(word, shell, True)) for word in words)
    if operator.endswith("?"):
        return UNKNOWN.sub(NOT_EMPTY, value) if value == HOLE else value
    if operator.endswith("+"):
        return "" if value == "" else other
    if value == HOLE or value == "":
        # A variable that is set nowhere here is most likely unset; its default is then the word.
        if operator.endswith("="):
            shell.assign(name, other)
        return other
    return value


def _changed(value: str, operator: str, words: list[str]) -> str:
    """Substring, removal, replacement and case of a known value."""
    if not is_known(value):
        return HOLE
    arguments = [word for word in words if word not in ("/", ":")]
    first = arguments[0] if arguments else ""
    if operator == ":":
        numbers = [int(word) for word in arguments if re.fullmatch(r"\s*-?\d+\s*", word)]
        if len(numbers) != len(arguments) or not numbers:
            return HOLE
        tail = value[numbers[0] :]
        return tail if len(numbers) == 1 else tail[: numbers[1]]
    if operator in ("#", "##", "%", "%%"):
        return _trimmed(value, operator, first)
    if operator in ("/", "//", "/#", "/%"):
        pattern = re.compile(_pattern(first.strip("'\"")))
        after = arguments[1] if len(arguments) > 1 else ""
        if "$" in after or "$" in first or "`" in after:
            return HOLE
        return pattern.sub(lambda _: after.strip("'\""), value, count=0 if operator == "//" else 1)
    cases: dict[str, Callable[[str], str]] = {
        "^^": str.upper,
        ",,": str.lower,
        "^": lambda text: text[:1].upper() + text[1:],
        ",": lambda text: text[:1].lower() + text[1:],
    }
    return cases[operator](value) if operator in cases else HOLE


def _pattern(glob: str) -> str:
    return fnmatch.translate(glob).removeprefix("(?s:").removesuffix(")\\z").removesuffix(")\\Z")


def _trimmed(value: str, operator: str, glob: str) -> str:
    """`${x#glob}` and its kin: the shortest or the longest match at one end taken off."""
    ends = range(len(value) + 1)
    longest = len(operator) == 2
    if operator[0] == "#":
        cuts = [end for end in (reversed(ends) if longest else ends) if fnmatch.fnmatchcase(value[:end], glob)]
        return value[cuts[0] :] if cuts else value
    cuts = [end for end in (ends if longest else reversed(ends)) if fnmatch.fnmatchcase(value[end:], glob)]
    return value[: cuts[0]] if cuts else value


EXPANSIONS: dict[str, Callable[[Node, Shell, bool], str]] = {
    "string": _string,
    "raw_string": _raw,
    "ansi_c_string": _ansi,
    "translated_string": _translated,
    "simple_expansion": _simple,
    "expansion": _expansion,
    "command_substitution": _substitution,
    "process_substitution": _process,
    "arithmetic_expansion": _arithmetic,
    "brace_expression": _range,
}
