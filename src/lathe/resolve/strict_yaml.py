"""Reads the part of YAML that a recipe needs and nothing that surprises.

    parse("train: {epochs: 3}")  ->  Tree({"train": {"epochs": 3}}, lines={("train",): 1, ("train", "epochs"): 1}, faults=())

Plain scalars follow the core schema of YAML 1.2, decimal only: `1e-4` is a number; `no`, `on`, `12:30:00`, `0777` and `0x1F`
are strings. Tags, anchors, aliases, merge keys, duplicate keys and second documents are faults. The reader works on PyYAML's
event stream and builds plain values itself, so that no constructor of PyYAML ever runs and nothing expands.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from lathe.errors import Fault
from lathe.records import Json

MAX_BYTES = 256 * 1024
"""A recipe is about 2 kB; PyYAML takes seconds for a megabyte."""
MAX_DEPTH = 20
Path = tuple[str | int, ...]

NULL = re.compile(r"^(?:null|Null|NULL|~|)$")
BOOLEAN = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
INTEGER = re.compile(r"^[-+]?(?:0|[1-9][0-9]{0,98})$")
NUMBER = re.compile(r"^[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]{0,307})(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?$")

PARSER_WORDS = (
    ("found character '\\t'", "a tab cannot be used for indentation or before a value here", "Use spaces."),
    ("found unexpected end of stream", "the quoted text has no closing quote", None),
    (
        "mapping values are not allowed here",
        "a second `:` on the line",
        "Put the value in quotes, or the key on its own line.",
    ),
    (
        "expected <block end>",
        "the indentation does not fit the lines above",
        "Align the keys of one block with spaces.",
    ),
    ("could not find expected ':'", "a key without `:`", None),
    ("expected ',' or ']'", "a list `[...]` is not closed", "Close it with `]`."),
    ("expected ',' or '}'", "a mapping `{...}` is not closed", "Close it with `}`."),
    (
        "found unknown escape character",
        "an unknown escape in a text in double quotes",
        "Use single quotes, or double the backslash.",
    ),
    (
        "cannot start any token",
        "a character that YAML reserves stands at the start of a value",
        "Put the value in quotes.",
    ),
)


@dataclass(frozen=True)
class Tree:
    """A parsed document: plain values, the line of every key and list item, and all faults found on the way."""

    value: Json
    lines: dict[Path, int] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    complete: bool = True
    """False where a syntax fault ended the reading: what follows it is unknown."""

    def line(self, path: Path) -> int | None:
        """Line of the key at `path`, else of its nearest parent that stands in the file."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


