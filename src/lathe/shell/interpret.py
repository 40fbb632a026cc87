"""Runs a script in the mind: values stay abstract, nothing is executed, every call is put before the rules.

Each statement has an abstract standard input and output, so that `echo cm0gLXJmIC8K | base64 -d | sh` and
`x=$(printf rm); $x -rf /` come down to the same call, `rm -rf /`, and `curl u | sh` to a shell that runs a download.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from lathe.shell import grammar, marks, words
from lathe.shell.grammar import HEREDOC, HereDocument, Node
from lathe.shell.marks import BREAK, HOLE, UNKNOWN, is_known, plain
from lathe.shell.places import resolved
from lathe.shell.state import KNOWN_VARIABLES, STANDING_IN, State
from lathe.shell.verdict import Finding, quoted

MOST_CALLS = 200
MOST_NESTED = 20
LONGEST_VALUE = 65536
Statement = Callable[["Script", Node, str], str]
"""Runs a node with an abstract input; its abstract output."""


class TooMuch(Exception):
    """A script with more calls or deeper nesting than is gone through."""


class Script:
    """One judgement in progress; made by `statements.begin`."""

    def __init__(
        self,
        call: Callable[[Script, list[str], str], str],
        statements: Mapping[str, Statement],
        other: Statement,
    ) -> None:
        self.findings: list[Finding] = []
        self.faults: list[str] = []
        self.state = State()
        self._call = call
        self._statements = statements
        self._other = other
        self._heredocs: list[HereDocument] = []
        self._calls = self._depth = self._streams = 0
        self._active: list[tuple[int, int]] = []
        self._readers: dict[str, Node] = {}
        """Processes that read what is written to a file name that stands for them."""
        self._called: set[str] = set()
        self.forks = 0
        """How many pipelines and backgrounds surround what runs: a function that comes back to itself in one multiplies."""
        self.endless = 0
        """How many loops without an end surround it."""
        self.late: dict[int, list[Node]] = {}
        """Redirections of a command by its node, which the grammar tied to something around it."""

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

    def function(self, name: str, arguments: Sequence[str], stdin: str) -> str:
        """Runs a function of the script."""
        self._called.add(name)
        body = self.state.functions[name]
        entered = next((forks for active, forks in self._active if active == body.id), None)
        if entered is not None:
            if self.forks > entered:
                self.found(4, "exhaustion", f"{quoted(name)} starts itself again and again, a fork bomb")
            return HOLE
        before, self.state.positional = self.state.positional, tuple(arguments)
        self._active.append((body.id, self.forks))
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
        if path == "/dev/null":
            return ""
        return self.state.files.get(resolved(path, self.state.cwd), marks.LOCAL) if path else HOLE

    def write_file(self, path: str, text: str, *, append: bool = False) -> None:
        """Remembers what the script writes, for when it runs or reads it."""
        where = resolved(path, self.state.cwd)
        self.state.files[where] = (self.state.files.get(where, "") if append else "") + text
        if reader := self._readers.pop(path, None):
            with self.subshell(), self._deeper():
                self.run(reader, text)

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
            return self.run(node, "")

    def stream(self, node: Node) -> str:
        """The file name that stands for a process substitution; its content is what the process gives."""
        self._streams += 1
        path = f"/dev/fd/{62 + self._streams}"
        if node.text.startswith(b">"):
            self._readers[path] = node
        with self.subshell(), self._deeper():
            output = self.run(node, "")
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
        return self._statements.get(node.type, self._other)(self, node, stdin)

    def _run_what_was_only_defined(self) -> None:
        for name in [name for name in self.state.functions if name not in self._called]:
            self.function(name, (HOLE,), HOLE)

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
