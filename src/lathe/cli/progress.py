"""What is seen while a run works: a bar on a terminal, a plain line every few seconds elsewhere, one line a finished stage."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lathe.cli.show import LABEL_WIDTH, Screen

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

PLAIN_EVERY_SECONDS = 5.0
LEAST_UNITS = 3
"""Fewer units done tell no rate: the first one waits for the model to be loaded."""


def listen(screen: Screen, *, brief: bool = False) -> Listener:
    """What a run reports its progress to; its bar ends with the screen. brief: without the remarks under its lines, for verbs that
    show them as data."""
    listener = Listener(screen, brief)
    screen.at_close(listener.close)
    return listener


class Listener:
    """Listens to a run: a bar on a terminal, a plain line every few seconds elsewhere, one line for each finished stage."""

    def __init__(self, screen: Screen, brief: bool) -> None:
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
            self.screen.say(f"  {stage_label(stage):<{LABEL_WIDTH - 1}} {self._words(event, done, total)}")

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
        if event.get("validating"):
            parts.append(f"validating, {event['validating']} rows")
        if event.get("metric"):
            parts.append(
                figures.validated(event["metric"], event.get("value"), event.get("best"), event.get("best_step"))
            )
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
    return {"prepare": "data", "doctor": "machine", "teach": "teacher"}.get(stage, stage)
