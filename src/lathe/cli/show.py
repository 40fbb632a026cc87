"""The screen: everything that is printed goes through it.

stdout is for data (answers, tables, JSON), stderr for talk (progress, what was done, errors).

    data      1,400 rows: 978 train · 140 validation · 282 test · no near-duplicates      1.2 s

All text passes `Screen.safe`: secrets are masked and control characters made visible, so that no row of a data set can
move a cursor, change a colour or hide a line.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from lathe.errors import Exit
from lathe.safe_text import redact, secrets_of, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from lathe.runs import RunFolder

LABEL_WIDTH = 10
SCREEN_WIDTH = 100
"""Wider terminals are not used up: the seconds at the right would stand too far from what they belong to."""
LEVEL_COLOUR = {"error": "red", "warning": "yellow"}
VERDICT_COLOUR = {"deploy": "green", "iterate": "yellow", "abort": "red"}


class Screen:
    """The two streams of one command. `folder` is the run that the verb works on, once it is known.

    by_line: whether the verb's JSON is one value a line.
    """

    def __init__(
        self,
        out: TextIO,
        talk: TextIO,
        *,
        as_json: bool = False,
        quiet: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.folder: RunFolder | None = None
        self.by_line = False
        self._out = out
        self._talk = talk
        self._environment = dict(environment or {})
        self._secrets = secrets_of(self._environment)
        self._consoles: dict[str, Console] = {}
        self._at_close = contextlib.ExitStack()

    def safe(self, text: str) -> str:
        """The one sink: secrets masked, control characters visible."""
        return visible(redact(text, self._secrets))

    # talk ----------------------------------------------------------------------------------

    def say(self, text: str = "") -> None:
        """One line of talk."""
        if not self.quiet:
            self._write(self._talk, self.safe(text) + "\n")

    def stage(self, label: str, text: str, seconds: float | None = None, note: str = "") -> None:
        """One line about a finished stage: label, key numbers, and on the right the seconds or a note."""
        if self.quiet:
            return
        from rich.text import Text

        from lathe.report import figures

        right = self.safe(note) or (figures.seconds(seconds) if seconds is not None else "")
        console = self.console("talk")
        width = min(console.width, SCREEN_WIDTH)
        line = Text("  ")
        line.append(f"{self.safe(label):<{LABEL_WIDTH}}", style="bold")
        line.append(self.safe(text), style="dim" if note else "")
        room = width - line.cell_len - len(right)
        line.append(" " * max(2, room))
        line.append(right, style="dim")
        console.print(line, soft_wrap=True)

    def detail(self, text: str) -> None:
        """A remark under the line of a stage, wrapped below its text."""
        if self.quiet:
            return
        import textwrap

        from rich.text import Text

        indent = " " * (2 + LABEL_WIDTH)
        width = max(40, min(self.console("talk").width, SCREEN_WIDTH))
        for line in textwrap.wrap(self.safe(text), width, initial_indent=indent, subsequent_indent=indent):
            self.console("talk").print(Text(line, style="yellow"), soft_wrap=True)

    def error(self, kind: str, message: str, hint: str | None, code: int) -> None:
        """An error: two lines on stderr; under --json one JSON document on stdout, or one line of it (`by_line`)."""
        if self.as_json:
            said = {
                "kind": kind,
                "message": self.safe(message),
                "hint": hint and self.safe(hint),
                "exit_code": int(code),
            }
            (self.row if self.by_line else self.document)({"error": said})
            return
        console = self.console("talk")
        from rich.text import Text

        style = "yellow" if code == Exit.INTERRUPTED else "red"
        word = "stopped" if code == Exit.INTERRUPTED else "error"
        console.print(Text.assemble((f"{word}: ", f"bold {style}"), self.safe(message)), soft_wrap=True)
        if hint:
            console.print(Text.assemble(("hint: ", "bold"), self.safe(hint)), soft_wrap=True)

    def raw(self, text: str) -> None:
        """Text for a person who asked for everything (-v): a traceback."""
        self._write(self._talk, redact(text, self._secrets))

    def stopping(self) -> None:
        """A signal came for the first time."""
        self.say("\nstopping at the next safe point; once more ends it at once")

    # data ----------------------------------------------------------------------------------

    def document(self, value: Any) -> None:
        """The JSON document of a verb, on stdout."""
        self._write(self._out, json.dumps(self._masked(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    def row(self, value: Any) -> None:
        """One line of JSON among many, on stdout."""
        self._write(self._out, json.dumps(self._masked(value), ensure_ascii=False, allow_nan=False) + "\n")

    def _masked(self, value: Any) -> Any:
        """A JSON value without secrets. Masked before it becomes text, so that it stays JSON whatever the secrets are."""
        if isinstance(value, str):
            return redact(value, self._secrets)
        if isinstance(value, Mapping):
            return {self._masked(key): self._masked(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._masked(inner) for inner in value]
        return value

    def line(self, text: str = "", style: str = "") -> None:
        """One line of data."""
        from rich.text import Text

        self.console("out").print(Text(self.safe(text), style=style), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str | Text]], right: Collection[int] = ()) -> None:
        """A table of data, two blanks between columns; those numbered in `right` are set flush right."""
        from rich.text import Text

        head = [Text(self.safe(name), style="dim") for name in columns]
        lines = [head, *([Text(self.safe(cell)) if isinstance(cell, str) else cell for cell in row] for row in rows)]
        widths = [max(line[column].cell_len for line in lines) for column in range(len(columns))]
        for line in lines if any(columns) else lines[1:]:
            joined = Text("  ")
            for column, cell in enumerate(line):
                blank = " " * (widths[column] - cell.cell_len)
                joined.append_text(Text(blank) + cell if column in right else cell + Text(blank))
                joined.append("  ")
            joined.rstrip()
            self.console("out").print(joined, soft_wrap=True)

    # streams -------------------------------------------------------------------------------

    def console(self, which: str) -> Console:
        """The rich console of `out` or `talk`; rich is loaded when something is first printed with it."""
        if which not in self._consoles:
            from rich.console import Console

            stream = self._out if which == "out" else self._talk
            columns = self._environment.get("COLUMNS", "")
            width = None if stream.isatty() else (int(columns) if columns.isdecimal() else 0) or 100
            self._consoles[which] = Console(
                file=stream, width=width, highlight=False, markup=False, emoji=False, _environ=self._environment
            )
        return self._consoles[which]

    def is_terminal(self) -> bool:
        """Whether a person watches the talk, where a line can be drawn over."""
        return self._talk.isatty() and self._environment.get("TERM", "").lower() not in ("dumb", "unknown")

    def restore(self) -> None:
        """Gives the terminal back; safe inside a signal handler."""
        if self.is_terminal():
            with contextlib.suppress(OSError, ValueError):
                self._talk.write("\x1b[?25h\n")
                self._talk.flush()

    def at_close(self, done: Callable[[], None]) -> None:
        """Has something done before the screen closes, however the verb ends."""
        self._at_close.callback(done)

    def close(self) -> None:
        """Does what waits for the end and flushes both streams."""
        self._at_close.close()
        for stream in (self._out, self._talk):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        stream.write(text)
        stream.flush()
