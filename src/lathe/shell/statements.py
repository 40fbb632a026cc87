"""What each kind of statement does to the state and to the streams of a script; the grammar's names, its oddities included."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lathe.shell import words
from lathe.shell.grammar import Node
from lathe.shell.interpret import Script
from lathe.shell.marks import BREAK, HOLE
from lathe.shell.state import WATCHED

MOST_ITEMS = 12
"""Items of a loop that are gone through one by one."""
TEXTS = re.compile(r"'[^']*'|\"[^\"]*\"")
ENDLESS = re.compile(r"(?:while|until)\s+(?:true|:|false|\[\[? 1 \]\]?|\(\(1\)\))\s*[;\n]|for\s*\(\([^;]*;\s*;")
"""The beginning of a loop that ends only from inside."""
REDIRECTS = ("file_redirect", "herestring_redirect", "heredoc_redirect")


@dataclass
class Streams:
    """Where a command reads and writes. targets: (file, whether it is appended to)."""

    stdin: str
    targets: list[tuple[str, bool]] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    """Words that stand behind a redirection and belong to the command."""


def substitution(shell: Script, node: Node, stdin: str) -> str:
    """What stands in $(...); `$(<file)` alone is the content of the file."""
    inside = [child for child in node.named_children if child.type != "comment"]
    lone = inside[0] if len(inside) == 1 else None
    if lone is not None and lone.type == "redirected_statement" and lone.named_child_count == 1:
        lone = lone.named_children[0]
    if lone is not None and lone.type == "file_redirect":
        return redirect(shell, [lone], "").stdin
    return sequence(shell, node, stdin)


def look_inside(shell: Script, node: Node, stdin: str) -> str:
    """Whatever else: the substitutions in it run."""
    for child in node.named_children:
        if child.type in words.EXPANSIONS:
            words.expand(child, shell)
        else:
            shell.run(child, stdin)
    return ""


def sequence(shell: Script, node: Node, stdin: str) -> str:
    """One statement after the other, in the background where an & follows."""
    output = []
    children = node.children
    for place, child in enumerate(children):
        if not child.is_named or child.type == "comment":
            continue
        background = place + 1 < len(children) and children[place + 1].type == "&"
        if background:
            shell.forks += 1
            if shell.endless:
                shell.found(4, "exhaustion", "starts processes in the background without end")
        try:
            output.append(shell.run(child, stdin))
        finally:
            shell.forks -= background
    return "".join(output)


def subshell(shell: Script, node: Node, stdin: str) -> str:
    """`( ... )`: what is set in it is forgotten."""
    with shell.subshell():
        return sequence(shell, node, stdin)


def pipeline(shell: Script, node: Node, stdin: str) -> str:
    """The output of each is the input of the next; all run at once."""
    shell.forks += 1
    try:
        for child in node.named_children:
            with shell.subshell():
                stdin = shell.run(child, stdin)
    finally:
        shell.forks -= 1
    return stdin


def listed(shell: Script, node: Node, stdin: str) -> str:
    """`a && b` and `a || b`: the second may run or not."""
    left, *_, right = node.named_children
    output = shell.run(left, stdin)
    before = dict(shell.state.variables)
    output += shell.run(right, stdin)
    join(shell, before)
    return output


def join(shell: Script, before: dict[str, str]) -> None:
    """After something that may not have run: a variable that has two values has none that is known."""
    now = shell.state.variables
    for name, value in before.items():
        if now.get(name, "") != value:
            now[name] = HOLE


def branches(shell: Script, node: Node, stdin: str) -> str:
    """All branches, as if each ran; what they set may be set or not."""
    before = dict(shell.state.variables)
    output = each(shell, node, stdin)
    join(shell, before)
    return output


def each(shell: Script, node: Node, stdin: str) -> str:
    """All parts, with the same input."""
    return "".join(shell.run(child, stdin) for child in node.named_children)


def while_loop(shell: Script, node: Node, stdin: str) -> str:
    """The body once; whether it ends is read from its condition."""
    text = TEXTS.sub("", node.text.decode())
    endless = ENDLESS.match(text) is not None and not any(word in text for word in ("wait", "sleep", "break", "read"))
    shell.endless += endless
    try:
        return branches(shell, node, stdin)
    finally:
        shell.endless -= endless


def for_loop(shell: Script, node: Node, stdin: str) -> str:
    """The body for each item that is known."""
    children = node.named_children
    name = children[0].text.decode()
    items = [item for word in children[1:-1] for item in shell.texts(word)]
    if len(children) == 2:
        items = list(shell.state.positional or (HOLE,))
    if len(items) > MOST_ITEMS:
        items = [*items[:MOST_ITEMS], HOLE]
    output = ""
    for item in items:
        shell.assign(name, item)
        output += shell.run(children[-1], stdin)
    return output


def function_definition(shell: Script, node: Node, stdin: str) -> str:
    """Remembers the body."""
    name, body = node.named_children[0].text.decode(), node.named_children[1]
    shell.state.functions[name] = body
    return ""


def assignment(shell: Script, node: Node, stdin: str) -> str:
    """`x=...`, also of arrays and with +=; some variables do something by being set."""
    name_node, *values = node.named_children
    name = name_node.text.decode().split("[")[0]
    if not values:
        value = ""
    elif values[0].type == "array":
        value = BREAK.join(field for word in values[0].named_children for field in shell.texts(word))
    else:
        value = shell.text(values[0])
    added = any(child.type == "+=" for child in node.children)
    between = BREAK if values and values[0].type == "array" else ""
    if name_node.type == "subscript" and name in shell.state.variables:
        added, between = True, BREAK
    shell.assign(name, shell.state.variables.get(name, "") + between + value if added else value)
    if name in WATCHED:
        shell.call(["export", f"{name}={value}"])
    return ""


def declaration(shell: Script, node: Node, stdin: str) -> str:
    """`export x=...` and its kin, which are a node of their own to the grammar."""
    words_here = []
    for child in node.named_children:
        if child.type == "variable_assignment":
            assignment(shell, child, stdin)
            words_here.append(
                f"{child.named_children[0].text.decode()}={shell.variable(child.named_children[0].text.decode())}"
            )
        else:
            words_here += shell.texts(child)
    return shell.call([node.children[0].text.decode(), *words_here], stdin)


def unset(shell: Script, node: Node, stdin: str) -> str:
    """`unset x`: empty from here on."""
    names = [child.text.decode() for child in node.named_children]
    for name in names:
        shell.state.variables[name] = ""
    return shell.call(["unset", *names], stdin)


def command(shell: Script, node: Node, stdin: str) -> str:
    """A simple command, with what a list around it redirects."""
    return simple(shell, node, shell.late.pop(node.id, []), stdin)


def simple(shell: Script, node: Node | None, redirects: list[Node], stdin: str) -> str:
    """A simple command with the redirections around it."""
    argv: list[str] = []
    own: dict[str, str | None] = {}
    redirects = list(redirects)
    for child in node.children if node is not None else ():
        kind = child.type
        if kind in REDIRECTS:
            redirects.append(child)
        elif kind == "variable_assignment":
            name = child.named_children[0].text.decode()
            own.setdefault(name, shell.state.variables.get(name))
            assignment(shell, child, stdin)
        elif kind == "command_name":
            argv += shell.texts(child.named_children[0] if child.named_child_count == 1 else child)
        else:
            argv += shell.texts(child)
    streams = redirect(shell, redirects, stdin)
    argv += streams.arguments
    output = shell.call(argv, streams.stdin) if argv else ""
    if argv:
        for name, value in own.items():
            if value is None:
                shell.state.variables.pop(name, None)
            else:
                shell.state.variables[name] = value
    return written(shell, streams, output)


def redirected(shell: Script, node: Node, stdin: str) -> str:
    """A statement with redirections behind it."""
    redirects = [child for child in node.named_children if child.type in REDIRECTS]
    bodies = [child for child in node.named_children if child.type not in REDIRECTS]
    if bodies and bodies[0].type == "command":
        return simple(shell, bodies[0], redirects, stdin)
    if not bodies:
        return simple(shell, None, redirects, stdin)
    last = _last_of(bodies[0])
    if last is not None:  # the grammar ties what follows the last command of a list to the list as a whole
        shell.late[last.id] = redirects
        return shell.run(bodies[0], stdin)
    streams = redirect(shell, redirects, stdin)
    return written(shell, streams, shell.run(bodies[0], streams.stdin))


def redirect(shell: Script, redirects: Sequence[Node], stdin: str) -> Streams:
    """What redirections make of the streams; a file that is read is opened here, one that is written after the command."""
    streams = Streams(stdin)
    for node in redirects:
        signs = [child for child in node.children if not child.is_named]
        named = [child for child in node.named_children if child.type != "file_descriptor"]
        if not named or not signs:
            continue
        sign = signs[0].type
        if node.type == "herestring_redirect":
            streams.stdin = shell.text(named[0]) + "\n"
            continue
        target = shell.text(named[0])
        streams.arguments += [text for extra in named[1:] for text in shell.texts(extra)]
        if sign in ("<", "<>"):
            streams.stdin = shell.call(["<", target])
        if sign in (">&", "<&") and (target.isdecimal() or target in ("-", "")):
            continue
        if sign not in ("<", "<&"):
            streams.targets.append((target, sign in (">>", "&>>")))
    return streams


def written(shell: Script, streams: Streams, output: str) -> str:
    """Writes an output to its files, or lets it through where there are none."""
    for target, append in streams.targets:
        shell.call([">>" if append else ">", target], output)
    return "" if streams.targets else output


def _last_of(node: Node) -> Node | None:
    """The simple command that ends a list or a pipeline."""
    if node.type in ("list", "pipeline", "negated_command"):
        last = node.named_children[-1]
        return last if last.type == "command" else _last_of(last)
    return None


STATEMENTS: Mapping[str, Callable[[Script, Node, str], str]] = {
    "program": sequence,
    "compound_statement": sequence,
    "do_group": sequence,
    "else_clause": sequence,
    "elif_clause": sequence,
    "case_item": sequence,
    "negated_command": sequence,
    "process_substitution": sequence,
    "ERROR": sequence,
    "command_substitution": substitution,
    "subshell": subshell,
    "pipeline": pipeline,
    "list": listed,
    "if_statement": branches,
    "case_statement": branches,
    "while_statement": while_loop,
    "c_style_for_statement": while_loop,
    "for_statement": for_loop,
    "function_definition": function_definition,
    "variable_assignment": assignment,
    "variable_assignments": each,
    "declaration_command": declaration,
    "unset_command": unset,
    "command": command,
    "redirected_statement": redirected,
}
"""How a statement runs, by the name of its node; inside of any other, substitutions and statements are looked for."""


def begin(call: Callable[[Script, list[str], str], str]) -> Script:
    """A script at its start. `call` is given each simple command, with its words and its input, and gives its output."""
    return Script(call, STATEMENTS, look_inside)
