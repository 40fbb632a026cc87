"""The verb `risk`: how dangerous a shell command is, without running it."""

from __future__ import annotations

import argparse
import codecs
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lathe.cli.show import Screen
from lathe.cli.streams import text_given
from lathe.errors import DataError, Exit, InputError

if TYPE_CHECKING:
    from lathe.shell.verdict import Risk

COLOUR = {0: "green", 1: "green", 2: "yellow", 3: "red", 4: "red", "U": "magenta"}


def risk(args: argparse.Namespace, screen: Screen) -> Exit:
    """One command, or one row after the other. Exit 1 where the one command is of level 3 or 4 or cannot be analysed."""
    if args.jsonl:
        if args.command is not None:
            raise InputError("--jsonl reads its commands from stdin", hint="lathe risk --jsonl < rows.jsonl")
        rows = (_with_risk(row) for row in read_rows(sys.stdin.buffer.read()))
        if screen.as_json:
            screen.document({"rows": list(rows)})
        else:
            for row in rows:
                screen.row(row)
        return Exit.DONE
    if args.command is None:
        raise InputError("no command was given", hint="lathe risk 'rm -rf build', or - for stdin, or --jsonl for rows")
    return _one(text_given(args.command), screen)


def _one(command: str, screen: Screen) -> Exit:
    from lathe.shell.judge import judge

    judged = judge(command)
    if screen.as_json:
        screen.document({"command": command, **_fields(judged), "safer": judged.safer or None})
    else:
        name = f"level {judged.level}" + (f" · {judged.kind}" if judged.kind else "")
        screen.line(name, style=COLOUR[judged.level])
        for sentence in judged.reasons:
            screen.line(f"  {sentence}")
        if judged.safer:
            screen.line(f"  safer: {judged.safer}")
        screen.say("  A lint, not a boundary: run what you do not trust in a sandbox.")
    return Exit.NO if judged.dangerous else Exit.DONE


def read_rows(data: bytes) -> Iterator[dict[str, Any]]:
    """Rows of JSONL that hold a command. Raises DataError with the line."""
    from lathe.data.files.json_line import LineFault, row_of  # loads NumPy, which a single command has no use for

    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = row_of(line)
        except LineFault as fault:
            raise DataError(fault.reason, file="stdin", line=number, column=fault.column, hint=fault.hint) from fault
        if not isinstance(row.get("command"), str):
            raise DataError('expected a text under "command"', file="stdin", line=number)
        yield row


def _with_risk(row: dict[str, Any]) -> dict[str, Any]:
    from lathe.shell.judge import judge

    return {**row, **_fields(judge(row["command"]))}


def _fields(judged: Risk) -> dict[str, Any]:
    return {"level": judged.level, "class": judged.kind, "why": judged.why}
