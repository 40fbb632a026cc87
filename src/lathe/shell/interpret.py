"""Runs a script in the mind: values stay abstract, nothing is executed, every call is put before the rules.

Each statement has an abstract standard input and output, so that `echo cm0gLXJmIC8K | base64 -d | sh` and
`x=$(printf rm); $x -rf /` come down to the same call, `rm -rf /`, and `curl u | sh` to a shell that runs a download.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from lathe.shell import grammar, marks, words
from lathe.shell.grammar import HEREDOC, HereDocument, Node
from lathe.shell.marks import BREAK, HOLE, UNKNOWN, is_known, plain
from lathe.shell.places import resolved
from lathe.shell.verdict import Finding, quoted

MOST_CALLS = 200
MOST_NESTED = 20
LONGEST_VALUE = 65536
MOST_ITEMS = 12
"""Items of a loop that are gone through one by one."""
SELF = "$0"
WATCHED = frozenset(
    "LD_PRELOAD LD_AUDIT BASH_ENV PROMPT_COMMAND GIT_SSH_COMMAND PAGER GIT_PAGER HISTFILE HISTSIZE HISTFILESIZE".split()
)
"""Variables that do something by being set."""
STANDING_IN = "__unknown__"
"""The variable that stands for unknown parts of code that is parsed again."""
KNOWN_VARIABLES = {
    "HOME": "~", "PWD": ".", "OLDPWD": HOLE, "TMPDIR": "/tmp", "TMP": "/tmp", "SHELL": "/bin/bash", "BASH": "/bin/bash", "IFS": " \t\n",
    "EDITOR": "vi", "VISUAL": "vi", "PAGER": "less", "0": SELF, "@": HOLE, "*": HOLE, "LANG": "C", "PATH": "/usr/bin", "BASH_SOURCE": SELF,
} | dict.fromkeys(("$", "!", "?", "#", "-", "_", "USER", "LOGNAME", "UID", "EUID", "PPID", "HOSTNAME", "RANDOM", "SECONDS", "LINENO",
                   "BASHPID", "EPOCHSECONDS", "COLUMNS", "LINES", "SUDO_USER"), words.NOT_EMPTY)  # fmt: skip


class TooMuch(Exception):
    """A script with more calls or deeper nesting than is gone through."""


@dataclass
class State:
    """What a script has set so far; a subshell works on a copy."""

    variables: dict[str, str] = field(default_factory=dict)
    functions: dict[str, Node] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """Content of files that the script itself wrote."""
    cwd: str = ""
    positional: tuple[str, ...] | None = None
    elevated: bool = False

    def copy(self) -> State:
        return replace(
            self,
            variables=dict(self.variables),
            functions=dict(self.functions),
            aliases=dict(self.aliases),
            files=dict(self.files),
        )


class Script:
    """One judgement in progress. `call` is given each simple command, with its words and its input, and gives its output."""

    def __init__(self, call: Callable[[Script, list[str], str], str]) -> None:
        self.findings: list[Finding] = []
        self.faults: list[str] = []
        self.state = State()
        self._call = call
        self._heredocs: list[HereDocument] = []
        self._calls = self._depth = self._streams = 0
        self._active: list[tuple[int, int]] = []
        self._late: dict[int, list[Node]] = {}
        self._called: set[str] = set()
        self._forks = 0
        self._endless = 0

    # what rules and launchers use ------------------------------------------------------------

    def found(self, level: int, kind: str, why: str, safer: str = "") -> None:
        """Notes one finding."""
        self.findings.append(Finding(level, kind, why, safer))

    def call(self, argv: Sequence[str], stdin: str = "") -> str:
        """Puts one simple command before the rules; its abstract output."""
        self._calls += 1
        if self._calls > MOST_CALLS:
            raise TooMuch(f"more than {MOST_CALLS} commands")
        return self._call(self, list(argv), stdin)

    def execute(self, code: str, stdin: str = "") -> str:
        """Runs abstract text as shell code; code that is not known is a finding by where it comes from."""
        if marks.FETCHED in code:
            self.found(4 if self.state.elevated else 3, "remote_code", "runs code that comes from the network unseen",
                       "download it, read it, then run it")  # fmt: skip
        elif marks.DECODED in code:
            self.found(3, "obfuscated", "runs code that was hidden in an encoding")
        code = plain(code)
        if not is_known(code) and not UNKNOWN.sub("", code).strip():
            if marks.LOCAL in code:
                self.found(2, "", "runs a script that is not shown here")
            elif marks.FETCHED not in code:
                self.found(3, "obfuscated", "runs code that is not known before it runs")
            return marks.origin(code)
        return self.script(UNKNOWN.sub(f"${{{STANDING_IN}}}", code), stdin)

    def script(self, text: str, stdin: str = "") -> str:
        """Parses and runs text as shell code."""
        with self._deeper():
            text, documents = grammar.lift(text, len(self._heredocs))
            self._heredocs += documents
            tree = grammar.parse(text)
            if tree.fault:
                self.faults.append(tree.fault)
            output = self.run(tree.root, stdin)
            if self._depth == 1:
                self._run_what_was_only_defined()
            return output

    @contextmanager
    def subshell(self, *, elevated: bool = False) -> Iterator[None]:
        """What is set inside is forgotten after."""
        before = self.state
        self.state = before.copy()
        self.state.elevated = before.elevated or elevated
        try:
            yield
        finally:
            before.files.update(self.state.files)
            self.state = before

    @property
    def repeated(self) -> bool:
        """Whether a call here is started over and over, or beside others, without an end."""
        return self._forks > 0

    def function(self, name: str, arguments: Sequence[str], stdin: str) -> str:
        """Runs a function of the script."""
        self._called.add(name)
        body = self.state.functions[name]
        entered = next((forks for active, forks in self._active if active == body.id), None)
        if entered is not None:
            if self._forks > entered:
                self.found(4, "exhaustion", f"{quoted(name)} starts itself again and again, a fork bomb")
            return HOLE
        before, self.state.positional = self.state.positional, tuple(arguments)
        self._active.append((body.id, self._forks))
        try:
            with self._deeper():
                return self.run(body, stdin)
        finally:
            self._active.pop()
            self.state.positional = before

    def read_file(self, path: str) -> str:
        """The abstract content of a file: known where the script wrote it."""
        number = path.removeprefix(HEREDOC)
        if number != path and number.isdecimal() and int(number) < len(self._heredocs):
            return self._heredoc(self._heredocs[int(number)])
        return self.state.files.get(resolved(path, self.state.cwd), marks.LOCAL) if path else HOLE

    def write_file(self, path: str, text: str, *, append: bool = False) -> None:
        """Remembers what the script writes, for when it runs or reads it."""
        where = resolved(path, self.state.cwd)
        self.state.files[where] = (self.state.files.get(where, "") if append else "") + text

    # what words use --------------------------------------------------------------------------

    def variable(self, name: str) -> str:
        """The abstract value of a variable."""
        value = self.state.variables.get(name)
        if value is not None:
            return value
        if name == STANDING_IN:
            return HOLE
        if self.state.positional is not None and (name in "@*" or (name.isdecimal() and name != "0")):
            given = self.state.positional
            if name in "@*":
                return BREAK.join(given)
            return given[int(name) - 1] if int(name) <= len(given) else ""
        if name == "PWD":
            return self.state.cwd or "."
        return KNOWN_VARIABLES.get(name, HOLE)

    def assign(self, name: str, value: str) -> None:
        """Sets a variable; a value that grew beyond all use is not known."""
        self.state.variables[name] = value if len(value) <= LONGEST_VALUE else HOLE

    def substitute(self, node: Node) -> str:
        """The output of a command substitution."""
        with self.subshell(), self._deeper():
            inside = [child for child in node.named_children if child.type != "comment"]
            lone = inside[0] if len(inside) == 1 else None
            if lone is not None and lone.type == "redirected_statement" and lone.named_child_count == 1:
                lone = lone.named_children[0]
            if lone is not None and lone.type == "file_redirect":  # $(<file)
                return self._redirect([lone], "").stdin
            return self._sequence(node, "")

    def stream(self, node: Node) -> str:
        """The file name that stands for a process substitution; its content is what the process gives."""
        self._streams += 1
        path = f"/dev/fd/{62 + self._streams}"
        with self.subshell(), self._deeper():
            output = self._sequence(node, "")
        self.state.files[path] = output
        return path

    def texts(self, node: Node) -> list[str]:
        """The fields of one word."""
        return marks.fields(words.expand(node, self))

    def text(self, node: Node) -> str:
        """A word that is not split, as in an assignment or after a redirection sign."""
        return " ".join(marks.fields(words.expand(node, self, True)))

    # statements ------------------------------------------------------------------------------

    def run(self, node: Node, stdin: str = "") -> str:
        """Runs one statement with an abstract input; its abstract output."""
        return STATEMENTS.get(node.type, Script._look_inside)(self, node, stdin)

    def _look_inside(self, node: Node, stdin: str) -> str:
        for child in node.named_children:
            if child.type in words.EXPANSIONS:
                words.expand(child, self)
            else:
                self.run(child, stdin)
        return ""

    def _sequence(self, node: Node, stdin: str) -> str:
        output = []
        children = node.children
        for place, child in enumerate(children):
            if not child.is_named or child.type == "comment":
                continue
            background = place + 1 < len(children) and children[place + 1].type == "&"
            if background:
                self._forks += 1
                if self._endless:
                    self.found(4, "exhaustion", "starts processes in the background without end")
            try:
                output.append(self.run(child, stdin))
            finally:
                self._forks -= background
        return "".join(output)

    def _subshell(self, node: Node, stdin: str) -> str:
        with self.subshell():
            return self._sequence(node, stdin)

    def _pipeline(self, node: Node, stdin: str) -> str:
        self._forks += 1
        try:
            for child in node.named_children:
                with self.subshell():
                    stdin = self.run(child, stdin)
        finally:
            self._forks -= 1
        return stdin

    def _list(self, node: Node, stdin: str) -> str:
        left, *_, right = node.named_children
        output = self.run(left, stdin)
        before = dict(self.state.variables)
        output += self.run(right, stdin)
        self._join(before)
        return output

    def _join(self, before: dict[str, str]) -> None:
        """After something that may not have run: a variable that has two values has none that is known."""
        now = self.state.variables
        for name, value in before.items():
            if now.get(name, "") != value:
                now[name] = HOLE

    def _branches(self, node: Node, stdin: str) -> str:
        before = dict(self.state.variables)
        output = self._look(node, stdin)
        self._join(before)
        return output

    def _look(self, node: Node, stdin: str) -> str:
        return "".join(self.run(child, stdin) for child in node.named_children)

    def _while(self, node: Node, stdin: str) -> str:
        condition = node.named_children[0].text.decode().strip()
        text = node.text.decode()
        endless = condition in ("true", ":", "[ 1 ]", "((1))", "1", "[[ 1 ]]", "false") and not any(
            word in text for word in ("wait", "sleep", "break", "read")
        )
        self._endless += endless
        try:
            return self._branches(node, stdin)
        finally:
            self._endless -= endless

    def _for(self, node: Node, stdin: str) -> str:
        children = node.named_children
        name = children[0].text.decode()
        items = [item for word in children[1:-1] for item in self.texts(word)]
        if len(children) == 2:
            items = list(self.state.positional or (HOLE,))
        if len(items) > MOST_ITEMS:
            items = [*items[:MOST_ITEMS], HOLE]
        output = ""
        for item in items:
            self.assign(name, item)
            output += self.run(children[-1], stdin)
        return output

    def _function(self, node: Node, stdin: str) -> str:
        name, body = node.named_children[0].text.decode(), node.named_children[1]
        self.state.functions[name] = body
        return ""

    def _run_what_was_only_defined(self) -> None:
        for name in [name for name in self.state.functions if name not in self._called]:
            self.function(name, (HOLE,), HOLE)

    def _assignment(self, node: Node, stdin: str) -> str:
        name_node, *values = node.named_children
        name = name_node.text.decode().split("[")[0]
        if not values:
            value = ""
        elif values[0].type == "array":
            value = BREAK.join(field for word in values[0].named_children for field in self.texts(word))
        else:
            value = self.text(values[0])
        added = any(child.type == "+=" for child in node.children)
        between = BREAK if values and values[0].type == "array" else ""
        if name_node.type == "subscript" and name in self.state.variables:
            added, between = True, BREAK
        self.assign(name, self.state.variables.get(name, "") + between + value if added else value)
        if name in WATCHED:
            self.call(["export", f"{name}={value}"])
        return ""

    def _declaration(self, node: Node, stdin: str) -> str:
        words_here = []
        for child in node.named_children:
            if child.type == "variable_assignment":
                self._assignment(child, stdin)
                words_here.append(
                    f"{child.named_children[0].text.decode()}={self.variable(child.named_children[0].text.decode())}"
                )
            else:
                words_here += self.texts(child)
        return self.call([node.children[0].text.decode(), *words_here], stdin)

    def _unset(self, node: Node, stdin: str) -> str:
        names = [child.text.decode() for child in node.named_children]
        for name in names:
            self.state.variables[name] = ""
        return self.call(["unset", *names], stdin)

    def _command(self, node: Node, stdin: str) -> str:
        return self._simple(node, self._late.pop(node.id, []), stdin)

    def _simple(self, node: Node | None, redirects: list[Node], stdin: str) -> str:
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
                own.setdefault(name, self.state.variables.get(name))
                self._assignment(child, stdin)
            elif kind == "command_name":
                argv += self.texts(child.named_children[0] if child.named_child_count == 1 else child)
            else:
                argv += self.texts(child)
        streams = self._redirect(redirects, stdin)
        argv += streams.arguments
        output = self.call(argv, streams.stdin) if argv else ""
        if argv:
            for name, value in own.items():
                if value is None:
                    self.state.variables.pop(name, None)
                else:
                    self.state.variables[name] = value
        return self._written(streams, output)

    def _redirected(self, node: Node, stdin: str) -> str:
        redirects = [child for child in node.named_children if child.type in REDIRECTS]
        bodies = [child for child in node.named_children if child.type not in REDIRECTS]
        if bodies and bodies[0].type == "command":
            return self._simple(bodies[0], redirects, stdin)
        if not bodies:
            return self._simple(None, redirects, stdin)
        last = _last_of(bodies[0])
        if last is not None:  # the grammar ties what follows the last command of a list to the list as a whole
            self._late[last.id] = redirects
            return self.run(bodies[0], stdin)
        streams = self._redirect(redirects, stdin)
        return self._written(streams, self.run(bodies[0], streams.stdin))

    def _redirect(self, redirects: Sequence[Node], stdin: str) -> Streams:
        streams = Streams(stdin)
        for node in redirects:
            signs = [child for child in node.children if not child.is_named]
            named = [child for child in node.named_children if child.type != "file_descriptor"]
            if not named or not signs:
                continue
            sign = signs[0].type
            if node.type == "herestring_redirect":
                streams.stdin = self.text(named[0]) + "\n"
                continue
            target = self.text(named[0])
            streams.arguments += [text for extra in named[1:] for text in self.texts(extra)]
            if sign in ("<", "<>"):
                streams.stdin = self.call(["<", target])
            if sign in (">&", "<&") and (target.isdecimal() or target in ("-", "")):
                continue
            if sign not in ("<", "<&"):
                streams.targets.append((target, sign in (">>", "&>>")))
        return streams

    def _written(self, streams: Streams, output: str) -> str:
        for target, append in streams.targets:
            self.call([">>" if append else ">", target], output)
        return "" if streams.targets else output

    def _heredoc(self, document: HereDocument) -> str:
        if document.quoted or not any(sign in document.text for sign in "$`\\"):
            return document.text
        tree = grammar.parse('"' + document.text.replace('"', '\\"') + '"')
        named = tree.root.named_children
        if tree.fault or len(named) != 1 or named[0].type != "command":
            return HOLE
        return self.text(named[0].named_children[0].named_children[0])

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > MOST_NESTED:
            raise TooMuch(f"nested more than {MOST_NESTED} deep")
        try:
            yield
        finally:
            self._depth -= 1


@dataclass
class Streams:
    """Where a command reads and writes. targets: (file, whether it is appended to)."""

    stdin: str
    targets: list[tuple[str, bool]] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    """Words that stand behind a redirection and belong to the command."""


def _last_of(node: Node) -> Node | None:
    """The simple command that ends a list or a pipeline."""
    if node.type in ("list", "pipeline", "negated_command"):
        last = node.named_children[-1]
        return last if last.type == "command" else _last_of(last)
    return None


REDIRECTS = ("file_redirect", "herestring_redirect", "heredoc_redirect")
STATEMENTS: dict[str, Callable[[Script, Node, str], str]] = {
    "program": Script._sequence,
    "compound_statement": Script._sequence,
    "do_group": Script._sequence,
    "else_clause": Script._sequence,
    "elif_clause": Script._sequence,
    "case_item": Script._sequence,
    "negated_command": Script._sequence,
    "ERROR": Script._sequence,
    "subshell": Script._subshell,
    "pipeline": Script._pipeline,
    "list": Script._list,
    "if_statement": Script._branches,
    "case_statement": Script._branches,
    "while_statement": Script._while,
    "for_statement": Script._for,
    "function_definition": Script._function,
    "variable_assignment": Script._assignment,
    "variable_assignments": Script._look,
    "declaration_command": Script._declaration,
    "unset_command": Script._unset,
    "command": Script._command,
    "redirected_statement": Script._redirected,
    "command_name": Script._look_inside,
}