def dotted(path: Path) -> str:
    """`gates[0].metric`"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def scalar(text: str) -> Json:
    """The value of a plain scalar."""
    if NULL.match(text):
        return None
    if BOOLEAN.match(text):
        return text.lower() == "true"
    if INTEGER.match(text):
        return int(text)
    if NUMBER.match(text) and math.isfinite(float(text)):
        return float(text)
    return text


class _Open:
    """A mapping or list whose end has not come yet."""

    def __init__(self, value: dict[str, Any] | list[Any], path: Path) -> None:
        self.value = value
        self.path = path
        self.key: str | None = None
        self.taken = True
        """False while the value that comes belongs to a key that is refused (duplicate, no text)."""


class _Builder:
    """Builds plain values from parser events; each refused construct leaves a fault and reading goes on."""

    def __init__(self) -> None:
        self.root: Json = None
        self.lines: dict[Path, int] = {}
        self.faults: list[Fault] = []
        self.stack: list[_Open] = []
        self.documents = 0

    def fault(self, event: yaml.Event, message: str, hint: str | None = None, path: Path | None = None) -> None:
        where = self.here() if path is None else path
        self.faults.append(Fault(dotted(where), message, event.start_mark.line + 1, hint))

    def here(self) -> Path:
        if not self.stack:
            return ()
        top = self.stack[-1]
        if isinstance(top.value, list):
            return (*top.path, len(top.value))
        return top.path if top.key is None else (*top.path, top.key)

    def wants_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None

    def place(self, event: yaml.Event, value: Json) -> None:
        """Puts a finished value, or one just opened, where it belongs."""
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        if isinstance(top.value, list):
            self.lines[self.here()] = event.start_mark.line + 1
            top.value.append(value)
        else:
            assert top.key is not None
            if top.taken:
                top.value[top.key] = value
            top.key = None

    def key(self, event: yaml.ScalarEvent, text: str) -> None:
        top = self.stack[-1]
        top.key, top.taken = text, True
        path = (*top.path, text)
        if text == "<<" and event.style is None:
            top.taken = False
            self.fault(event, "merge keys are not part of a recipe", "Write the keys out.", top.path)
        elif path in self.lines:
            top.taken = False
            self.fault(event, f"the key stands twice, first on line {self.lines[path]}", "Remove one.", path)
        else:
            self.lines[path] = event.start_mark.line + 1

    def refuse_extras(self, event: yaml.NodeEvent) -> None:
        if getattr(event, "anchor", None) is not None and not isinstance(event, yaml.AliasEvent):
            self.fault(
                event, f"anchors (&{event.anchor}) are not part of a recipe", "Write the value where it is used."
            )
        if getattr(event, "tag", None) is not None:
            self.fault(event, f"tags ({event.tag}) are not part of a recipe", "Write the plain value.")

    def text(self, event: yaml.ScalarEvent) -> str:
        """The scalar's text; half a surrogate pair, which no file can hold, is a fault."""
        if any("\ud800" <= character <= "\udfff" for character in event.value):
            self.fault(event, "half of a surrogate pair (\\ud800 to \\udfff)", "Write the character itself.")
            return str(event.value.encode("utf-8", "replace"), "utf-8")
        return str(event.value)

    def take(self, event: yaml.Event) -> None:
        """Takes the next event."""
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
        elif isinstance(event, yaml.ScalarEvent):
            self.refuse_extras(event)
            text = self.text(event)
            if self.wants_key():
                self.key(event, text)
            else:
                self.place(event, scalar(text) if event.style is None else text)
        elif isinstance(event, yaml.AliasEvent):
            self.fault(event, f"aliases (*{event.anchor}) are not part of a recipe", "Write the value out.")
            if self.wants_key():
                self.stack[-1].key, self.stack[-1].taken = str(event.anchor), False
            else:
                self.place(event, None)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self.open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.stack.pop()

    def open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        self.refuse_extras(event)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        if self.wants_key():
            self.fault(event, "a key must be a word, got a list or mapping")
            # The whole construct stands in for the key; the value that follows it is dropped with it.
            self.stack[-1].key, self.stack[-1].taken = "?", False
            self.stack.append(_Open(value, (*self.stack[-1].path, "?")))
            return
        path = self.here()
        self.place(event, value)
        self.stack.append(_Open(value, path))


def parse(text: str) -> Tree:
    """Parses a recipe's text. Never raises: everything wrong is in `faults`, each with its line."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        fault = Fault(
            "",
            f"the file has {len(text):,} characters, expected at most {MAX_BYTES:,} bytes",
            None,
            "Is this a recipe?",
        )
        return Tree(None, faults=(fault,), complete=False)
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event)
            if builder.documents > 1:
                builder.fault(event, "a second document begins here (`---`)", "Write one recipe a file.", ())
                return Tree(None, builder.lines, tuple(builder.faults), complete=False)
            if len(builder.stack) > MAX_DEPTH:
                builder.fault(event, f"nested deeper than {MAX_DEPTH} levels", None, ())
                return Tree(None, builder.lines, tuple(builder.faults), complete=False)
    except yaml.YAMLError as error:
        return Tree(None, builder.lines, (*builder.faults, _syntax_fault(error, text)), complete=False)
    return Tree(builder.root, builder.lines, tuple(builder.faults))


def _syntax_fault(error: yaml.YAMLError, text: str) -> Fault:
    """The parser's complaint in our words, at its line."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return Fault(
            "", f"the character U+{ord(text[error.position]):04X} cannot stand in a recipe", line, "Remove it."
        )
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    at = mark.line + 1 if mark else None
    problem = str(getattr(error, "problem", None) or "")
    context = str(getattr(error, "context", None) or "")
    for said, words, hint in PARSER_WORDS:
        if said in problem or said in context:
            return Fault("", words, at, hint)
    return Fault("", f"this is no YAML: {problem or context}", at, None)
