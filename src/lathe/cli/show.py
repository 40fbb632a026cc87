"""Everything that prints. stdout is for data (answers, tables, JSON), stderr for talk (progress, what was done, errors).

    data      1,400 rows: 978 train · 140 validation · 282 test · no near-duplicates      1.2 s

All text passes `Screen.safe`: secrets are masked and control characters made visible, so that no row of a data set can
move a cursor, change a colour or hide a line.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from lathe.errors import Exit
from lathe.safe_text import redact, secrets_of, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.text import Text

    from lathe.records import Decision, DoctorReport, EvalReport, Parameters, Plan, Status
    from lathe.runs import RunFolder

LABEL_WIDTH = 10
SCREEN_WIDTH = 100
"""Wider terminals are not used up: the seconds at the right would stand too far from what they belong to."""
PLAIN_EVERY_SECONDS = 5.0
LEAST_UNITS = 3
"""Fewer units done tell no rate: the first one waits for the model to be loaded."""
LEVEL_COLOUR = {"error": "red", "warning": "yellow"}
VERDICT_COLOUR = {"deploy": "green", "iterate": "yellow", "abort": "red"}


class Screen:
    """The two streams of one command. `folder` is the run that the verb works on, once it is known."""

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
        self._out = out
        self._talk = talk
        self._environment = dict(environment or {})
        self._secrets = secrets_of(self._environment)
        self._consoles: dict[str, Console] = {}
        self._listener: Listener | None = None

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
        """An error: two lines on stderr, or one JSON document on stdout under --json."""
        if self.as_json:
            said = {
                "kind": kind,
                "message": self.safe(message),
                "hint": hint and self.safe(hint),
                "exit_code": int(code),
            }
            self.document({"error": said})
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
            width = None if stream.isatty() else int(self._environment.get("COLUMNS", "") or 100)
            self._consoles[which] = Console(
                file=stream, width=width, highlight=False, markup=False, emoji=False, _environ=self._environment
            )
        return self._consoles[which]

    def listener(self, *, brief: bool = False) -> Listener:
        """What a run reports its progress to. brief: without the remarks under its lines, for verbs that show them as data."""
        self._listener = Listener(self, brief)
        return self._listener

    def is_terminal(self) -> bool:
        """Whether a person watches the talk."""
        return self._talk.isatty()

    def restore(self) -> None:
        """Gives the terminal back; safe inside a signal handler."""
        if self.is_terminal():
            with contextlib.suppress(OSError, ValueError):
                self._talk.write("\x1b[?25h\n")
                self._talk.flush()

    def close(self) -> None:
        """Ends a bar that still stands and flushes both streams."""
        if self._listener is not None:
            self._listener.close()
        for stream in (self._out, self._talk):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        stream.write(text)
        stream.flush()


# ------------------------------------------------------------------------------------------ progress


class Listener:
    """Listens to a run: a bar on a terminal, a plain line every few seconds elsewhere, one line for each finished stage."""

    def __init__(self, screen: Screen, brief: bool = False) -> None:
        self.screen = screen
        self._brief = brief
        self._bar: Bar | None = None
        self._task: Any = None
        self._sides: dict[str, str] = {}
        self._work: tuple[Any, ...] = ()
        self._began = self._said = time.monotonic()
        self._before = 0.0

    def __call__(self, event: Mapping[str, Any]) -> None:
        """One event of a run: numbers of a stage that works, or the record of one that is done."""
        from lathe.cli import signals

        if "record" in event:
            self.close()
            self._finished(event)
            self._work, self._began = (), time.monotonic()
        elif not self.screen.quiet:
            self._working(event)
        signals.stop_if_asked()

    def _finished(self, event: Mapping[str, Any]) -> None:
        from lathe.cli import stage_lines

        note = "done before" if event.get("skipped") else ""
        record = event["record"]
        if event["stage"] == "prepare":
            self._sides = {side.sha256: name for name, side in record.sides.items()}
        side = self._sides.get(getattr(record, "test_hash", ""), "test")
        found = stage_lines.line(record)
        if found is None or side == "validation":  # arms are chosen on validation rows, and told by test rows
            return
        self.screen.stage(found.label, found.text, None if note else event.get("seconds"), note)
        for remark in () if self._brief or note else found.remarks:
            self.screen.detail(remark)

    def _working(self, event: Mapping[str, Any]) -> None:
        stage, done, total = str(event["stage"]), float(event.get("done") or 0), event.get("total")
        work = (stage, event.get("part"), event.get("side"))
        if work != self._work:
            self.close()
            self._work, self._before = work, max(0.0, done - 1)
            self._said = time.monotonic()
        if self.screen.is_terminal():
            self._draw(event, done, total)
        elif time.monotonic() - self._said >= PLAIN_EVERY_SECONDS:
            self._said = time.monotonic()
            self.screen.say(f"  {stage_label(stage):<{LABEL_WIDTH}}{self._words(event, done, total)}")

    def _rate(self, done: float) -> float:
        """Units a second since the last stage was done; 0 until something is known."""
        seconds, num = time.monotonic() - self._began, done - self._before
        return num / seconds if seconds > 0.2 and num >= LEAST_UNITS else 0.0

    def _words(self, event: Mapping[str, Any], done: float, total: Any) -> str:
        """`40 of 93 steps · loss 0.521 · 1.9 steps/s · 28 s left`"""
        from lathe.report import figures

        unit, rate = str(event.get("unit") or "items"), self._rate(done)
        unit = unit if " " in unit or unit.endswith("s") else f"{unit}s"
        what = f"{event['side']} {unit}" if event.get("side") else unit
        parts = [
            f"{figures.count(done)} of {figures.count(total)} {what}" if total else f"{figures.count(done)} {what}"
        ]
        if event.get("loss") is not None:
            parts.append(f"loss {event['loss']:.3f}")
        if event.get("tokens_per_second"):
            parts.append(f"{figures.count(event['tokens_per_second'])} tokens/s")
        elif rate > 0:
            parts.append(f"{rate:.1f} {unit}/s" if rate >= 0.95 else f"{60 * rate:.1f} {unit}/min")
        if rate > 0 and total and done < total:
            parts.append(f"{figures.seconds((total - done) / rate)} left")
        return " · ".join(parts)

    def _draw(self, event: Mapping[str, Any], done: float, total: Any) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        if self._bar is None:
            self._bar = Progress(
                TextColumn("  {task.fields[label]:<" + str(LABEL_WIDTH - 1) + "}", style="bold", markup=False),
                BarColumn(bar_width=28, complete_style="cyan", finished_style="cyan"),
                TextColumn("{task.fields[words]}", markup=False),
                console=self.screen.console("talk"),
                transient=True,
                # rich would print what libraries write to sys.stderr above the bar; it belongs to the journal.
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._bar.start()
            self._bar.console.show_cursor(True)  # a second signal ends the process at once: nothing would show it again
            self._task = self._bar.add_task(
                "", total=total, label=self.screen.safe(stage_label(str(event["stage"]))), words=""
            )
        self._bar.update(
            self._task, completed=done, total=total, words=self.screen.safe(self._words(event, done, total))
        )

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def stage_label(stage: str) -> str:
    """The name under which a stage is shown: its noun, where it has one."""
    return {"prepare": "data", "doctor": "machine"}.get(stage, stage)


# ------------------------------------------------------------------------------------------ arms and verdict

ARM_ORDER = ("tuned", "rule", "base-few", "base-zero")
WHISKER_WIDTH = 25


def whisker(low: float | None, value: float | None, high: float | None, width: int = WHISKER_WIDTH) -> str:
    """An interval between 0 and 1 as text: `····├──●──┤····`. Empty where nothing was measured."""
    if value is None:
        return ""
    place = [
        min(width - 1, max(0, round(x * (width - 1)))) for x in (low or 0.0, value, high if high is not None else 1.0)
    ]
    if low is None or high is None:
        place[0] = place[2] = place[1]
    cells = ["·"] * width
    for cell in range(place[0], place[2] + 1):
        cells[cell] = "─"
    cells[place[0]], cells[place[2]], cells[place[1]] = "├", "┤", "●"
    return "".join(cells)


def arms(screen: Screen, reports: Mapping[str, EvalReport], primary: str) -> None:
    """All arms on the same items: the primary metric as a picture, the others as numbers."""
    from rich.text import Text

    from lathe.report import figures

    shown = [reports[arm] for arm in ARM_ORDER if arm in reports]
    if not shown:
        return
    others = [s.metric for s in shown[0].scores if s.metric != primary and not s.metric.startswith("slmbench_")][:2]
    drawable = getattr(sys.stdout, "encoding", "utf-8").lower().startswith("utf")
    rows = []
    for report in shown:
        score = report.score(primary)
        strong = "bold" if report.arm == "tuned" else ""
        row = [Text(report.arm, style=strong)]
        if score is None:
            row += [Text(figures.NOT_MEASURED), Text("")]
        else:
            picture = whisker(score.low, score.value, score.high) if drawable else ""
            row += [Text(f"{figures.score(score.value)} {figures.bounds(score)}".rstrip(), style=strong), Text(picture)]
        for metric in others:
            other = report.score(metric)
            row.append(Text(figures.score(other.value) if other else figures.NOT_MEASURED, style=strong))
        rows.append(row)
    screen.line()
    n = shown[0].n
    screen.table([f"{figures.counted(n, 'test item')}", primary, "0" + "1".rjust(WHISKER_WIDTH - 1), *others], rows)


def verdict(screen: Screen, decision: Decision) -> None:
    """The one line that a person can retell."""
    from rich.text import Text

    word, _, rest = screen.safe(decision.line).partition(" ")
    console, indent = screen.console("out"), " " * (len(word) + 4)
    if console.is_terminal:
        rest = folded(rest.strip(), console.width - len(indent), f"\n{indent}")
    line = Text.assemble("  ", (word, f"bold {VERDICT_COLOUR[decision.verdict]}"), "  ", rest.strip())
    screen.line()
    console.print(line, soft_wrap=True)


def folded(line: str, width: int, between: str) -> str:
    """A line of parts, broken between parts where it is too wide."""
    lines = [""]
    for part in line.split(" · "):
        joined = f"{lines[-1]} · {part}" if lines[-1] else part
        if len(joined) <= width or not lines[-1]:
            lines[-1] = joined
        else:
            lines.append(part)
    return between.join(lines)


# ------------------------------------------------------------------------------------------ other tables


def plan(screen: Screen, record: Plan) -> None:
    """What a run will cost: exact figures, then estimates with their ends."""
    from lathe.report import figures

    schedule, peak, time_ = record.schedule, record.peak_bytes, record.train_seconds
    screen.line()
    rows = [
        ["trainable parameters", figures.count(record.parameters.trainable), f"of {figures.count(record.parameters.total)}"],
        ["optimiser steps", figures.count(schedule.num_steps), f"{figures.count(schedule.warmup_steps)} of them warm-up"],
        ["tokens computed", figures.count(schedule.num_tokens), f"in {figures.count(schedule.num_packs)} packs"],
        ["tokens with loss", figures.count(schedule.num_supervised), ""],
        ["longest row", f"{figures.count(schedule.longest_row)} tokens", f"{figures.count(schedule.truncated_rows)} rows cut"],
        ["peak memory", figures.size(peak.value), f"{figures.size(peak.low)} to {figures.size(peak.high)}, "
         f"{figures.size(record.free_bytes)} free: " + ("fits" if record.fits() else "DOES NOT FIT")],
    ]  # fmt: skip
    rows += [[f"  {term.name}", figures.size(term.num_bytes), term.formula] for term in record.memory]
    if time_ is None:
        rows.append(["training time", "not known", "no rate was measured on this machine yet"])
    else:
        ends = f"{figures.seconds(time_.low)} to {figures.seconds(time_.high)}, rate {record.rate_source}"
        rows.append(["training time", figures.seconds(time_.value), ends])
    screen.table(["planned", "", ""], rows, right=(1,))
    for finding in record.findings:
        screen.line(f"  {finding}", "yellow")


def parameters(screen: Screen, counted: Parameters) -> None:
    """Parameters by group."""
    from lathe.report import figures

    rows = [[name, figures.count(number)] for name, number in counted.by_group.items()]
    rows += [["total", figures.count(counted.total)], ["trainable", figures.count(counted.trainable)]]
    screen.table(["parameters", ""], rows, right=(1,))


def doctor(screen: Screen, report: DoctorReport) -> None:
    """The machine, and each ability with what was seen and what would mend it."""
    from rich.text import Text

    from lathe.cli import stage_lines

    screen.line(f"  {stage_lines.machine(report)}")
    screen.line()
    rows: list[list[str | Text]] = []
    for capability in report.capabilities:
        mark = Text("yes", style="green") if capability.ok else Text("no", style="yellow")
        rows.append([capability.name, mark, capability.detail])
        if capability.remedy and not capability.ok:
            rows.append(["", "", f"→ {capability.remedy}"])
    screen.table(["", "", ""], rows)


def status(screen: Screen, now: Status) -> None:
    """`2026-11-20T081500-demo-3f9c1a  running · train 40 of 93 · loss 0.521 · 28 s left · 0.9 GB`"""
    from lathe.report import figures

    parts: list[str] = [now.state]
    if now.stage and now.done is not None and now.total is not None:
        parts.append(f"{now.stage} {figures.count(now.done)} of {figures.count(now.total)}")
    elif now.stage:
        parts.append(now.stage)
    if now.loss is not None:
        parts.append(f"loss {now.loss:.3f}")
    if now.seconds_left is not None:
        parts.append(f"{figures.seconds(now.seconds_left)} left")
    if now.peak_bytes is not None:
        parts.append(figures.size(now.peak_bytes))
    if now.verdict:
        parts.append(now.verdict)
    screen.line(f"{now.run}  {' · '.join(parts)}")
